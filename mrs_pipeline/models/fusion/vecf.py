"""VECF, without reviews. Chen et al., "Personalized Fashion Recommendation with Visual Explanations", SIGIR 2019.

https://doi.org/10.1145/3331184.3331254

Equation: a user's attention to the regions r_t of an item's picture is a = softmax_t(sum_h w_h relu(W_r r_t * W_u
p_u)_h) (* entry by entry); the picture is v_ui = sum_t a_t W_m r_t; y_ui = <p_u, q_i + sum_m v_ui^m>, or <p_u, q_i *
mean_m v_ui^m> with `merge: multiply`; loss = BPR + reg_weight * half the squared norm of the identifiers used. Maps
of the attention are the explanation (`token_maps`).

Deviations: published are an item's picture alone, `multiply`, a tower of five sigmoid layers in place of the product,
binary cross-entropy, and a recurrent network that writes the user's review of the item from the same attention; here
any number of modalities (words of texts too), each with an attention of its own, and no reviews. `add` is the default
since an item without interactions has q_i = 0, which would leave nothing of its picture. Regions are standardised
where the published code divides by 100. An item without regions is its identifier alone.

Complexity: O(B M T D (h + D)) a step for B pairs, h = attention_size, and O(M T (h + D)) a pair to rank; a ranking
holds I M T (2 h + D) numbers, 1.7 GB for 100,000 items of 49 regions.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.folding import users_from_items
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr_inner, squared_norm
from mrs_pipeline.models.base import HistoryScorer, PairBatch, Scorer
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import DistinctRows
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.pair_attention import AttendedTokens, PairScorer, side_by_side
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.standard_tokens import AT_ONCE, StandardTokens, token_mean
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class VecfConfig(GradientConfig):
    """Settings of VECF."""

    search_space: ClassVar[SearchSpace] = {
        "merge": ("add", "multiply"),
        "attention_size": (10, 32),
        "reg_weight": (1e-4, 1e-3, 1e-2),
    }

    attention_size: int = Field(default=10, ge=1, le=1024)
    """Hidden units h of the attention."""
    merge: Literal["add", "multiply"] = "add"
    """How identifier and picture become an item: added, or multiplied as published."""
    reg_weight: float = Field(default=1e-3, ge=0)
    """Weight of the squared norm of the batch's identifiers."""


class Vecf(IdentifierRecommender[VecfConfig]):
    """Regions weighed by each user; see the module."""

    spec = ModelSpec(
        name="vecf",
        title="VECF (no reviews)",
        paper="Chen et al., SIGIR 2019",
        url="https://doi.org/10.1145/3331184.3331254",
        cells=frozenset({Cell.FINE_ATTENTION}),
        complexity="O(B M T D (h + D))",
        tokens=FeatureUse.REQUIRED,
    )
    Config = VecfConfig

    def __init__(self, config: VecfConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._tokens = StandardTokens(inputs.tokens)
        size = config.embedding_size
        self.attention = nn.ModuleDict()
        self.values = nn.ModuleDict()
        for modality, tokens in inputs.tokens.items():
            self.attention[modality] = PairScorer(size, tokens.width, config.attention_size, generator)
            self.values[modality] = linear(tokens.width, size, generator, bias=False)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and the norm of the identifiers used."""
        rows = DistinctRows.of(batch)
        users = take_rows(self.user_embedding, rows.users)
        identifiers = take_rows(self.item_embedding, rows.items)
        owners = rows.user_place.repeat(2)
        pooled, having = [], []
        for modality in self.attention:
            attended = self._attended(modality, rows.items)
            queries = take_rows(self._queries(modality, users), owners)
            pooled.append(attended.pooled(queries, rows.item_place))
            having.append(take_rows(attended.there.any(1), rows.item_place))
        items = self._merged(take_rows(identifiers, rows.item_place), pooled, having)
        positives, negatives = items.chunk(2)
        ids = rows.pair_rows(users, identifiers)
        return {
            "bpr": bpr_inner(ids[0], positives, negatives),
            "reg": self.config.reg_weight * squared_norm(*ids),
        }

    def scorer(self) -> Scorer:
        """Keys and values of all items are made once."""
        score = self._all_scores()
        return lambda users: score(take_rows(self.user_embedding, users))

    def history_scorer(self) -> HistoryScorer:
        """A history is given the vector that users of such items have, whose attention is then its own.

        What stands for an item in that map is the item under equal attention to its regions.
        """
        everything = torch.arange(self.n_items, device=self.device)
        items = []
        for block in torch.split(everything, AT_ONCE):
            parts = [self._attended(modality, block) for modality in self.attention]
            having = [part.there.any(1) for part in parts]
            pooled = [token_mean(part.values, part.there) for part in parts]
            items.append(self._merged(take_rows(self.item_embedding, block), pooled, having))
        vectors = users_from_items(self.user_embedding, torch.cat(items), *self._training_pairs)
        score = self._all_scores()
        return lambda histories: score(vectors(histories))

    def token_maps(self, user: Tensor, items: Tensor) -> dict[str, Tensor]:
        """Modality -> [n, T] attention of `user` [1] to the regions of `items` [n]."""
        vectors = take_rows(self.user_embedding, user.expand(len(items)))
        places = torch.arange(len(items), device=items.device)
        return {
            modality: self._attended(modality, items).shares(self._queries(modality, vectors), places)
            for modality in self.attention
        }

    def _attended(self, modality: str, items: Tensor) -> AttendedTokens:
        tokens, there = self._tokens.rows(modality, items)
        scorer = self.attention[modality]
        assert isinstance(scorer, PairScorer)
        return AttendedTokens(scorer.keys(tokens), self.values[modality](tokens), there)

    def _queries(self, modality: str, users: Tensor) -> Tensor:
        scorer = self.attention[modality]
        assert isinstance(scorer, PairScorer)
        return scorer.queries(users)

    def _merged(self, identifiers: Tensor, pooled: list[Tensor], having: list[Tensor]) -> Tensor:
        """[B, D] of identifiers [B, D], content [B, D] of each modality and whether there is any [B]."""
        content = torch.stack(pooled).sum(0)
        if self.config.merge == "add":
            return identifiers + content
        counts = torch.stack(having).sum(0).unsqueeze(1)
        return identifiers * torch.where(counts > 0, content / counts.clamp(min=1), 1.0)

    def _all_scores(self) -> Scorer:
        """Vectors [B, D] of users -> scores [B, I]."""
        everything = torch.arange(self.n_items, device=self.device)
        attended = {
            modality: side_by_side(
                [self._attended(modality, each) for each in torch.split(everything, AT_ONCE)]
            )
            for modality in self.attention
        }
        base: Tensor = self.item_embedding
        if self.config.merge == "multiply":
            counts = torch.stack([each.there.any(1) for each in attended.values()]).sum(0).unsqueeze(1)
            factors = (self.item_embedding / counts.clamp(min=1)).unsqueeze(1)
            attended = {
                name: AttendedTokens(each.keys, each.values * factors, each.there)
                for name, each in attended.items()
            }
            base = torch.where(counts > 0, 0.0, self.item_embedding)

        def score(users: Tensor) -> Tensor:
            total = users @ base.T
            for modality, each in attended.items():
                total = total + each.scores(self._queries(modality, users), users)
            return total

        return score
