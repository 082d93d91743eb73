"""KGAT. Wang et al., "KGAT: Knowledge Graph Attention Network for Recommendation", KDD 2019.

https://arxiv.org/abs/1905.07854

Equation: on one graph of users, items and entities, whose edges are the interactions and the triples, both with their
inverses: pi(h, r, t) = (W_r e_t) . tanh(W_r e_h + e_r), softmax over the edges of h; e_N = sum of pi e_t over them;
e' = LeakyReLU(W_1 (e + e_N)) + LeakyReLU(W_2 (e * e_N)). A node's vector is its embedding beside the normalised
vectors of all layers; y_ui = <e_u, e_i>. Loss = BPR + knowledge_weight * TransR + reg_weight * squared norms, TransR
= -mean log sigmoid(f(h, r, t') - f(h, r, t)), f = |W_r e_h + e_r - W_r e_t|^2, t' a tail that is not known to be true.

Deviations: TransR is a term of the loss, with a batch of triples at every step, where the paper has two optimisers
take turns; so both see one state of Adam and no setting is needed for the turns. The batch of triples is stratified
by relation. As in the published code attention is worked out once an epoch and without gradient; for scoring it
is that of the weights as they are, so that what was stored scores as what was trained. Cold items take part in the
graph by their triples; an item or entity that neither an interaction nor a triple names stays zero.

Complexity: O((E + T + N D) L D) a step with N nodes, O((E + T) D^2) an epoch for the attention.
"""

from itertools import pairwise
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, normalize

from mrs_pipeline.functional.attention import edge_softmax
from mrs_pipeline.functional.distinct import distinct
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.multi_edges import MultiEdgePattern
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.losses import bpr, bpr_inner, squared_norm
from mrs_pipeline.functional.triples import Triples, TripleSampler, by_relation
from mrs_pipeline.models.base import PairBatch, Recommender
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.knowledge_nodes import entity_tables, interaction_triples, item_triples, known
from mrs_pipeline.models.layers.parameters import linear, xavier
from mrs_pipeline.models.spec import ModelSpec
from mrs_pipeline.taxonomy import Cell

_SLOPE = 0.2
"""Of LeakyReLU below zero, as in the published code."""
_EDGES_AT_ONCE = 1 << 16
"""Edges whose attention is worked out at once."""


class KgatConfig(GradientConfig):
    """Settings of KGAT."""

    search_space: ClassVar[SearchSpace] = {
        "layer_sizes": ((64,), (64, 32), (64, 32, 16)),
        "dropout": (0.0, 0.1, 0.3),
        "reg_weight": (1e-3, 1e-4, 1e-5),
    }

    layer_sizes: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        default=(64, 32, 16), min_length=1, max_length=8
    )
    """Width of each propagation layer."""
    relation_size: int = Field(default=64, ge=1, le=4096)
    """Width of the space in which a relation compares head and tail."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of a layer's values left out in training."""
    reg_weight: float = Field(default=1e-5, ge=0)
    """Weight of the squared norms of the batch's rows."""
    knowledge_weight: float = Field(default=1.0, gt=0)
    """Weight of TransR."""
    n_triples: int = Field(default=2048, ge=1)
    """Triples a step."""


