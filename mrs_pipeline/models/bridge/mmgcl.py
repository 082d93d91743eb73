"""MMGCL. Yi et al., "Multi-Modal Graph Contrastive Learning for Micro-Video Recommendation", SIGIR 2022.

https://doi.org/10.1145/3477495.3532027

Equation: channels c^0 = LightGCN([E_user; E_item]) and c^m = LightGCN([E_user; W_m x^m + b_m]); users
W_u [c^0; ..; c^M] + b_u, items W_i [c^0; ..; c^M] + b_i; y_ui = <e_u, e_i>. Two views: all channels on a graph that
lacks some edges; and one modality, drawn at each step, on a graph that lacks some nodes, the other channels on the
whole graph. Loss = BPR + reg_weight * sum of the norms of the batch's e / B + cl_weight * (InfoNCE(e_u', e_u'') +
InfoNCE(e_i', e_i'') over distinct users and positives), where an item's softmax has one more entry, the challenging
negative: its second view with the drawn modality of a negative item in place of its own.

Deviations: this is what the paper says. The published code contrasts users with items within a view, uses the first
view twice, propagates another modality than it draws, and computes the challenging negative without using it. Graphs
are drawn once an epoch. An item that lacks a modality has a learned vector in place of W_m x^m + b_m; identifiers of
items never seen in training are zero.

Complexity: O(3 E L M D + N M D^2 + I F D + B^2 D) a step.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.functional.distinct import distinct, mean_of
from mrs_pipeline.functional.kernels.rows import take_rows, unit_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.losses import bpr_inner, embedding_norm, info_nce
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import once, pair_rows
from mrs_pipeline.models.layers.dropped_graphs import without_edges, without_nodes
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig, LightGcnRecommender, mean_of_layers
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.projection import ModalityProjection
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_AHEAD = 1024
"""Steps of an epoch whose modality is drawn when it starts; then the same again."""


class MmgclConfig(LightGcnBackboneConfig):
    """Settings of MMGCL."""

    search_space: ClassVar[SearchSpace] = {
        "cl_weight": (0.04, 0.1, 0.4),
        "temperature": (0.1, 0.2, 0.5),
        "dropout": (0.05, 0.1, 0.3),
    }

    n_layers: int = Field(default=3, ge=1, le=8)
    """Propagation steps L of each channel."""
    dropout: float = Field(default=0.05, ge=0, lt=1)
    """Share of edges that one view lacks, and of nodes that the drawn modality of the other lacks."""
    cl_weight: float = Field(default=0.4, ge=0)
    """Weight of the contrast."""
    temperature: float = Field(default=0.2, gt=0)
    """Of the contrast's softmax."""
    reg_weight: float = Field(default=1e-4, ge=0)
    """Weight of the embedding norm."""


