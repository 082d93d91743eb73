"""MMGCN. Wei et al., "Multi-modal Graph Convolution Network for Personalized Recommendation of Micro-video".

MM 2019, https://doi.org/10.1145/3343031.3351034

Equation: for each modality m a graph network of its own on the user-item graph, x = unit([P^m; f^m]) with users'
preferences P^m and items' content f^m; L times h = LeakyReLU(mean over neighbours of W_l x), x' = LeakyReLU(V_l x +
v_l) + e with identifiers e that all modalities and layers share, x <- LeakyReLU(G_l [h, x'] + g_l) (`concat`) or
LeakyReLU(G_l h + g_l + x') (`sum`). The vectors are the means of x over the modalities, y_ui = <x_u, x_i>;
loss = BPR + reg_weight * (mean squares of the batch's rows of e, of its users' rows of every P^m).

Deviations: identifiers and preferences are parameters; in the published code and its port both are plain tensors
that no optimiser knows, noise that stays as it was drawn. Its switch for the sum is the string 'False', which is
true: `concat` is what its numbers come from, here both work. Features enter as they are where they are at most
`content_size` wide, else projected to it (published: images to 256 whatever their width, the others never). W_1 maps
to the embedding size (published: square; the paper leaves the size open), which makes the first aggregation as narrow
as the others. Preferences of every modality are regularised, over the batch (published: the image's alone, all of
them). An item that lacks a modality has a learned vector for it; identifiers of items never seen in training are
zero, so that cold items are ranked by content alone.

Complexity: O(M (E L D + N (C + L D) D)) a step with C the content's width; the last layer is computed for the batch's
nodes only. Memory O(M N (C + L D)).
"""

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch.nn.functional import linear as affine

from mrs_pipeline.functional.distinct import distinct
from mrs_pipeline.functional.graphs import bipartite_graph, normalise_rows
from mrs_pipeline.functional.kernels.rows import take_rows, unit_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.losses import bpr_inner, mean_square
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.parameters import embedding, linear, xavier
from mrs_pipeline.models.layers.projection import ModalityProjection
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class MmgcnConfig(GradientConfig):
    """Settings of MMGCN."""

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": (1e-2, 1e-3, 5e-4, 1e-4),
        "reg_weight": (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
        "n_layers": (2, 3),
    }

    n_layers: int = Field(default=3, ge=1, le=8)
    """Graph layers L of each modality."""
    content_size: int = Field(default=256, ge=1, le=4096)
    """Features wider than this are projected to it."""
    combination: Literal["concat", "sum"] = "concat"
    """How a layer joins what a node's neighbours say with the node itself."""
    reg_weight: float = Field(default=1e-3, ge=0)
    """Weight of the mean squares."""