class Kgat(Recommender[KgatConfig, PairBatch]):
    """Attentive propagation over interactions and knowledge; see the module."""

    spec = ModelSpec(
        name="kgat",
        title="KGAT",
        paper="Wang et al., KDD 2019",
        url="https://arxiv.org/abs/1905.07854",
        cells=frozenset({Cell.KNOWLEDGE_GRAPH}),
        complexity="O((E + T + N D) L D)",
        knowledge=True,
    )
    Config = KgatConfig

    def __init__(self, config: KgatConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self._triples = _collaborative_triples(inputs)
        nodes, n_relations = self._triples.n_nodes, len(self._triples.counts)
        self._pattern = MultiEdgePattern.from_edges(self._triples.heads, self._triples.tails, (nodes, nodes))
        self._sampler = TripleSampler.from_triples(self._triples, config.n_triples)
        self._attention: SparseOperator | None = None
        self.user_embedding, self.item_embedding, self.entity_embedding = entity_tables(
            inputs, size, generator
        )
        relation_size = config.relation_size
        self.relation_embedding = nn.Parameter(xavier((n_relations, relation_size), generator))
        projections = [xavier((size, relation_size), generator) for _ in range(n_relations)]
        self.relation_projection = nn.Parameter(torch.stack(projections))
        widths = [size, *config.layer_sizes]
        self.sums, self.products = (
            nn.ModuleList(linear(*pair, generator) for pair in pairwise(widths)) for _ in range(2)
        )

    def start_epoch(self) -> None:
        """Works out the attention of this epoch."""
        self._attention = self._attentive()

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR of the propagated vectors, TransR of some triples, the norms of both."""
        if self._attention is None:
            self._attention = self._attentive()
        nodes = self._nodes()
        wanted = torch.cat([batch.users, self.n_users + batch.positives, self.n_users + batch.negatives])
        rows, place = distinct(wanted)
        user, positive, negative = take_rows(self._propagate(nodes, self._attention, rows), place).chunk(3)
        gaps, compared = self._translations(nodes)
        norms = squared_norm(user, positive, negative) + squared_norm(*compared)
        return {
            "bpr": bpr_inner(user, positive, negative),
            "knowledge": self.config.knowledge_weight * bpr(gaps),
            "reg": self.config.reg_weight * norms,
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """All layers side by side, under the attention of the weights as they are."""
        vectors = self._propagate(self._nodes(), self._attentive(), None)
        users, items, _ = vectors.tensor_split([self.n_users, self.n_users + self.n_items])
        return users, items

    def _nodes(self) -> Tensor:
        return torch.cat([self.user_embedding, self.item_embedding, self.entity_embedding])

    def _propagate(self, nodes: Tensor, attention: SparseOperator, rows: Tensor | None) -> Tensor:
        """Vectors of `rows` [B], or of all nodes; the last layer is worked out for them alone."""
        last = len(self.sums) - 1
        layers = [nodes if rows is None else take_rows(nodes, rows)]
        for number, (added, multiplied) in enumerate(zip(self.sums, self.products, strict=True)):
            around = attention @ nodes
            if rows is not None and number == last:
                nodes, around = take_rows(nodes, rows), take_rows(around, rows)
            nodes = leaky_relu(added(nodes + around), _SLOPE) + leaky_relu(multiplied(nodes * around), _SLOPE)
            if self.training:
                nodes = dropout(nodes, self.config.dropout, self.generator)
            asked = nodes if rows is None or number == last else take_rows(nodes, rows)
            layers.append(normalize(asked, dim=1))
        return torch.cat(layers, dim=1)

    def _translations(self, nodes: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Gaps f(h, r, t') - f(h, r, t) [B] of some triples, and the vectors that they compare."""
        batch = self._sampler.draw(self.generator)
        head, tail, negative = (
            by_relation(take_rows(nodes, ends), self.relation_projection, batch.counts)
            for ends in (batch.heads, batch.tails, batch.negatives)
        )
        relation = take_rows(self.relation_embedding, batch.relations)
        translated = head + relation
        gaps = (translated - negative).square().sum(1) - (translated - tail).square().sum(1)
        return gaps, (head, relation, tail, negative)

    @torch.no_grad()
    def _attentive(self) -> SparseOperator:
        """The graph weighted by attention, relation by relation in blocks of edges."""
        nodes, triples = self._nodes(), self._triples
        scores, start = torch.empty(len(triples.heads), device=self.device), 0
        for relation, count in enumerate(triples.counts):
            projection, shift = self.relation_projection[relation], self.relation_embedding[relation]
            for first in range(start, start + count, _EDGES_AT_ONCE):
                edges = slice(first, min(first + _EDGES_AT_ONCE, start + count))
                head, tail = (
                    take_rows(nodes, ends[edges]) @ projection for ends in (triples.heads, triples.tails)
                )
                scores[edges] = (tail * torch.tanh(head + shift)).sum(1)
            start += count
        return self._pattern.operator(edge_softmax(scores, triples.heads, triples.n_nodes))


def _collaborative_triples(inputs: ModelInputs) -> Triples:
    """Users, then items and entities; interactions, then what is known."""
    heads, relations, tails, n_relations = item_triples(inputs)
    knowledge = (inputs.n_users + heads, relations, inputs.n_users + tails, n_relations)
    return Triples.from_parts(
        [interaction_triples(inputs), knowledge], inputs.n_users + known(inputs).n_entities
    )
