"""MEGCF. Liu et al., "MEGCF: Multimodal Entity Graph Collaborative Filtering ...", TOIS 2023.

In full: "MEGCF: Multimodal Entity Graph Collaborative Filtering for Personalized Recommendation".
https://doi.org/10.1145/3544106

Equation: nodes are users, items and semantic entities. A_1 has the user-item edges, A_2 those and the item-entity
edges. With S the edges' sentiment, that of their item, P = (D^-1/2 (A + I) D^-gamma) * (S + 2 I), element by element,
x^(g) = P_g^L X, the last layer alone; y_ui = <u^1, i^1> + <u^2, i^2>. loss = BPR by x^1 + BPR by x^2 + sum_g
reg_weight_g * half the squared norm of the batch's rows of x^(g). s_i = (n_i / max n)^.01, n_i the item's training
rows, divided by its mean over items.

Deviations: entities are derived, where the paper extracts objects of pictures and words of texts: an item belongs to
the `each` nearest of `n_entities` clusters of each modality. The sentiment is the published code's for data without
reviews, with each item's users all counted (there the first is left out); an item without rows has the smallest of
the others. The diagonal is doubled, as it is published. The item-entity negatives that are sampled there and used in
no term are not drawn.

Complexity: O((E + I M) D L) a step.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.graphs import normalise_asymmetric, with_self_loops
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.losses import bpr_inner, squared_norm
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import PairBatch, Recommender
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.content_clusters import NONE, content_clusters
from mrs_pipeline.models.layers.parameters import embedding
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class MegcfConfig(GradientConfig):
    """Settings of MEGCF."""

    search_space: ClassVar[SearchSpace] = {
        "n_layers": (2, 3, 5),
        "gamma": (0.3, 0.4, 0.5),
        "n_entities": (50, 200, 500),
        "reg_weight": (1e-4, 1e-3, 1e-2),
        "learning_rate": (1e-3, 5e-3),
    }

    n_layers: int = Field(default=3, ge=1, le=8)
    """Propagation steps L."""
    gamma: float = Field(default=0.4, ge=0, le=1)
    """Exponent of the sender's degree."""
    sentiment: float = Field(default=0.01, ge=0)
    """Exponent of an item's popularity in its sentiment."""
    self_loop: float = Field(default=2.0, ge=0)
    """Weight of a node's own vector in a step (1 without the doubling)."""
    n_entities: int = Field(default=200, ge=1, le=100_000)
    """Entities of each modality."""
    each: int = Field(default=3, ge=1, le=100)
    """Entities of an item in each modality."""
    reg_weight: float = Field(default=1e-2, ge=0)
    """Weight of the squared norm of the batch's vectors without entities."""
    entity_reg_weight: float = Field(default=1e-3, ge=0)
    """Weight of the squared norm of the batch's vectors with entities."""


class Megcf(Recommender[MegcfConfig, PairBatch]):
    """Linear propagation over users, items and what items are about; see the module."""

    spec = ModelSpec(
        name="megcf",
        title="MEGCF",
        paper="Liu et al., TOIS 2023",
        url="https://doi.org/10.1145/3544106",
        cells=frozenset({Cell.FILTRATION}),
        complexity="O((E + I M) D L)",
        clusters=True,
        features=FeatureUse.REQUIRED,
    )
    Config = MegcfConfig

    def __init__(self, config: MegcfConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        items, entities, n_entities = _entity_edges(inputs, config)
        size, used = config.embedding_size, torch.ones(n_entities, device=inputs.device)
        self.user_embedding: nn.Parameter = embedding(inputs.users_seen(), size, generator)
        self.item_embedding: nn.Parameter = embedding(inputs.items_seen(), size, generator)
        self.entity_embedding: nn.Parameter = embedding(used, size, generator)
        weights = _sentiment(inputs, config.sentiment)
        nodes = inputs.n_users + inputs.n_items + n_entities
        pairs = inputs.users, inputs.items + inputs.n_users, weights[inputs.items]
        facts = items + inputs.n_users, entities + inputs.n_users + inputs.n_items, weights[items]
        self._plain = _propagation([pairs], nodes, config)
        self._joint = _propagation([pairs, facts], nodes, config)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR by either graph."""
        config = self.config
        plain, joint = (pair_rows(*vectors, batch) for vectors in self._both())
        return {
            "bpr": bpr_inner(*plain),
            "bpr_entities": bpr_inner(*joint),
            "reg": config.reg_weight * squared_norm(*plain) + config.entity_reg_weight * squared_norm(*joint),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """The vectors of the two graphs side by side, [U, 2 D] and [I, 2 D]."""
        plain, joint = self._both()
        return torch.cat([plain[0], joint[0]], dim=1), torch.cat([plain[1], joint[1]], dim=1)

    def _both(self) -> list[tuple[Tensor, Tensor]]:
        """Users [U, D] and items [I, D] without and with entities."""
        start = torch.cat([self.user_embedding, self.item_embedding, self.entity_embedding])
        found = []
        for operator in (self._plain, self._joint):
            x = start
            for _ in range(self.config.n_layers):
                x = operator @ x
            users, items = x[: self.n_users], x[self.n_users : self.n_users + self.n_items]
            found.append((users, items))
        return found


def _propagation(
    edges: list[tuple[Tensor, Tensor, Tensor]], nodes: int, config: MegcfConfig
) -> SparseOperator:
    """P of edges (one end [E], other end [E], sentiment [E])."""
    one, other, sentiment = (torch.cat(parts) for parts in zip(*edges, strict=True))
    shape, ends = (nodes, nodes), (torch.cat([one, other]), torch.cat([other, one]))
    plain = with_self_loops(Csr.from_pairs(*ends, sentiment.new_ones(2 * len(one)), shape))
    loops = torch.arange(nodes, device=one.device)
    felt = Csr.from_pairs(
        torch.cat([ends[0], loops]),
        torch.cat([ends[1], loops]),
        torch.cat([sentiment, sentiment, sentiment.new_full((nodes,), config.self_loop)]),
        shape,
    )
    scaled = normalise_asymmetric(plain, 0.5, config.gamma)
    return SparseOperator.from_csr(scaled.with_weights(scaled.weights * felt.weights))


def _sentiment(inputs: ModelInputs, exponent: float) -> Tensor:
    """[I] s_i."""
    counts = torch.bincount(inputs.items, minlength=inputs.n_items).float()
    felt = (counts.clamp(min=1) / counts.max().clamp(min=1)) ** exponent
    return felt / felt.mean()


def _entity_edges(inputs: ModelInputs, config: MegcfConfig) -> tuple[Tensor, Tensor, int]:
    """Items [n], their entities [n], and how many entities there are."""
    items, entities, count = [], [], 0
    for modality in inputs.features:
        found = content_clusters(inputs, modality, config.n_entities, config.each)
        item, place = torch.nonzero(found != NONE, as_tuple=True)
        items.append(item)
        entities.append(found[item, place] + count)
        count += int(found.max()) + 1
    return torch.cat(items), torch.cat(entities), count
