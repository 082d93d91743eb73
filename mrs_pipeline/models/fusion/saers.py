"""SAERS-style. Hou et al., IJCAI 2019.

"Explainable Fashion Recommendation: A Semantic Attribute Region Guided Approach", https://arxiv.org/abs/1905.12862

Equation: attribute a of an item is f^a = sum_t s_at W' r_t with s_a = softmax_t(<k_a, W r_t> / sqrt(h)) over its
regions; a user weighs attributes by c_ui = softmax_a(sum_h w_h relu(W_u p_u * W_f f^a)_h) (* entry by entry) and y_ui
= <p_u, q_i> + <t_u, sum_m G_m mean_t r_t> + <o_u, sum_a c_ui^a f^a>; loss = BPR + reg_weight * half the squared norm
of the identifiers used + spread_weight * mean over pairs a < b of cos^2 of the attributes' mean maps over the batch.
An item's map for a user is sum_a c_ui^a s_a.

What is a guess: the paper exists as text alone. It finds an attribute's region from the gradients of classifiers that
are trained on two labelled sets of clothes; here attributes are learned queries k_a without labels, kept apart by the
last term, so that they have no names. The form of the user's attention is VECF's (see `layers.pair_attention`), and
the widths are our own. Any number of modalities, words of texts too: each has attributes of its own, and one softmax
weighs all that an item has.

Complexity: O(B M (T D (h + D) + A (T D + D h))) a step for B distinct items and A attributes; O(M A (h + D)) a pair
to rank; a ranking holds I M A (2 h + D) numbers.
"""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from mrs_pipeline.functional.attention import masked_softmax
from mrs_pipeline.functional.folding import users_from_items
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr, squared_norm
from mrs_pipeline.models.base import HistoryScorer, PairBatch, Scorer
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import DistinctRows
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.pair_attention import AttendedTokens, PairScorer, side_by_side
from mrs_pipeline.models.layers.parameters import embedding, linear, xavier
from mrs_pipeline.models.layers.standard_tokens import AT_ONCE, StandardTokens, token_mean
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class SaersConfig(GradientConfig):
    """Settings of SAERS-style."""

    search_space: ClassVar[SearchSpace] = {"n_attributes": (4, 12), "reg_weight": (1e-4, 1e-3, 1e-2)}

    n_attributes: int = Field(default=12, ge=1, le=256)
    """Attributes A of a modality."""
    attention_size: int = Field(default=32, ge=1, le=1024)
    """Width h of queries and keys, and hidden units of the user's attention."""
    reg_weight: float = Field(default=1e-3, ge=0)
    """Weight of the squared norm of the batch's identifiers."""
    spread_weight: float = Field(default=0.01, ge=0)
    """Weight of the likeness of the attributes' maps."""


