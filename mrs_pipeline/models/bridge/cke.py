"""CKE. Zhang et al., "Collaborative Knowledge Base Embedding for Recommender Systems", KDD 2016.

https://doi.org/10.1145/2939672.2939673

Equation: e_i = q_i + v_i + sum_m enc_m(x_i^m) with v_i the item's entity in the knowledge graph and enc_m the encoder
of a denoising auto-encoder; y_ui = <p_u, e_i>. Structure (TransR): f(h, r, t) = |unit(W_r v_h) + unit(r) - unit(W_r
v_t)|^2. Loss = BPR + reg_weight * half the squared norm of the batch's p and e + knowledge_weight * (-mean log
sigmoid(f(h, r, t') - f(h, r, t))) + knowledge_weight * reg_weight * half the squared norm of what these compare +
restoring_weight * sum_m mean square of (dec_m(enc_m(x^m with entries dropped)) - x^m) over the batch's positives.

Deviations: the paper's text encoder reads word counts and its image encoder pixels; here every modality has an
auto-encoder of its extracted, standardised features, of F -> hidden -> D and back with tanh. Public ports weigh all
terms alike, where the reconstruction of wide inputs drowns the ranking. Scores take the whole features. An item without
an entity, features or training rows has a zero in that term's place; without any modality this is the CKE of public
libraries, which leave text and image out.

Complexity: O(B (F H + D^2) + T_b D R) a step with H the hidden width and T_b triples; scores O(I F H).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.distinct import distinct
from mrs_pipeline.functional.kernels.rows import take_rows, unit_rows
from mrs_pipeline.functional.losses import bpr, bpr_inner, squared_norm
from mrs_pipeline.functional.triples import Triples, TripleSampler, by_relation
from mrs_pipeline.models.base import PairBatch, Recommender
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.denoising import DenoisingEncoders
from mrs_pipeline.models.layers.knowledge_nodes import item_triples, known
from mrs_pipeline.models.layers.parameters import embedding, xavier
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class CkeConfig(GradientConfig):
    """Settings of CKE."""

    search_space: ClassVar[SearchSpace] = {
        "knowledge_weight": (1e-2, 1e-1, 1.0),
        "restoring_weight": (1e-3, 1e-2, 1e-1),
        "reg_weight": (1e-5, 1e-4, 1e-3),
    }

    relation_size: int = Field(default=50, ge=1, le=4096)
    """Width of relations and projected entities."""
    hidden_size: int = Field(default=64, ge=1, le=4096)
    """Hidden width of the auto-encoders."""
    noise: float = Field(default=0.2, ge=0, lt=1)
    """Share of a feature row's entries that the auto-encoder has to restore."""
    n_triples: int = Field(default=2048, ge=1, le=1_000_000)
    """Triples a step."""
    knowledge_weight: float = Field(default=0.1, ge=0)
    """Weight of the knowledge graph's loss."""
    restoring_weight: float = Field(default=1e-2, ge=0)
    """Weight of the auto-encoders' loss."""
    reg_weight: float = Field(default=1e-5, ge=0)
    """Weight of the squared norms."""


class Cke(Recommender[CkeConfig, PairBatch]):
    """Identifiers, knowledge and content of an item as one sum; see the module."""

    spec = ModelSpec(
        name="cke",
        title="CKE",
        paper="Zhang et al., KDD 2016",
        url="https://doi.org/10.1145/2939672.2939673",
        cells=frozenset({Cell.KNOWLEDGE_GRAPH}),
        complexity="O(B (F H + D^2) + T_b D R)",
        features=FeatureUse.OPTIONAL,
        knowledge=True,
    )
    Config = CkeConfig

    def __init__(self, config: CkeConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size, knowledge = config.embedding_size, known(inputs)
        triples = Triples.from_parts([item_triples(inputs)], knowledge.n_entities)
        self._sampler = TripleSampler.from_triples(triples, config.n_triples)
        self.user_embedding = embedding(inputs.users_seen(), size, generator)
        self.item_embedding = embedding(inputs.items_seen(), size, generator)
        named = knowledge.named()
        # entities that are items stand apart from the others: a table has one meaning of its rows
        self.item_entity_embedding = embedding(named[: inputs.n_items], size, generator)
        self.entity_embedding = embedding(named[inputs.n_items :], size, generator)
        n_relations = len(triples.counts)
        self.relation_embedding = nn.Parameter(xavier((n_relations, config.relation_size), generator))
        projections = [xavier((size, config.relation_size), generator) for _ in range(n_relations)]
        self.relation_projection = nn.Parameter(torch.stack(projections))
        self.content: DenoisingEncoders | None = None
        if inputs.features:
            self.content = DenoisingEncoders(inputs, config.hidden_size, size, generator)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR, TransR of some triples, reconstruction of the batch's items, norms."""
        config = self.config
        items, place = distinct(torch.cat([batch.positives, batch.negatives]))
        positive, negative = take_rows(self._items(items), place).chunk(2)
        user = take_rows(self.user_embedding, batch.users)
        gaps, compared = self._translations()
        norms = squared_norm(user, positive, negative) + config.knowledge_weight * squared_norm(*compared)
        terms = {
            "bpr": bpr_inner(user, positive, negative),
            "knowledge": config.knowledge_weight * bpr(gaps),
            "reg": config.reg_weight * norms,
        }
        if self.content is not None:
            errors = self.content.restoring_error(batch.positives, config.noise, self.generator)
            terms["restoring"] = config.restoring_weight * torch.stack(list(errors.values())).sum()
        return terms

    def representations(self) -> tuple[Tensor, Tensor]:
        """Users [U, D] and items' sums [I, D]."""
        return self.user_embedding, self._items(None)

    def _items(self, items: Tensor | None) -> Tensor:
        tables = [self.item_embedding, self.item_entity_embedding]
        parts = [table if items is None else take_rows(table, items) for table in tables]
        if self.content is not None:
            parts += self.content.codes(items).values()
        return torch.stack(parts).sum(0)

    def _translations(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Gaps f(h, r, t') - f(h, r, t) [B] of some triples, and the vectors that they compare."""
        drawn = self._sampler.draw(self.generator)
        nodes = torch.cat([self.item_entity_embedding, self.entity_embedding])
        head, tail, negative = (
            unit_rows(by_relation(take_rows(nodes, ends), self.relation_projection, drawn.counts))
            for ends in (drawn.heads, drawn.tails, drawn.negatives)
        )
        relation = take_rows(unit_rows(self.relation_embedding), drawn.relations)
        moved = head + relation
        gaps = (moved - negative).square().sum(1) - (moved - tail).square().sum(1)
        return gaps, (head, relation, tail, negative)
