"""LightGODE: identifiers trained without a graph, propagated afterwards.

Zhang et al., "Do We Really Need Graph Convolution During Training? Light Post-Training Graph-ODE for Recommendation",
CIKM 2024. https://arxiv.org/abs/2407.18910

Equation: loss = mean |u - i|^2 over the batch's pairs + uniformity_weight * the mean over users and items of log mean
over pairs a < b of e^(-2 |x_a - x_b|^2), all rows of the identifiers E at unit length. Then z' = S z + E from z(0) = E
with S = D^-1/2 A D^-1/2 is followed to the time T in `steps` steps of Euler's method; y_ui = <z_u, z_i>. One step, as
in the authors' code, is z = (1 + T) E + T S E.

Deviations: the users and the items of a batch are compared once each, so that a popular item is not its own neighbour;
no weight decay.

Complexity: O(B^2 D) a step, plus Adam's O((U + I) D); O(E D) a step of Euler's method to score.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import log_uniformity
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import distinct_rows
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.lightgcn import user_item_operator
from mrs_pipeline.models.spec import ModelSpec
from mrs_pipeline.taxonomy import Cell


class LightGodeConfig(GradientConfig):
    """Settings of LightGODE."""

    search_space: ClassVar[SearchSpace] = {
        "uniformity_weight": (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
        "time": (0.4, 0.8, 1.8, 3.0, 5.0),
    }

    uniformity_weight: float = Field(default=0.5, ge=0)
    """Weight of what keeps users and items apart (the paper's gamma)."""
    time: float = Field(default=1.8, ge=0)
    """How long vectors are propagated once they are trained (the paper's T)."""
    steps: int = Field(default=1, ge=1, le=100)
    """Steps of Euler's method."""


class LightGode(IdentifierRecommender[LightGodeConfig]):
    """Alignment and uniformity in training, propagation afterwards; see the module."""

    spec = ModelSpec(
        name="lightgode",
        title="LightGODE",
        paper="Zhang et al., CIKM 2024",
        url="https://arxiv.org/abs/2407.18910",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(B^2 D)",
    )
    Config = LightGodeConfig

    def __init__(self, config: LightGodeConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._adjacency = user_item_operator(inputs)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """Users close to what they have taken, users and items each apart."""
        tables = (self.user_embedding, self.item_embedding)
        pairs = zip(tables, (batch.users, batch.positives), strict=True)
        users, items = (_directions(table, rows) for table, rows in pairs)
        apart = [
            log_uniformity(_directions(table, rows), weights)
            for table, (rows, weights) in zip(tables, distinct_rows(batch), strict=True)
        ]
        return {
            "alignment": (users - items).square().sum(1).mean(),
            "uniformity": self.config.uniformity_weight * torch.stack(apart).mean(),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Z at the time T, users [U, D] and items [I, D]."""
        start = torch.cat([self.user_embedding, self.item_embedding])
        step = self.config.time / self.config.steps
        at = start
        for _ in range(self.config.steps):
            at = at + step * (self._adjacency @ at + start)
        users, items = at.split_with_sizes([self.n_users, self.n_items])
        return users, items


def _directions(table: Tensor, rows: Tensor) -> Tensor:
    return normalize(take_rows(table, rows), dim=1)
