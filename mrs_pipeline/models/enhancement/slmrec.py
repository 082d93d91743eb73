"""SLMRec. Tao et al., "Self-Supervised Learning for Multimedia Recommendation", TMM 2022.

https://doi.org/10.1109/TMM.2022.3187556

Equation: channels c, the identifier's and one a modality, share the users' table E_u; item inputs are E_i, or
W_m x^m/|x^m| + b_m; (u_c, i_c) = LightGCN([E_u ; input_c]); u = W_u [concat_c u_c] + b_u, i likewise.
loss = InfoNCE(u, i; temperature) + ssl_weight * FAC + weight_decay/2 * |parameters|^2; y_ui = <u, i>.
FAC, the alignment of modalities in finer and finer spaces, goes through image, video, audio, text: with h_0 = i_id,
h_m = P_m h_(m-1), each step contrasts h_m with Q_m i_m by inner products / ssl_temperature among the items of
the batch; P_m and Q_m keep the width D, those of the last step halve it.

Deviations: LightGCN is linear, so [0 ; x^m/|x^m|] goes through it once, when the model is built, and W_m is
applied to the outcome for the rows of a batch; what E_u contributes to users and to items is read off the one
propagation of the identifiers, at even and at odd layers. Any set of modalities in FAC; an item that lacks a
modality has a learned vector in place of W_m x^m and takes no part in that modality's contrast. The decay is a
term of the loss, not of the optimiser. b_m is one more column of W_m and drawn with it. Of the paper's three pretext
tasks only FAC, its best, is here.
Corrected: scores are computed from the parameters as they are, and nothing is drawn for them; the score is not put
through a sigmoid, which changes no ranking.

Complexity: O(E L D + B F D + B^2 D) a step, plus Adam's O((U + I) D); memory O((U + I) F) for the content.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from mrs_pipeline.functional.distinct import marked
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator, mean_propagation
from mrs_pipeline.functional.losses import info_nce, product_contrast
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig, LightGcnRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell, Modality

_COARSE_TO_FINE = (Modality.IMAGE.value, Modality.VIDEO.value, Modality.AUDIO.value, Modality.TEXT.value)


class SlmRecConfig(LightGcnBackboneConfig):
    """Settings of SLMRec."""

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": (1e-4, 1e-3, 1e-2, 1e-1),
        "ssl_weight": (0.01, 0.05, 0.1, 0.5, 1.0),
        "ssl_temperature": (0.1, 0.2, 0.5, 1.0),
    }

    learning_rate: float = Field(default=1e-2, gt=0, le=1)
    """Adam's step size."""
    n_layers: int = Field(default=3, ge=1, le=8)
    """Propagation steps L."""
    temperature: float = Field(default=0.2, gt=0)
    """Divides the cosines of users and items."""
    ssl_weight: float = Field(default=0.01, ge=0)
    """Weight of the alignment between modalities."""
    ssl_temperature: float = Field(default=0.1, gt=0)
    """Divides the products of two modalities."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Weight of half the squared norm of all parameters."""