class Saers(IdentifierRecommender[SaersConfig]):
    """Attributes found in regions, weighed by each user; see the module."""

    spec = ModelSpec(
        name="saers",
        title="SAERS-style",
        paper="Hou et al., IJCAI 2019",
        url="https://arxiv.org/abs/1905.12862",
        cells=frozenset({Cell.FINE_ATTENTION}),
        complexity="O(B M (T D (h + D) + A (T D + D h)))",
        tokens=FeatureUse.REQUIRED,
    )
    Config = SaersConfig

    def __init__(self, config: SaersConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._tokens = StandardTokens(inputs.tokens)
        size, hidden = config.embedding_size, config.attention_size
        self.user_content = embedding(inputs.users_seen(), size, generator)
        self.user_attributes = embedding(inputs.users_seen(), size, generator)
        self.attributes = nn.ParameterDict()
        self.keys, self.values, self.whole = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        for modality, tokens in inputs.tokens.items():
            self.attributes[modality] = nn.Parameter(xavier((config.n_attributes, hidden), generator))
            self.keys[modality] = linear(tokens.width, hidden, generator, bias=False)
            self.values[modality] = linear(tokens.width, size, generator, bias=False)
            self.whole[modality] = linear(tokens.width, size, generator, bias=False)
        self.attention = PairScorer(size, size, hidden, generator)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR, the norm of the identifiers used, the likeness of the attributes' maps."""
        rows = DistinctRows.of(batch)
        attended, content, maps = self._items(rows.items)
        users = take_rows(self.user_embedding, batch.users).repeat(2, 1)
        own, place = batch.users.repeat(2), rows.item_place
        scores = (users * take_rows(take_rows(self.item_embedding, rows.items), place)).sum(1)
        scores = scores + (take_rows(self.user_content, own) * take_rows(content, place)).sum(1)
        pooled = attended.pooled(self.attention.queries(users), place)
        positives, negatives = (scores + (take_rows(self.user_attributes, own) * pooled).sum(1)).chunk(2)
        ids = rows.pair_rows(
            take_rows(self.user_embedding, rows.users), take_rows(self.item_embedding, rows.items)
        )
        return {
            "bpr": bpr(positives - negatives),
            "reg": self.config.reg_weight * squared_norm(*ids),
            "spread": self.config.spread_weight * self._likeness(maps, rows.item_weights),
        }

    def scorer(self) -> Scorer:
        """Attributes of all items are found once."""
        score = self._all_scores(*self._every_item())
        tables = (self.user_embedding, self.user_content, self.user_attributes)
        return lambda users: score(*(take_rows(table, users) for table in tables))

    def history_scorer(self) -> HistoryScorer:
        """A history is given the vectors that users of such items have, whose attention is then its own.

        What stands for an item in that map is its identifier, its content, and its attributes weighed alike.
        """
        attended, content = self._every_item()
        items = torch.cat([self.item_embedding, content, token_mean(attended.values, attended.there)], dim=1)
        users = torch.cat([self.user_embedding, self.user_content, self.user_attributes], dim=1)
        vectors = users_from_items(users, items, *self._training_pairs)
        score = self._all_scores(attended, content)
        return lambda histories: score(*vectors(histories).chunk(3, dim=1))

    def token_maps(self, user: Tensor, items: Tensor) -> dict[str, Tensor]:
        """Modality -> [n, T] the maps of the attributes, as `user` [1] weighs these in `items` [n]."""
        attended, _, maps = self._items(items)
        queries = self.attention.queries(take_rows(self.user_embedding, user.expand(len(items))))
        shares = attended.shares(queries, torch.arange(len(items), device=items.device))
        found = {}
        for weights, (modality, own) in zip(shares.chunk(len(maps), dim=1), maps.items(), strict=True):
            seen = (weights.unsqueeze(1) @ own).squeeze(1)
            found[modality] = seen / seen.sum(1, keepdim=True).clamp(min=torch.finfo(seen.dtype).tiny)
        return found

    def _items(self, items: Tensor) -> tuple[AttendedTokens, Tensor, dict[str, Tensor]]:
        """Attributes of `items` [n] as tokens, whole content [n, D], maps [n, A, T] of each modality."""
        values, there, maps = [], [], {}
        content = torch.zeros(len(items), self.config.embedding_size, device=self.device)
        for modality, attributes in self.attributes.items():
            tokens, real = self._tokens.rows(modality, items)
            scores = attributes @ self.keys[modality](tokens).mT / math.sqrt(self.config.attention_size)
            maps[modality] = masked_softmax(scores, real.unsqueeze(1).expand_as(scores))
            values.append(maps[modality] @ self.values[modality](tokens))
            there.append(real.any(1, keepdim=True).expand(-1, len(attributes)))
            content = content + self.whole[modality](token_mean(tokens, real))
        found = torch.cat(values, dim=1)
        return AttendedTokens(self.attention.keys(found), found, torch.cat(there, dim=1)), content, maps

    def _every_item(self) -> tuple[AttendedTokens, Tensor]:
        blocks = [
            self._items(each)[:2]
            for each in torch.split(torch.arange(self.n_items, device=self.device), AT_ONCE)
        ]
        return side_by_side([block[0] for block in blocks]), torch.cat([block[1] for block in blocks])

    def _all_scores(
        self, attended: AttendedTokens, content: Tensor
    ) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """The three vectors [B, D] of users -> scores [B, I]."""

        def score(users: Tensor, of_content: Tensor, of_attributes: Tensor) -> Tensor:
            fixed = users @ self.item_embedding.T + of_content @ content.T
            return fixed + attended.scores(self.attention.queries(users), of_attributes)

        return score

    def _likeness(self, maps: dict[str, Tensor], weights: Tensor | None) -> Tensor:
        """Mean over modalities and pairs of attributes of the squared cosine of their mean maps; zero for one."""
        n = self.config.n_attributes
        total = torch.zeros((), device=self.device)
        if n == 1:
            return total
        for own in maps.values():
            mean = own.mean(0) if weights is None else (own * weights[:, None, None]).sum(0)
            alike = normalize(mean, dim=1) @ normalize(mean, dim=1).T
            total = total + (alike.square().sum() - alike.diagonal().square().sum()) / (n * (n - 1))
        return total / len(maps)