class Mmgcl(LightGcnRecommender[MmgclConfig]):
    """Contrast of a view without some edges and one whose drawn modality lacks some nodes; see the module."""

    spec = ModelSpec(
        name="mmgcl",
        title="MMGCL",
        paper="Yi et al., SIGIR 2022",
        url="https://doi.org/10.1145/3477495.3532027",
        cells=frozenset({Cell.USER_ITEM_GRAPH, Cell.CONTRASTIVE}),
        complexity="O(E L M D + N M D^2 + I F D + B^2 D)",
        features=FeatureUse.REQUIRED,
    )
    Config = MmgclConfig

    def __init__(self, config: MmgclConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._inputs = inputs
        self._views = (self._adjacency, self._adjacency)
        self._schedule, self._step = [0], 0
        self.projection = ModalityProjection(inputs, config.embedding_size, generator)
        width = (1 + len(inputs.features)) * config.embedding_size
        self.user_readout = linear(width, config.embedding_size, generator)
        self.item_readout = linear(width, config.embedding_size, generator)

    def start_epoch(self) -> None:
        """Draws the two graphs of this epoch and which modality lacks nodes in which step."""
        if self.config.dropout > 0 and self.config.cl_weight > 0:
            share = self.config.dropout
            self._views = (
                without_edges(self._inputs, share, self.generator),
                without_nodes(self._inputs, share, self.generator),
            )
        # drawn ahead, since a host would wait for its GPU at each step
        numbers = torch.randint(
            len(self._inputs.features), (_AHEAD,), generator=self.generator, device=self.device
        )
        self._schedule, self._step = numbers.tolist(), 0

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and norm of the clean vectors, contrast of the two views."""
        config, content = self.config, list(self.projection().values())
        users, items = self._channels(content, [self._adjacency] * (1 + len(content)))
        final = pair_rows(self.user_readout(users.flatten(1)), self.item_readout(items.flatten(1)), batch)
        terms = {"bpr": bpr_inner(*final), "reg": config.reg_weight * embedding_norm(*final)}
        if config.cl_weight > 0:
            terms["contrast"] = config.cl_weight * self._contrast(content, batch)
        return terms

    def representations(self) -> tuple[Tensor, Tensor]:
        """Readouts of all channels on the whole graph."""
        content = list(self.projection().values())
        users, items = self._channels(content, [self._adjacency] * (1 + len(content)))
        return self.user_readout(users.flatten(1)), self.item_readout(items.flatten(1))

    def _channels(self, content: list[Tensor], graphs: list[SparseOperator]) -> tuple[Tensor, Tensor]:
        """Channels of users [U, 1 + M, D] and items [I, 1 + M, D]."""
        pairs = [
            mean_of_layers(graph, self.user_embedding, items, self.config.n_layers)
            for graph, items in zip(graphs, [self.item_embedding, *content], strict=True)
        ]
        users, items = (torch.stack(side, dim=1) for side in zip(*pairs, strict=True))
        return users, items

    def _contrast(self, content: list[Tensor], batch: PairBatch) -> Tensor:
        few_edges, few_nodes = self._views
        drawn = 1 + self._schedule[self._step % len(self._schedule)]
        self._step += 1
        graphs = [few_nodes if number == drawn else self._adjacency for number in range(1 + len(content))]
        users, user_weights = once(batch.users)
        (items, place), (_, item_weights) = distinct(batch.positives), once(batch.positives)
        # each item's negative is that of its first row
        rows = torch.arange(len(place), device=place.device)
        first = place.new_full((len(items),), len(place) - 1).scatter_reduce(0, place, rows, "amin")
        one = self._channels(content, [few_edges] * len(graphs))
        other = self._channels(content, graphs)
        mine = take_rows(other[1], items)
        theirs = take_rows(other[1], take_rows(batch.negatives, first))
        swapped = torch.cat([mine[:, :drawn], theirs[:, drawn : drawn + 1], mine[:, drawn + 1 :]], dim=1)
        user_views = [self.user_readout(take_rows(view, users).flatten(1)) for view in (one[0], other[0])]
        item_views = [
            self.item_readout(view.flatten(1)) for view in (take_rows(one[1], items), mine, swapped)
        ]
        temperature = self.config.temperature
        of_users = info_nce(user_views[0], user_views[1], temperature, user_weights)
        return of_users + challenged_contrast(
            item_views[0], item_views[1], item_views[2], temperature, item_weights
        )


def challenged_contrast(
    anchors: Tensor, others: Tensor, challenges: Tensor, temperature: float, weights: Tensor | None = None
) -> Tensor:
    """`info_nce` of two views [n, D] with one more negative for each anchor, `challenges` [n, D]."""
    one, other, challenge = (unit_rows(rows) for rows in (anchors, others, challenges))
    logits = one @ other.T / temperature
    harder = (one * challenge).sum(1, keepdim=True) / temperature
    compared = logits
    if weights is not None:
        compared = logits.masked_fill(weights == 0, torch.finfo(logits.dtype).min)
    return mean_of(torch.cat([compared, harder], dim=1).logsumexp(1) - logits.diagonal(), weights)
