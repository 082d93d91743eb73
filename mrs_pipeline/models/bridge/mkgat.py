"""MKGAT. Sun et al., "Multi-modal Knowledge Graphs for Recommender Systems", CIKM 2020.

https://doi.org/10.1145/3340531.3411947

Equation: a graph of items and entities to which each modality of an item is joined as a node of its own, by a relation
`has` of that modality; nodes start as W e (items, entities) or W_m x^m (modality nodes), and all edges come with their
inverses. An attention layer is e(h, r, t) = W_1 [h ; r ; t], pi = softmax over the edges of h of LeakyReLU(w_2 . e),
h' = W_3 h + sum of pi e (`combine: add`) or W_3 [h ; sum of pi e] (`concat`). `n_knowledge_layers` of them run over
the knowledge graph; its items join the users in the user-item graph, where `n_layers` more run, and the vectors of all
of these stand side by side; y_ui = <e_u, e_i>. Loss = BPR + knowledge_weight * translation + reg_weight * squared
norms, translation = -mean log sigmoid(f(h, r, t-) - f(h, r, t)), f = |h' + r - t'|^2 with the vectors that the
knowledge layers give.

Deviations: there is no published code; where the paper leaves a size open it is KGAT's. The two phases are terms of
one loss, with a batch of triples a step, where the paper alternates: the vectors that translation compares are those
that the ranking needs anyway. An item without a modality has no node of it. Features are centred and scaled
(`functional.content.comparable`). W_1 [h ; r ; t] is computed as A h + B r + C t, once a node and once a relation
instead of once an edge. A node without an edge gathers nothing.

Complexity: O((T + E L + N D + I F) D) a step with N nodes; memory O(N D + T + E).
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from mrs_pipeline.functional.attention import edge_softmax
from mrs_pipeline.functional.content import comparable
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.multi_edges import MultiEdgePattern
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr, bpr_inner, squared_norm
from mrs_pipeline.functional.triples import Triples, TripleSampler
from mrs_pipeline.models.base import PairBatch, Recommender
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.knowledge_nodes import (
    TripleParts,
    entity_tables,
    interaction_triples,
    item_triples,
    known,
)
from mrs_pipeline.models.layers.parameters import linear, xavier
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

Combine = Literal["add", "concat"]


class MkgatConfig(GradientConfig):
    """Settings of MKGAT."""

    search_space: ClassVar[SearchSpace] = {
        "n_layers": (1, 2),
        "n_knowledge_layers": (1, 2),
        "combine": ("add", "concat"),
        "reg_weight": (1e-3, 1e-4, 1e-5),
    }

    n_layers: int = Field(default=2, ge=1, le=8)
    """Attention layers over the user-item graph."""
    n_knowledge_layers: int = Field(default=1, ge=1, le=8)
    """Attention layers over the knowledge graph."""
    combine: Combine = "add"
    """How a node and what it gathers become one."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of a layer's values left out in training."""
    reg_weight: float = Field(default=1e-5, ge=0)
    """Weight of the squared norms of the batch's rows."""
    knowledge_weight: float = Field(default=1.0, gt=0)
    """Weight of the translation loss."""
    n_triples: int = Field(default=2048, ge=1)
    """Triples a step."""


