"""Any convolution of Torch Geometric on the user-item graph. Fey & Lenssen, ICLR workshop 2019.

https://arxiv.org/abs/1903.02428

Equation: h^(0) = [users ; items + sum_m W_m x^m + b_m]; h^(l+1) = act(conv_l(h^(l), edges)), act on all but the last;
z = mean of h^(0)..h^(L), or h^(L) with `combine: last`; y_ui = <z_u, z_i>; loss = BPR + reg_weight * embedding norm of
the batch's identifiers. `convolution: LGConv` without features is LightGCN.

With `neighbours` a step convolves a sampled neighbourhood of its users and items, at most `neighbours[l]` edges of a
node at step l; scores always take all edges, in blocks. Convolutions that weigh edges by degrees get those of the whole
graph, times d / k where k of d were drawn; others see the sampled edges as if there were no more.

Deviations: the library's loaders want users' pairs and negatives drawn by themselves and a C++ part that is not on the
package index; here the training loop draws pairs and `functional.sampled_subgraphs` draws neighbours, from the model's
generator. First weights are the library's. It writes code that it generates into the folder for temporary files.

Complexity: O(E L D) a step, times what the convolution does per edge; sampled O(B k^L D).
"""

from typing import ClassVar, Final, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mrs_pipeline.functional.graphs import bipartite_graph
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr_inner, embedding_norm
from mrs_pipeline.functional.sampled_subgraphs import SubgraphSampler, row_ranges
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import DistinctRows, pair_rows
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.library_convolutions import (
    Setting,
    build_convolution,
    convolved_graph,
    flaw,
    weighs_by_degree,
)
from mrs_pipeline.models.layers.projection import ModalityProjection
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_ENTRIES: Final = 1 << 20
"""Edges that are convolved at once where all scores of a sampled model are computed."""
_ACTIVATIONS: Final = {"none": nn.Identity, "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "tanh": nn.Tanh}


class PygConfig(GradientConfig):
    """Settings of a model of Torch Geometric's convolutions."""

    search_space: ClassVar[SearchSpace] = {
        "convolution": ("LGConv", "SAGEConv", "GATv2Conv", "TransformerConv"),
        "n_layers": (1, 2, 3),
        "reg_weight": (1e-2, 1e-3, 1e-4, 1e-5),
    }

    convolution: str = "LGConv"
    """Class of `torch_geometric.nn`: LGConv, GCNConv, SAGEConv, GATv2Conv, GINConv, TransformerConv, ..."""
    settings: dict[str, Setting] = Field(default_factory=dict)
    """Arguments of that class beside its widths, such as `heads: 2`; the mean over heads is taken."""
    n_layers: int = Field(default=2, ge=1, le=8)
    """Convolutions L."""
    activation: Literal["none", "relu", "leaky_relu", "tanh"] = "none"
    """Between two convolutions."""
    combine: Literal["mean", "last"] = "mean"
    """Whether vectors are the mean over the start and all layers, or the last layer."""
    neighbours: list[int] | None = None
    """Edges of a node that a training step draws, for each layer; null for all edges in each step."""
    reg_weight: float = Field(default=1e-4, ge=0)
    """Weight of the embedding norm."""

    @model_validator(mode="after")
    def _works(self) -> Self:
        if self.neighbours is not None and (
            len(self.neighbours) != self.n_layers or min(self.neighbours) < 1
        ):
            raise ValueError(
                f"neighbours has to be a list of {self.n_layers} numbers above zero, one for each of `n_layers`"
            )
        if {"convolution", "settings"} & self.model_fields_set:
            problem = flaw(self.convolution, self.settings, self.embedding_size)
            if problem:
                raise ValueError(problem)
        return self


class Pyg(IdentifierRecommender[PygConfig]):
    """A convolution by name on the user-item graph; see the module."""

    spec = ModelSpec(
        name="pyg",
        title="Torch Geometric",
        paper="Fey & Lenssen, ICLR-W 2019",
        url="https://arxiv.org/abs/1903.02428",
        cells=frozenset({Cell.USER_ITEM_GRAPH}),
        complexity="O(E L D)",
        features=FeatureUse.OPTIONAL,
    )
    Config = PygConfig

    def __init__(self, config: PygConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        chosen = config.convolution, config.settings
        layers = [
            build_convolution(*chosen, config.embedding_size, generator) for _ in range(config.n_layers)
        ]
        self.convolutions = nn.ModuleList(layers)
        self.projection: ModalityProjection | None = None
        if inputs.features:
            self.projection = ModalityProjection(inputs, config.embedding_size, generator)
        self._activation = _ACTIVATIONS[config.activation]()
        self._weighs = weighs_by_degree(*chosen)
        graph = bipartite_graph(inputs.users, inputs.items, inputs.n_users, inputs.n_items)
        self._sampler = SubgraphSampler(convolved_graph(*chosen, graph))
        self._edges = self._all_edges()

    def start_epoch(self) -> None:
        """Puts neighbours into another random order, where they are drawn."""
        if self.config.neighbours is not None:
            self._sampler.shuffle(self.generator)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR on convolved vectors, the norm on identifiers."""
        rows = self._sampled(batch) if self.config.neighbours else pair_rows(*self.representations(), batch)
        identifiers = pair_rows(self.user_embedding, self.item_embedding, batch)
        return {
            "bpr": bpr_inner(*rows),
            "reg": self.config.reg_weight * embedding_norm(*identifiers),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Users [U, D] and items [I, D] over all edges."""
        nodes = torch.cat([self.user_embedding, self._items(None)])
        layers = [nodes]
        for number in range(self.config.n_layers):
            layers.append(self._over_everything(number, layers[-1]))
        users, items = self._combined(layers).split_with_sizes([self.n_users, self.n_items])
        return users, items

    def _sampled(self, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Rows of the batch's users, positives and negatives over a sampled neighbourhood."""
        wanted = DistinctRows.of(batch)
        seeds = torch.cat([wanted.users, wanted.items + self.n_users])
        around = self._sampler.around(seeds, self.config.neighbours or [], self.generator)
        n_users = int(torch.searchsorted(around.nodes, self.n_users))
        users = take_rows(self.user_embedding, around.nodes[:n_users])
        layers = [torch.cat([users, self._items(around.nodes[n_users:] - self.n_users)])]
        for number in range(self.config.n_layers):
            layers.append(self._convolved(number, layers[-1], around.edges, around.weights))
        vectors = take_rows(self._combined(layers), torch.searchsorted(around.nodes, seeds))
        return wanted.pair_rows(vectors[: len(wanted.users)], vectors[len(wanted.users) :])

    def _items(self, items: Tensor | None) -> Tensor:
        rows = self.item_embedding if items is None else take_rows(self.item_embedding, items)
        return rows if self.projection is None else rows + self.projection.summed(items)

    def _combined(self, layers: list[Tensor]) -> Tensor:
        return torch.stack(layers).mean(0) if self.config.combine == "mean" else layers[-1]

    def _convolved(self, number: int, nodes: Tensor, edges: Tensor, weights: Tensor) -> Tensor:
        extra = (weights,) if self._weighs else ()
        found: Tensor = self.convolutions[number](nodes, edges, *extra)
        return found if number == self.config.n_layers - 1 else self._activation(found)

    def _all_edges(self) -> Tensor | None:
        """[2, E] of the whole graph; None where steps see samples, and scores are computed in blocks."""
        if self.config.neighbours is not None:
            return None
        graph = self._sampler.graph
        return torch.stack([graph.indices.long(), graph.row_numbers()])

    def _over_everything(self, number: int, nodes: Tensor) -> Tensor:
        graph = self._sampler.graph
        if self._edges is not None:
            return self._convolved(number, nodes, self._edges, graph.weights)
        parts = []
        for start, end in row_ranges(graph, _ENTRIES):
            targets = torch.arange(start, end, device=nodes.device)
            block = graph.take(targets)
            sources = block.indices.long()
            shown = torch.unique(torch.cat([targets, sources]))
            ends = torch.stack([sources, targets[block.row_numbers()]])
            places = torch.searchsorted(shown, ends)
            found = self._convolved(number, take_rows(nodes, shown), places, block.weights)
            parts.append(take_rows(found, torch.searchsorted(shown, targets)))
        return torch.cat(parts)
