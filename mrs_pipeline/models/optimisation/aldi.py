"""ALDI. Huang et al., "Aligning Distillation For Cold-Start Item Recommendation", CIKM 2023.

https://doi.org/10.1145/3583780.3614732

Equation: the first step (`pretraining.factors`) gives e_u and e_i, the teacher. Student: g_i = W_2 tanh(BN(sum_m W_m
x^m + b)), g_u = V_2 tanh(BN(V_1 e_u)); s_ui = <g_u, g_i>, t_ui = <e_u, e_i>. For a pair i and a negative j, with w_i
the weight of the teacher: loss = mean softplus(-(s_ui - s_uj)) + rating_weight * w_i * BCE(s_ui - s_uj, sigmoid(t_ui
- t_uj)) + identification_weight * w_i * BCE(d(g_i), sigmoid(d(e_i))) + ranking_weight * (|t_ui - s_ui| + |t_uj -
s_uj|) + reg_weight * half the squared norm of the rows, d(x_i) = |x_i|^2 - mean_j <x_i, x_j> over the batch's
negatives. w_i = min(tanh(4 f_i), tanh 4) with f_i = (|I| / |U|) sum_{u of i} 1 / |u| where `weighting`, else 1. y_ui
= s_ui, or t_ui for warm items under `warm: factors`: one product of [e_u ; g_u] with [e_i ; 0] or [0 ; g_i].

Deviations: the content is the modalities', each row at length one, with a learned vector where an item lacks one. The
|t - s| term alone puts cold and warm items on one scale. f_i is written with the 4 |I| / |U| of the published code
taken apart. The published code ranks warm items by t_ui, and chooses on validation
rows with cold items among them. Published metrics are of 2,000 sampled users.

Complexity: O(B (F D + D^2)) a step.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import squared_norm
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_normal import BatchNormal
from mrs_pipeline.models.layers.batch_rows import DistinctRows
from mrs_pipeline.models.layers.held_factors import HeldFactorsConfig, HeldFactorsRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.projection import ModalityProjection, with_unit_features
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class AldiConfig(HeldFactorsConfig):
    """Settings of ALDI."""

    search_space: ClassVar[SearchSpace] = {
        "rating_weight": (0.1, 0.5, 0.9),
        "identification_weight": (0.01, 0.05, 0.1),
        "ranking_weight": (0.01, 0.1, 1.0),
    }

    hidden_size: int = Field(default=200, ge=1, le=8192)
    """Width of the students' hidden layer."""
    rating_weight: float = Field(default=0.9, ge=0)
    """Weight of the differences of scores."""
    identification_weight: float = Field(default=0.05, ge=0)
    """Weight of how an item stands out among others."""
    ranking_weight: float = Field(default=0.1, ge=0)
    """Weight of the scores themselves."""
    reg_weight: float = Field(default=1e-4, ge=0)
    """Weight of the squared norm of the students' vectors."""
    weighting: bool = True
    """Whether the teacher counts less on items that few and busy users have taken."""


class Aldi(HeldFactorsRecommender[AldiConfig]):
    """Content taught to score as finished vectors do; see the module."""

    spec = ModelSpec(
        name="aldi",
        title="ALDI",
        paper="Huang et al., CIKM 2023",
        url="https://doi.org/10.1145/3583780.3614732",
        cells=frozenset({Cell.TWO_STEP}),
        complexity="O(B (F D + D^2))",
        features=FeatureUse.REQUIRED,
        pretraining="factors",
    )
    Config = AldiConfig

    def __init__(self, config: AldiConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        width, hidden = self.user_factors.shape[1], config.hidden_size
        self._weights = _teacher_weights(inputs) if config.weighting else torch.ones_like(self._seen.float())
        self.first_item = ModalityProjection(with_unit_features(inputs), hidden, generator)
        self.first_user = linear(width, hidden, generator, bias=False)
        self.normals = nn.ModuleDict(
            {side: BatchNormal(hidden, generator) for side in ("of_users", "of_items")}
        )
        self.second_item = linear(hidden, config.embedding_size, generator)
        self.second_user = linear(hidden, config.embedding_size, generator)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """The student's ranking and its three distances from the teacher."""
        config, rows = self.config, DistinctRows.of(batch)
        own = rows.pair_rows(self._users(rows.users), self._items(rows.items))
        taught = rows.pair_rows(
            take_rows(self.user_factors, rows.users), take_rows(self.item_factors, rows.items)
        )
        (s_one, s_other, s_stands), (t_one, t_other, t_stands) = _scores(*own), _scores(*taught)
        weights = take_rows(self._weights, batch.positives)
        gaps, wanted = s_one - s_other, (t_one - t_other).sigmoid()
        off = (t_one - s_one).abs() + (t_other - s_other).abs()
        return {
            "bpr": softplus(-gaps).mean(),
            "rating": config.rating_weight * binary_cross_entropy_with_logits(gaps, wanted, weights),
            "identification": config.identification_weight
            * binary_cross_entropy_with_logits(s_stands, t_stands.sigmoid(), weights),
            "ranking": config.ranking_weight * off.mean(),
            "reg": config.reg_weight * squared_norm(*own),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """The teacher's beside the students' vectors; an item has the one half or the other."""
        everyone = torch.arange(self.n_users, device=self.device)
        users = torch.cat([self.user_factors, self._users(everyone)], dim=1)
        content = torch.zeros(self.n_items, self.config.embedding_size, device=self.device)
        content = content.index_copy(0, self.made, self._items(self.made))
        return users, torch.cat([self.item_factors.index_fill(0, self.made, 0.0), content], dim=1)

    def _users(self, users: Tensor) -> Tensor:
        """Vectors g [n, D] of `users` [n]."""
        hidden = self.normals["of_users"](self.first_user(take_rows(self.user_factors, users)))
        vectors: Tensor = self.second_user(hidden.tanh())
        return vectors

    def _items(self, items: Tensor) -> Tensor:
        """Vectors g [n, D] of `items` [n]."""
        vectors: Tensor = self.second_item(self.normals["of_items"](self.first_item.summed(items)).tanh())
        return vectors


def _scores(users: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scores [B] of positives, of negatives, and how far the positives stand out among the negatives, from rows."""
    stands = (positives * (positives - negatives.mean(0))).sum(1)
    return (users * positives).sum(1), (users * negatives).sum(1), stands


def _teacher_weights(inputs: ModelInputs) -> Tensor:
    """[I] w_i."""
    activity = torch.bincount(inputs.users, minlength=inputs.n_users).float()
    shares = torch.zeros(inputs.n_items, device=inputs.device).index_add_(
        0, inputs.items, 1 / activity[inputs.users]
    )
    return (4 * inputs.n_items / inputs.n_users * shares).tanh().clamp(max=float(torch.tensor(4.0).tanh()))
