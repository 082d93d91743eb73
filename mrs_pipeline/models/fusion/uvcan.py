"""UVCAN-style. After Liu et al., "User-Video Co-Attention Network for Personalized Micro-video ...", WWW 2019.

In full: "User-Video Co-Attention Network for Personalized Micro-video Recommendation".
https://doi.org/10.1145/3308558.3313513

Equation: an item is its identifier and W_m x^m/|x^m| + b_m of each modality, V_m; a user an identifier and, of each
modality, the mean of U_m x^m/|x^m| + c_m over the items taken, P_m. `n_hops` times both sides attend to their own
vectors, led by the other (`layers.co_attention`): a = softmax_m w' tanh(V_m W_V + s W_s), v += sum_m a_m V_m; b =
softmax_m w' tanh(P_m W_P + v W_v), s += sum_m b_m P_m, with s and v of the hop before, at first the means. y_ui = <s,
v>; loss = BPR + reg_weight * half the squared norm of the identifiers used.

What is a guess: the paper is known by its abstract and by notes of readers: content on both sides, attention from
either to the other, three hops of reasoning. The form of the attention, the additive steps, weights of each hop's own,
what stands for a user's content, and the inner product with BPR (in place of a network with cross-entropy) are ours. An
item that lacks a modality has a learned vector in its place.

Complexity: O(E M D + B M (F D + H h D)) a step of B distinct rows with H hops of width h; O(M (H h + D)) a pair to
rank, whose scores are no products; memory O((U + I) M (D + H h)).
"""

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from mrs_pipeline.functional.folding import history_matrix, users_from_items
from mrs_pipeline.functional.graphs import normalise_rows
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.losses import bpr, squared_norm
from mrs_pipeline.functional.sequences import OrderedHistories
from mrs_pipeline.models.base import HistoryScorer, PairBatch, Scorer
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import DistinctRows
from mrs_pipeline.models.layers.co_attention import CoAttendedSide, Tokens, co_attended, gathered
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.interactions import interaction_matrix
from mrs_pipeline.models.layers.projection import ModalityProjection, with_unit_features
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_UNITS_AT_ONCE = 10_000_000
"""Hidden units of users, items and vectors that stand in memory together in a ranking."""


class UvcanConfig(GradientConfig):
    """Settings of UVCAN-style."""

    search_space: ClassVar[SearchSpace] = {
        "n_hops": (1, 2, 3),
        "reg_weight": (1e-4, 1e-3, 1e-2),
    }

    n_hops: int = Field(default=3, ge=1, le=16)
    """Hops H of co-attention."""
    attention_size: int = Field(default=16, ge=1, le=1024)
    """Width h of its hidden layer."""
    reg_weight: float = Field(default=1e-3, ge=0)
    """Weight of the squared norm of the batch's identifiers."""


class Uvcan(IdentifierRecommender[UvcanConfig]):
    """Users and items of several vectors each that attend to one another; see the module."""

    spec = ModelSpec(
        name="uvcan",
        title="UVCAN-style",
        paper="after Liu et al., WWW 2019",
        url="https://doi.org/10.1145/3308558.3313513",
        cells=frozenset({Cell.COARSE_ATTENTION}),
        complexity="O(E M D + B M (F D + H h D))",
        features=FeatureUse.REQUIRED,
    )
    Config = UvcanConfig

    def __init__(self, config: UvcanConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size, unit = config.embedding_size, with_unit_features(inputs)
        self._taken = SparseOperator.from_csr(normalise_rows(interaction_matrix(inputs)))
        self.item_content = ModalityProjection(unit, size, generator)
        self.user_content = ModalityProjection(unit, size, generator)
        self.user_side, self.item_side = (
            CoAttendedSide(size, config.n_hops, config.attention_size, generator) for _ in range(2)
        )

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and the norm of the identifiers used."""
        rows = DistinctRows.of(batch)
        users = self.user_side.tokens(gathered(self._user_vectors(), rows.users))
        items = self.item_side.tokens(self._item_vectors(rows.items))
        own, place = rows.user_place.repeat(2), rows.item_place
        positives, negatives = self._pair_scores(users.take(own), items.take(place)).chunk(2)
        ids = rows.pair_rows(
            take_rows(self.user_embedding, rows.users), take_rows(self.item_embedding, rows.items)
        )
        return {
            "bpr": bpr(positives - negatives),
            "reg": self.config.reg_weight * squared_norm(*ids),
        }

    def scorer(self) -> Scorer:
        """What items bring to attention is computed once."""
        score, vectors = self._all_scores(), self._user_vectors()
        return lambda users: score(gathered(vectors, users))

    def history_scorer(self) -> HistoryScorer:
        """A history's content is its own; for an identifier it has what users of such items have, in a mean length."""
        vectors, content = self._item_vectors(), self.user_content()
        identify = users_from_items(self.user_embedding, vectors.sum(1), *self._training_pairs)
        length = self.user_embedding.norm(dim=1).sum() / (self.user_embedding != 0).any(1).sum().clamp(min=1)
        score = self._all_scores()

        def folded(histories: OrderedHistories) -> Tensor:
            ids = normalize(identify(histories), dim=1) * length
            taken = normalise_rows(history_matrix(histories, self.n_items)).tensor()
            means = [torch.mm(taken.to(rows.dtype), rows) for rows in content.values()]
            return score(torch.stack([ids, *means], dim=1))

        return folded

    def _user_vectors(self) -> Tensor:
        """P [U, M, D]."""
        means = [self._taken @ rows for rows in self.user_content().values()]
        return torch.stack([self.user_embedding, *means], dim=1)

    def _item_vectors(self, items: Tensor | None = None) -> Tensor:
        """V [n, M, D] of `items` [n], or of all."""
        identifiers = self.item_embedding if items is None else take_rows(self.item_embedding, items)
        return torch.stack([identifiers, *self.item_content(items).values()], dim=1)

    def _pair_scores(self, users: Tokens, items: Tokens) -> Tensor:
        """[B] of pairs."""
        of_users, of_items = co_attended(users, items, (self.user_side.weight, self.item_side.weight))
        left, right = (
            (shares.unsqueeze(1) @ side.vectors).squeeze(1)
            for shares, side in ((of_users, users), (of_items, items))
        )
        return (left * right).sum(1)

    def _all_scores(self) -> Callable[[Tensor], Tensor]:
        """From vectors [B, M, D] of users to scores [B, I], in blocks of bounded memory."""
        items = self.item_side.tokens(self._item_vectors())
        weights = (self.user_side.weight, self.item_side.weight)
        n_vectors = items.vectors.shape[1]

        def block(users: Tokens, some: Tokens) -> Tensor:
            of_users, of_items = co_attended(users.unsqueezed(1), some.unsqueezed(0), weights)
            products = users.vectors.flatten(0, 1) @ some.vectors.flatten(0, 1).T
            products = products.view(len(users.vectors), n_vectors, -1, n_vectors).transpose(1, 2)
            return ((of_users.unsqueeze(2) @ products).squeeze(2) * of_items).sum(2)

        def score(vectors: Tensor) -> Tensor:
            users = self.user_side.tokens(vectors)
            size = max(1, _UNITS_AT_ONCE // (len(vectors) * n_vectors * self.config.attention_size))
            parts = torch.split(torch.arange(self.n_items, device=self.device), size)
            return torch.cat([block(users, items.take(part)) for part in parts], dim=1)

        return score