class SlmRec(LightGcnRecommender[SlmRecConfig]):
    """One propagation a channel, contrast of users with items and of modalities; see the module."""

    spec = ModelSpec(
        name="slmrec",
        title="SLMRec",
        paper="Tao et al., TMM 2022",
        url="https://doi.org/10.1109/TMM.2022.3187556",
        cells=frozenset({Cell.CONTRASTIVE}),
        complexity="O(E L D + B F D + B^2 D)",
        features=FeatureUse.REQUIRED,
    )
    Config = SlmRecConfig

    def __init__(self, config: SlmRecConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self._present = inputs.present
        self._content = _propagated_content(inputs, self._adjacency, config.n_layers)
        self._order = sorted(inputs.features, key=_fineness)
        self.channels = nn.ModuleDict()
        for modality, content in self._content.items():
            # bias and learned vector of missing items are columns of the weights: see `_propagated_content`
            self.channels[modality] = linear(content.shape[1], size, generator, bias=False)
        width = (1 + len(self._order)) * size
        self.user_readout = linear(width, size, generator)
        self.item_readout = linear(width, size, generator)
        self.path, self.targets = nn.ModuleDict(), nn.ModuleDict()
        if config.ssl_weight > 0:
            for modality in self._order:
                target_size = size if modality != self._order[-1] else max(1, size // 2)
                self.path[modality] = linear(size, target_size, generator)
                self.targets[modality] = linear(size, target_size, generator)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """Users against items, modalities against each other, the decay."""
        of_users, of_items = self._layers()
        user = self._user_channels(of_users, batch.users)
        item = self._item_channels(of_items, batch.positives)
        users = self.user_readout(torch.cat(list(user.values()), dim=1))
        items = self.item_readout(torch.cat(list(item.values()), dim=1))
        squares = torch.stack([torch.dot(p.flatten(), p.flatten()) for p in self.parameters()]).sum()
        return {
            "contrast": info_nce(users, items, self.config.temperature),
            **self._alignment(item, batch.positives),
            "reg": self.config.weight_decay / 2 * squares,
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """The read-outs of all users [U, D] and items [I, D]."""
        of_users, of_items = self._layers()
        users, items = self._user_channels(of_users), self._item_channels(of_items)
        return (
            self.user_readout(torch.cat(list(users.values()), dim=1)),
            self.item_readout(torch.cat(list(items.values()), dim=1)),
        )

    def _layers(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """LightGCN of [E_u ; 0] and of [0 ; E_i] for users, and the same two for items.

        Each step crosses from one side of the graph to the other: what stands at users after an even number
        of steps came from users, after an odd number from items.
        """
        layer = torch.cat([self.user_embedding, self.item_embedding])
        sums: list[Tensor] = [layer]
        for number in range(1, self.config.n_layers + 1):
            layer = self._adjacency @ layer
            if number == 1:
                sums.append(layer)
            else:
                sums[number % 2] = sums[number % 2] + layer
        share = 1 / (self.config.n_layers + 1)
        (user_even, item_even), (user_odd, item_odd) = (
            (part * share).split_with_sizes([self.n_users, self.n_items]) for part in sums
        )
        return (user_even, user_odd), (item_odd, item_even)

    def _user_channels(self, layers: tuple[Tensor, Tensor], users: Tensor | None = None) -> dict[str, Tensor]:
        return self._node_channels(layers, users, 0, self.n_users)

    def _item_channels(self, layers: tuple[Tensor, Tensor], items: Tensor | None = None) -> dict[str, Tensor]:
        return self._node_channels(layers, items, self.n_users, self.n_items)

    def _node_channels(
        self, layers: tuple[Tensor, Tensor], rows: Tensor | None, start: int, count: int
    ) -> dict[str, Tensor]:
        """Channel -> vectors [B, D] of the nodes `start + rows`, or of all `count` nodes of that side."""
        from_users, from_items = (part if rows is None else take_rows(part, rows) for part in layers)
        found = {"id": from_users + from_items}
        for modality, weights in self.channels.items():
            content = self._content[modality].narrow(0, start, count)
            found[modality] = from_users + weights(content if rows is None else take_rows(content, rows))
        return found

    def _alignment(self, item: Mapping[str, Tensor], items: Tensor) -> dict[str, Tensor]:
        """FAC, a term for each modality."""
        terms = {}
        at = item["id"]
        for modality in self._order if self.path else []:
            at, target = self.path[modality](at), self.targets[modality](item[modality])
            known = marked(take_rows(self._present[modality], items))
            terms[f"fac_{modality}"] = (
                at.new_zeros(())
                if known.none
                else self.config.ssl_weight
                * product_contrast(
                    known.take(at), known.take(target), self.config.ssl_temperature, known.weights
                )
            )
        return terms


def _fineness(modality: str) -> tuple[int, str]:
    """Where a modality stands in FAC; those the paper does not know come first."""
    place = _COARSE_TO_FINE.index(modality) if modality in _COARSE_TO_FINE else -1
    return place, modality


def _propagated_content(inputs: ModelInputs, adjacency: SparseOperator, n_layers: int) -> dict[str, Tensor]:
    """Modality -> LightGCN of [0 ; x^m/|x^m|, present, missing], [N, F + 1] or, where any item lacks it, [N, F + 2].

    The last columns carry the bias and the learned vector of items without the modality through the graph.
    """
    found = {}
    for modality, values in inputs.features.items():
        present = inputs.present[modality].unsqueeze(1)
        columns = [normalize(values, dim=1), present.float()]
        if not bool(present.all()):
            columns.append((~present).float())
        items = torch.cat(columns, dim=1)
        users = items.new_zeros(inputs.n_users, items.shape[1])
        found[modality] = mean_propagation(adjacency, torch.cat([users, items]), n_layers)
    return found