class Mkgat(Recommender[MkgatConfig, PairBatch]):
    """Attention over a knowledge graph with modality nodes, then over interactions; see the module."""

    spec = ModelSpec(
        name="mkgat",
        title="MKGAT",
        paper="Sun et al., CIKM 2020",
        url="https://doi.org/10.1145/3340531.3411947",
        cells=frozenset({Cell.KNOWLEDGE_GRAPH, Cell.FILTRATION}),
        complexity="O((T + E L + N D + I F) D)",
        features=FeatureUse.REQUIRED,
        knowledge=True,
    )
    Config = MkgatConfig

    def __init__(self, config: MkgatConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size, combine = config.embedding_size, config.combine
        self._content = {
            modality: take_rows(comparable(values, inputs.present[modality]), owners)
            for (modality, values), owners in zip(inputs.features.items(), _owners(inputs), strict=True)
        }
        knowledge, interactions = _knowledge_triples(inputs), _interactions(inputs)
        self._sampler = TripleSampler.from_triples(knowledge, config.n_triples)
        self.user_embedding, self.item_embedding, self.entity_embedding = entity_tables(
            inputs, size, generator
        )
        self.encoder = linear(size, size, generator)
        self.content_encoders = nn.ModuleDict(
            {modality: linear(values.shape[1], size, generator) for modality, values in self._content.items()}
        )
        self.relations, self.interaction_relations = (
            _relation_table(len(triples.counts), size, generator) for triples in (knowledge, interactions)
        )
        self.knowledge_layers = nn.ModuleList(
            _AttentionLayer(knowledge, size, combine, generator) for _ in range(config.n_knowledge_layers)
        )
        self.layers = nn.ModuleList(
            _AttentionLayer(interactions, size, combine, generator) for _ in range(config.n_layers)
        )

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR of the final vectors, translation of some triples, the norms of both."""
        nodes = self._knowledge_nodes()
        rows = pair_rows(*self._users_and_items(nodes), batch)
        triples, shift = self._sampler.draw(self.generator), self.relations
        head, tail, negative = (
            take_rows(nodes, ends) for ends in (triples.heads, triples.tails, triples.negatives)
        )
        translated = head + take_rows(shift, triples.relations)
        gaps = (translated - negative).square().sum(1) - (translated - tail).square().sum(1)
        return {
            "bpr": bpr_inner(*rows),
            "knowledge": self.config.knowledge_weight * bpr(gaps),
            "reg": self.config.reg_weight * (squared_norm(*rows) + squared_norm(head, tail, negative)),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """The vectors of all user-item layers side by side."""
        return self._users_and_items(self._knowledge_nodes())

    def _knowledge_nodes(self) -> Tensor:
        """Items, entities and modality nodes after the knowledge layers."""
        named = self.encoder(torch.cat([self.item_embedding, self.entity_embedding]))
        content = [encode(self._content[modality]) for modality, encode in self.content_encoders.items()]
        nodes = torch.cat([named, *content])
        for layer in self.knowledge_layers:
            nodes = self._dropped(layer(nodes, self.relations))
        return nodes

    def _users_and_items(self, knowledge_nodes: Tensor) -> tuple[Tensor, Tensor]:
        layers = [torch.cat([self.user_embedding, knowledge_nodes[: self.n_items]])]
        for layer in self.layers:
            layers.append(self._dropped(layer(layers[-1], self.interaction_relations)))
        users, items = torch.cat(layers, dim=1).split_with_sizes([self.n_users, self.n_items])
        return users, items

    def _dropped(self, nodes: Tensor) -> Tensor:
        return dropout(nodes, self.config.dropout, self.generator) if self.training else nodes


class _AttentionLayer(nn.Module):
    """One step of relational attention over a fixed set of triples; linear in nodes and edges."""

    def __init__(self, triples: Triples, size: int, combine: Combine, generator: torch.Generator) -> None:
        super().__init__()
        nodes, n_relations = triples.n_nodes, len(triples.counts)
        self._triples, self._combine = triples, combine
        # a row of the matrix holds an edge's weight twice: at its tail and, behind all nodes, at its relation
        self._pattern = MultiEdgePattern.from_edges(
            triples.heads.repeat(2),
            torch.cat([triples.tails, nodes + triples.relations]),
            (nodes, nodes + n_relations),
        )
        self._linked = (torch.bincount(triples.heads, minlength=nodes) > 0).float().unsqueeze(1)
        self.head, self.relation, self.tail = (linear(size, size, generator, bias=False) for _ in range(3))
        self.score = linear(size, 1, generator, bias=False)
        self.update = linear(size if combine == "add" else 2 * size, size, generator)

    def forward(self, nodes: Tensor, relations: Tensor) -> Tensor:
        """[N, D] from nodes [N, D] and relations [R, D]."""
        triples = self._triples
        head, tail, relation = self.head(nodes), self.tail(nodes), self.relation(relations)
        head_score, tail_score, relation_score = (
            self.score(part).squeeze(1) for part in (head, tail, relation)
        )
        scores = (
            take_rows(head_score, triples.heads)
            + take_rows(relation_score, triples.relations)
            + take_rows(tail_score, triples.tails)
        )
        weights = edge_softmax(leaky_relu(scores), triples.heads, triples.n_nodes)
        gathered = self._linked * head + self._pattern.product(weights.repeat(2), torch.cat([tail, relation]))
        updated: Tensor = (
            self.update(nodes) + gathered
            if self._combine == "add"
            else self.update(torch.cat([nodes, gathered], dim=1))
        )
        return updated


def _relation_table(n_relations: int, size: int, generator: torch.Generator) -> nn.Parameter:
    return nn.Parameter(xavier((n_relations, size), generator))


def _owners(inputs: ModelInputs) -> list[Tensor]:
    """The items of each modality's nodes."""
    return [inputs.present[modality].nonzero().squeeze(1) for modality in inputs.features]


def _knowledge_triples(inputs: ModelInputs) -> Triples:
    """What is known; then for each modality (item, has, node), its nodes behind all others."""
    parts: list[TripleParts] = [item_triples(inputs)]
    nodes = known(inputs).n_entities
    for items in _owners(inputs):
        parts.append(
            (items, torch.zeros_like(items), nodes + torch.arange(len(items), device=items.device), 1)
        )
        nodes += len(items)
    return Triples.from_parts(parts, nodes)


def _interactions(inputs: ModelInputs) -> Triples:
    return Triples.from_parts([interaction_triples(inputs)], inputs.n_users + inputs.n_items)