class Mmgcn(IdentifierRecommender[MmgcnConfig]):
    """A graph network a modality, with shared identifiers; see the module."""

    spec = ModelSpec(
        name="mmgcn",
        title="MMGCN",
        paper="Wei et al., MM 2019",
        url="https://doi.org/10.1145/3343031.3351034",
        cells=frozenset({Cell.USER_ITEM_GRAPH}),
        complexity="O(M (E L D + N (C + L D) D))",
        features=FeatureUse.REQUIRED,
    )
    Config = MmgcnConfig

    def __init__(self, config: MmgcnConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        users, size = inputs.users_seen(), config.embedding_size
        graph = bipartite_graph(inputs.users, inputs.items, inputs.n_users, inputs.n_items)
        self._mean = SparseOperator.from_csr(normalise_rows(graph))
        self.content = _UnitContent(inputs, config.content_size, generator)
        self.preferences = nn.ParameterDict()
        self.layers = nn.ModuleDict()
        for modality, values in inputs.features.items():
            width = min(values.shape[1], config.content_size)
            self.preferences[modality] = embedding(users, width, generator)
            widths = [width, *[size] * (config.n_layers - 1)]
            self.layers[modality] = nn.ModuleList(
                _ModalityLayer(each, size, config.combination, generator) for each in widths
            )

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR on the last layer's vectors, mean squares of what is learned a user or item."""
        items = torch.cat([batch.positives, batch.negatives])
        # each user and item once, however often it occurs in the batch
        nodes, place = distinct(torch.cat([batch.users, items + self.n_users]))
        user, positives, negatives = take_rows(self._nodes(nodes), place).chunk(3)
        preferences = [take_rows(table, batch.users) for table in self.preferences.values()]
        own = take_rows(self.user_embedding, batch.users), take_rows(self.item_embedding, items)
        return {
            "bpr": bpr_inner(user, positives, negatives),
            "reg": self.config.reg_weight * mean_square(*own, *preferences),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """The modalities' mean."""
        users, items = self._nodes().split_with_sizes([self.n_users, self.n_items])
        return users, items

    def _nodes(self, nodes: Tensor | None = None) -> Tensor:
        """Vectors of `nodes` [B], or of all users and then items."""
        identifiers = torch.cat([self.user_embedding, self.item_embedding])
        views = []
        for modality, content in self.content().items():
            x = torch.cat([unit_rows(self.preferences[modality]), content])
            layers: list[nn.Module] = list(self.layers[modality].children())
            for layer in layers[:-1]:
                x = layer(self._mean, x, identifiers)
            views.append(layers[-1](self._mean, x, identifiers, nodes))
        return torch.stack(views).mean(0)


class _ModalityLayer(nn.Module):
    """One graph layer of one modality."""

    def __init__(self, width: int, size: int, combination: str, generator: torch.Generator) -> None:
        super().__init__()
        self._concat = combination == "concat"
        self._narrows = width > size
        self.message = linear(width, size, generator, bias=False)
        self.self_loop = linear(width, size, generator)
        self.join = linear(2 * size if self._concat else size, size, generator)

    def forward(
        self, mean: SparseOperator, x: Tensor, identifiers: Tensor, nodes: Tensor | None = None
    ) -> Tensor:
        """[B, size] for `nodes` [B] or for all.

        The mean and the linear map commute: what is narrower is aggregated, and where few nodes are asked for the
        map is left until they have been taken.
        """
        neighbours = mean @ (self.message(x) if self._narrows else x)
        if nodes is not None:
            neighbours, x, identifiers = (take_rows(table, nodes) for table in (neighbours, x, identifiers))
        heard = leaky_relu(neighbours if self._narrows else self.message(neighbours))
        own = leaky_relu(self.self_loop(x)) + identifiers
        if not self._concat:
            return leaky_relu(self.join(heard) + own)
        of_heard, of_own = self.join.weight.chunk(2, dim=1)  # G [h, x'], without the joined table
        return leaky_relu(torch.addmm(affine(heard, of_heard, self.join.bias), own, of_own.T))


class _UnitContent(nn.Module):
    """Items' content as unit rows, wide features projected."""

    def __init__(self, inputs: ModelInputs, size: int, generator: torch.Generator) -> None:
        super().__init__()
        wide = {name: values for name, values in inputs.features.items() if values.shape[1] > size}
        self.projection = ModalityProjection(replace(inputs, features=wide), size, generator)
        self.missing = nn.ParameterDict()
        self._present = inputs.present
        self._fixed: dict[str, Tensor] = {}
        for name, values in inputs.features.items():
            if name in wide:
                continue
            self._fixed[name] = unit_rows(values)
            if not bool(inputs.present[name].all()):
                self.missing[name] = nn.Parameter(xavier((1, values.shape[1]), generator))

    def forward(self) -> dict[str, Tensor]:
        """Modality -> [I, width]."""
        content = {name: unit_rows(values) for name, values in self.projection().items()}
        for name, rows in self._fixed.items():
            content[name] = rows
            if name in self.missing:
                present = self._present[name].unsqueeze(1)
                content[name] = torch.where(present, rows, unit_rows(self.missing[name]))
        return content
