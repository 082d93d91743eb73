"""KGIN. Wang et al., "Learning Intents behind Interactions with Knowledge Graph for Recommendation", WWW 2021.

https://arxiv.org/abs/2102.07057

Equation: P intents e_p = sum_r softmax(w_p)_r r over the relations r of the knowledge graph, both directions. L times:
users u' = m_u * (1 + sum_p b_up e_p), m_u the mean of the user's items, b_up = softmax_p <u, z_p>; entities e_h' = mean
over the triples (h, r, t) of r * e_t, items being entities. After each step dropout, then length one. Vectors are the
sums of all layers, y_ui = <u, i>; loss = BPR + reg_weight * half the squared norm of the batch's vectors +
intent_weight * sum over pairs of intents of dCor(w_p, w_p'), the distance correlation of the two rows of weights.

Deviations: the attention of users compares with free vectors z_p, as the published code does and the paper does not
(it takes e_p). The code also drops half of the edges at each step, with a factor that is right at one half only; here
messages alone are dropped. It stops on the test set. An entity that heads no triple keeps zero above layer 0. With
one intent, or where there is one relation only, which every intent then equals, there is no term of intents.

Complexity: O((E + T) L D + N L D + P R D) a step, T triples in both directions; memory O(N L D).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.graphs import normalise_rows
from mrs_pipeline.functional.independence import distance_correlations
from mrs_pipeline.functional.kernels.rows import unit_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.losses import bpr_inner, squared_norm
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.functional.triples import Triples
from mrs_pipeline.models.base import PairBatch, Recommender
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.interactions import interaction_matrix
from mrs_pipeline.models.layers.knowledge_nodes import entity_tables, item_triples, known
from mrs_pipeline.models.layers.parameters import xavier
from mrs_pipeline.models.spec import ModelSpec
from mrs_pipeline.taxonomy import Cell


class KginConfig(GradientConfig):
    """Settings of KGIN."""

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": (1e-4, 1e-3, 1e-2),
        "n_layers": (1, 2, 3),
        "intent_weight": (1e-5, 1e-4, 1e-3),
    }

    n_layers: int = Field(default=3, ge=1, le=8)
    """Steps L over the knowledge graph."""
    n_intents: int = Field(default=4, ge=1, le=64)
    """Intents P."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of each step's entries dropped in training."""
    intent_weight: float = Field(default=1e-4, ge=0)
    """Weight of the dependence between intents."""
    reg_weight: float = Field(default=1e-5, ge=0)
    """Weight of the squared norm of the batch's vectors."""


class Kgin(Recommender[KginConfig, PairBatch]):
    """Intents made of relations, paths that keep their relations; see the module."""

    spec = ModelSpec(
        name="kgin",
        title="KGIN",
        paper="Wang et al., WWW 2021",
        url="https://arxiv.org/abs/2102.07057",
        cells=frozenset({Cell.KNOWLEDGE_GRAPH}),
        complexity="O((E + T) L D + N L D + P R D)",
        knowledge=True,
    )
    Config = KginConfig

    def __init__(self, config: KginConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size, entities = config.embedding_size, known(inputs).n_entities
        triples = Triples.from_parts([item_triples(inputs)], entities)
        self._steps = _relation_steps(triples)
        ratings = normalise_rows(interaction_matrix(inputs))
        self._mean_of_items = SparseOperator.from_csr(ratings)
        self.user_embedding, self.item_embedding, self.entity_embedding = entity_tables(
            inputs, size, generator
        )
        self.relation_embedding = nn.Parameter(xavier((len(triples.counts), size), generator))
        # one intent is every user's, and one relation every intent's: there is nothing to choose
        self.intents: nn.Parameter | None = None
        self.intent_weights: nn.Parameter | None = None
        if config.n_intents > 1 and len(triples.counts) > 1:
            self.intents = nn.Parameter(xavier((config.n_intents, size), generator))
            self.intent_weights = nn.Parameter(xavier((config.n_intents, len(triples.counts)), generator))

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and norm of the final vectors, dependence of the intents."""
        config = self.config
        rows = pair_rows(*self.representations(), batch)
        terms = {"bpr": bpr_inner(*rows), "reg": config.reg_weight * squared_norm(*rows)}
        if self.intent_weights is not None:
            dependence = distance_correlations(self.intent_weights.T.unsqueeze(2)).triu(1).sum()
            terms["intents"] = config.intent_weight * dependence
        return terms

    def representations(self) -> tuple[Tensor, Tensor]:
        """Sums over the layers, users [U, D] and items [I, D]."""
        users: Tensor = self.user_embedding
        entities = torch.cat([self.item_embedding, self.entity_embedding])
        of_users, of_entities, rate = users, entities, self.config.dropout if self.training else 0.0
        for _ in range(self.config.n_layers):
            around = self._mean_of_items @ entities[: self.n_items]
            users = around * (1 + self._intent_mix(users))
            entities = self._around(entities)
            users, entities = (unit_rows(dropout(rows, rate, self.generator)) for rows in (users, entities))
            of_users, of_entities = of_users + users, of_entities + entities
        return of_users, of_entities[: self.n_items]

    def _intent_mix(self, users: Tensor) -> Tensor:
        """[U, D] the intents of users [U, D], or [D] the one that all have."""
        if self.intents is None or self.intent_weights is None:
            return self.relation_embedding.mean(0)
        vectors = self.intent_weights.softmax(1) @ self.relation_embedding
        return (users @ self.intents.T).softmax(1) @ vectors

    def _around(self, entities: Tensor) -> Tensor:
        """Mean over an entity's triples of r * e_t, relation by relation."""
        total = torch.zeros_like(entities)
        for relation, step in self._steps:
            total = torch.addcmul(total, step @ entities, self.relation_embedding[relation])
        return total


def _relation_steps(triples: Triples) -> list[tuple[int, SparseOperator]]:
    """Each relation that has triples and its graph of entities, divided by the triples that a head has in all."""
    shape = (triples.n_nodes, triples.n_nodes)
    weights = torch.bincount(triples.heads, minlength=triples.n_nodes).float().reciprocal()[triples.heads]
    steps, start = [], 0
    for relation, count in enumerate(triples.counts):
        some = slice(start, start + count)
        start += count
        if count:
            graph = Csr.from_pairs(triples.heads[some], triples.tails[some], weights[some], shape)
            steps.append((relation, SparseOperator.from_csr(graph)))
    return steps
