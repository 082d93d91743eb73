"""MKR. Wang et al., "Multi-Task Feature Learning for Knowledge Graph Enhanced Recommendation", WWW 2019.

https://arxiv.org/abs/1901.08907

Equation: an item v and its entity e are mixed L times by a cross and compress unit, C = v e', v' = C w_vv + C' w_ev +
b_v, e' = C w_ve + C' w_ee + b_e, which is v' = v <e, w_vv> + e <v, w_ev> + b_v and so for e'. Users go through L layers
u <- ReLU(W u + b), tails of triples through L of their own. y_ui = <u_L, v_L>. A triple (h, r, t) is scored by
s = sigmoid(<t_L, sigmoid(M [e_L; r])>), with e_L the head's entity, mixed with its item, and M of H layers, ReLU
between. Loss = BPR + knowledge_weight * (-mean log sigmoid(s(h, r, t) - s(h, r, t'))) + reg_weight * half the squared
norm of the batch's u_L and v_L.

Deviations: the published loss of triples is -s, has no negatives and is satisfied by large vectors that all point one
way; here it compares with a corrupted tail (`knowledge_loss: published` is -mean s). It recommends after cross
entropy on sampled labels, here after BPR, and both tasks are one loss instead of turns of several epochs. Only triples
whose head is an item are learned from, as published. An item that nothing is known of keeps v' = v. Widths are 64, one
layer each (published: 4 and 8). The explicit [D, D] product C is never made.

Complexity: O((B + T_b) (L + H) D^2) a step; scores O((U + I) L D^2).
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.distinct import distinct
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr, bpr_inner, squared_norm
from mrs_pipeline.functional.triples import Triples, TripleSampler
from mrs_pipeline.models.base import PairBatch, Recommender
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.knowledge_nodes import item_triples, known
from mrs_pipeline.models.layers.parameters import embedding, linear, vector, xavier
from mrs_pipeline.models.spec import ModelSpec
from mrs_pipeline.taxonomy import Cell


class MkrConfig(GradientConfig):
    """Settings of MKR."""

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": (2e-4, 1e-3, 1e-2),
        "knowledge_weight": (1e-2, 1e-1, 1.0),
        "n_layers": (1, 2),
    }

    n_layers: int = Field(default=1, ge=1, le=8)
    """Cross and compress units L, and layers of users and tails."""
    n_high_layers: int = Field(default=1, ge=1, le=8)
    """Layers H from head and relation to the tail that they call for."""
    n_triples: int = Field(default=2048, ge=1, le=1_000_000)
    """Triples a step."""
    knowledge_loss: Literal["pairwise", "published"] = "pairwise"
    """Whether a triple's score is compared with that of a corrupted one, or raised whatever the others are."""
    knowledge_weight: float = Field(default=0.1, gt=0)
    """Weight of the triples' loss."""
    reg_weight: float = Field(default=1e-6, ge=0)
    """Weight of the squared norm of the batch's vectors."""


class Mkr(Recommender[MkrConfig, PairBatch]):
    """Items and entities mixed while two tasks are learned; see the module."""

    spec = ModelSpec(
        name="mkr",
        title="MKR",
        paper="Wang et al., WWW 2019",
        url="https://arxiv.org/abs/1901.08907",
        cells=frozenset({Cell.KNOWLEDGE_GRAPH}),
        complexity="O((B + T_b) (L + H) D^2)",
        knowledge=True,
    )
    Config = MkrConfig

    def __init__(self, config: MkrConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size, knowledge = config.embedding_size, known(inputs)
        heads, relations, tails, n_relations = item_triples(inputs)
        of_items = heads < inputs.n_items
        triples = Triples.one_way(
            heads[of_items], relations[of_items], tails[of_items], knowledge.n_entities, n_relations
        )
        self._sampler = TripleSampler.from_triples(triples, config.n_triples)
        named = knowledge.named()
        self._is_known = named[: inputs.n_items]
        self.user_embedding = embedding(inputs.users_seen(), size, generator)
        self.item_embedding = embedding(inputs.items_seen() | self._is_known, size, generator)
        self.head_embedding = embedding(self._is_known, size, generator)
        tails_seen = torch.bincount(tails[of_items], minlength=knowledge.n_entities) > 0
        self.tail_embedding = embedding(tails_seen | named, size, generator)
        self.relation_embedding = nn.Parameter(xavier((n_relations, size), generator))
        self.units = nn.ModuleList(CrossCompress(size, generator) for _ in range(config.n_layers))
        self.user_layers, self.tail_layers = (
            nn.ModuleList(linear(size, size, generator) for _ in range(config.n_layers)) for _ in range(2)
        )
        widths = [2 * size] * (config.n_high_layers - 1) + [size]
        self.high = nn.ModuleList(linear(2 * size, width, generator) for width in widths)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR, the triples' loss, the norm of the batch's vectors."""
        config = self.config
        items, place = distinct(torch.cat([batch.positives, batch.negatives]))
        positive, negative = take_rows(self._mixed(items)[0], place).chunk(2)
        user = _through(self.user_layers, take_rows(self.user_embedding, batch.users))
        return {
            "bpr": bpr_inner(user, positive, negative),
            "knowledge": config.knowledge_weight * self._triples_loss(),
            "reg": config.reg_weight * squared_norm(user, positive, negative),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Users [U, D] through their layers, items [I, D] mixed with their entities."""
        items = torch.arange(self.n_items, device=self.device)
        return _through(self.user_layers, self.user_embedding), self._mixed(items)[0]

    def _mixed(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """v_L and e_L [n, D] of `items` [n]; v_L = v of an item that nothing is known of."""
        item, entity = take_rows(self.item_embedding, items), take_rows(self.head_embedding, items)
        start = item
        for unit in self.units:
            item, entity = unit(item, entity)
        return torch.where(take_rows(self._is_known, items).unsqueeze(1), item, start), entity

    def _triples_loss(self) -> Tensor:
        drawn = self._sampler.draw(self.generator)
        heads, place = distinct(drawn.heads)
        entity = take_rows(self._mixed(heads)[1], place)
        asked = torch.cat([entity, take_rows(self.relation_embedding, drawn.relations)], dim=1)
        for number, layer in enumerate(self.high):
            last = number == len(self.high) - 1
            asked = torch.sigmoid(layer(asked)) if last else torch.relu(layer(asked))
        true, corrupted = (
            torch.sigmoid((asked * _through(self.tail_layers, take_rows(self.tail_embedding, ends))).sum(1))
            for ends in (drawn.tails, drawn.negatives)
        )
        return bpr(true - corrupted) if self.config.knowledge_loss == "pairwise" else -true.mean()


class CrossCompress(nn.Module):
    """The unit that mixes an item and its entity, without the product of the two that it stands for."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.vv, self.ev, self.ve, self.ee = (vector(size, generator) for _ in range(4))
        self.item_bias, self.entity_bias = (
            nn.Parameter(torch.zeros(size, device=generator.device)) for _ in range(2)
        )

    def forward(self, item: Tensor, entity: Tensor) -> tuple[Tensor, Tensor]:
        """Both [n, D]."""

        def along(rows: Tensor, weights: Tensor) -> Tensor:
            return (rows @ weights).unsqueeze(1)

        mixed_item = item * along(entity, self.vv) + entity * along(item, self.ev) + self.item_bias
        mixed_entity = item * along(entity, self.ve) + entity * along(item, self.ee) + self.entity_bias
        return mixed_item, mixed_entity


def _through(layers: nn.ModuleList, rows: Tensor) -> Tensor:
    for layer in layers:
        rows = torch.relu(layer(rows))
    return rows
