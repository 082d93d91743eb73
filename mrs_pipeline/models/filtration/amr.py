"""AMR. Tang et al., "Adversarial Training Towards Robust Multimedia Recommender System", TKDE 2020.

https://arxiv.org/abs/1809.07062

Equation: y_ui = <p_u, q_i + sum_m E_m c_i^m>, c^m the features divided by the largest magnitude in their table. The
attack on a step: Delta_i^m = epsilon * g / |g| with g the gradient of the clean BPR by c_i^m, over all places of i in
the batch and held constant. loss = BPR + adversarial_weight * BPR of c + Delta + reg_weight * half the squared norm
of the batch's rows.

Deviations: any number of modalities, each attacked by itself; one that an item lacks is neither there nor attacked.
Trained from scratch with the attack on from the first step, where the paper starts from a trained VBPR. Means in
place of sums, and one weight of the norm for all rows. The gradient is held for the rows of a batch, not for the
whole table. With epsilon or adversarial_weight 0 it is VBPR with one user vector for both parts and no bias.

Complexity: O(B F D) a step, with one more backward pass than a model without an attack.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr_inner, squared_norm
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import DistinctRows
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class AmrConfig(GradientConfig):
    """Settings of AMR."""

    search_space: ClassVar[SearchSpace] = {
        "epsilon": (0.01, 0.1, 1.0),
        "adversarial_weight": (0.1, 1.0),
        "reg_weight": (1e-4, 1e-3, 1e-2),
    }

    epsilon: float = Field(default=0.1, ge=0)
    """Length of an attack on one modality of one item."""
    adversarial_weight: float = Field(default=1.0, ge=0)
    """Weight of the ranking under attack."""
    reg_weight: float = Field(default=1e-3, ge=0)
    """Weight of the squared norm of the batch's vectors."""


class Amr(IdentifierRecommender[AmrConfig]):
    """Ranking by content that holds under the worst small change of it; see the module."""

    spec = ModelSpec(
        name="amr",
        title="AMR",
        paper="Tang et al., TKDE 2020",
        url="https://arxiv.org/abs/1809.07062",
        cells=frozenset({Cell.FILTRATION}),
        complexity="O(B F D)",
        features=FeatureUse.REQUIRED,
    )
    Config = AmrConfig

    def __init__(self, config: AmrConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._features = {
            name: rows / rows.abs().max().clamp(min=1e-12) for name, rows in inputs.features.items()
        }
        self._present = inputs.present
        self.layers = nn.ModuleDict(
            {
                name: linear(rows.shape[1], config.embedding_size, generator, bias=False)
                for name, rows in inputs.features.items()
            }
        )

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR of clean and of attacked content."""
        config, rows = self.config, DistinctRows.of(batch)
        users = take_rows(self.user_embedding, rows.users)
        content = {
            name: take_rows(table, rows.items).requires_grad_() for name, table in self._features.items()
        }
        final = rows.pair_rows(users, self._vectors(rows.items, content))
        clean = bpr_inner(*final)
        attacked = rows.pair_rows(
            users, self._vectors(rows.items, self._attacked(clean, content, rows.items))
        )
        return {
            "bpr": clean,
            "adversarial": config.adversarial_weight * bpr_inner(*attacked),
            "reg": config.reg_weight * squared_norm(*final),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Users [U, D]; identifiers and clean content [I, D]."""
        everything = torch.arange(self.n_items, device=self.device)
        return self.user_embedding, self._vectors(everything, self._features)

    def _vectors(self, items: Tensor, content: Mapping[str, Tensor]) -> Tensor:
        """[n, D] of `items` [n] with content [n, F] of each modality."""
        projected = torch.stack([layer(content[name]) for name, layer in self.layers.items()])
        return take_rows(self.item_embedding, items) + projected.sum(0)

    def _attacked(self, clean: Tensor, content: Mapping[str, Tensor], items: Tensor) -> dict[str, Tensor]:
        """The content of `items` moved to where the clean loss rises fastest."""
        slopes = torch.autograd.grad(clean, list(content.values()), retain_graph=True)
        found = {}
        for (name, rows), slope in zip(content.items(), slopes, strict=True):
            there = take_rows(self._present[name], items).unsqueeze(1)
            found[name] = rows.detach() + self.config.epsilon * there * normalize(slope, dim=1)
        return found
