"""SLIM and cSLIM: sparse item weights that are not negative, by coordinate descent.

Ning & Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems", ICDM 2011; with content, the collective
form of "Sparse Linear Methods with Side Information for Top-N Recommendations", RecSys 2012.
https://doi.org/10.1109/ICDM.2011.134

Equation: of each item j, min over w >= 0, w_j = 0 of 1/2 w'Gw - w'G_j + l2_weight/2 |w|^2 + l1_weight |w|_1 with G =
R'R + content_weight * F F', F the features of all modalities side by side with rows of length one; the columns w are
W and Y = R W. A step is w_k = max(0, (G_kj - sum of G_kl w_l over l != k - l1_weight) / (G_kk + l2_weight)).

Deviations: as in the paper's fsSLIM, w_k may differ from zero for the `n_candidates` items k with the largest G_kj
only. Squared errors are summed over users, not averaged, so that weights are on the scale of EASE's.

Complexity: O(I c^2) a sweep for c candidates. Memory O(I c), and 64 MiB of Gram matrix at a time: neither G nor W is
ever held densely.
"""

import math
from collections.abc import Collection
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from mrs_pipeline.models.config import ModelConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.interactions import linear_scorer
from mrs_pipeline.models.layers.neighbours import kept, largest
from mrs_pipeline.models.layers.sparse_item_weights import SparseItemWeights
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_GRAM_SIZE = 2**26
"""Numbers of a Gram matrix that stand in memory at once, 256 MiB."""
_TOLERANCE = 1e-6
"""Descent ends when no weight moves further in a sweep."""


class SlimConfig(ModelConfig):
    """Settings of SLIM."""

    search_space: ClassVar[SearchSpace] = {
        "l1_weight": (0.1, 0.3, 1.0, 3.0, 10.0),
        "l2_weight": (1.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
        "n_candidates": (50, 100, 200),
    }

    l1_weight: float = Field(default=1.0, ge=0)
    """Weight of the sum of an item's weights: the larger, the sparser."""
    l2_weight: float = Field(default=100.0, gt=0)
    """Weight of half their sum of squares."""
    n_candidates: int = Field(default=100, ge=1)
    """Items that may have a weight for an item."""
    content_weight: float = Field(default=0.0, ge=0)
    """What likeness in content counts beside shared users; above zero the model is cSLIM and needs features."""
    max_sweeps: int = Field(default=100, ge=1)
    """Sweeps over an item's candidates at the most."""

    def misfit(self, modalities: Collection[str]) -> str | None:
        """A weight of content asks for features."""
        if self.content_weight > 0 and not modalities:
            return (
                "with a content_weight needs item features and the dataset has none; list a feature set under "
                "`features:` or set content_weight: 0"
            )
        return None


class Slim(SparseItemWeights[SlimConfig]):
    """Sparse linear item weights; see the module."""

    spec = ModelSpec(
        name="slim",
        title="SLIM",
        paper="Ning & Karypis, ICDM 2011",
        url="https://doi.org/10.1109/ICDM.2011.134",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(I c^2)",
        features=FeatureUse.OPTIONAL,
        batches=BatchKind.NONE,
        histories=True,
    )
    Config = SlimConfig

    def __init__(self, config: SlimConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        width = kept(config.n_candidates, inputs.n_items)
        super().__init__(config, inputs, generator, width, "target")
        self._to_users = self.history.transposed()
        self._content = _unit_content(inputs) * math.sqrt(config.content_weight)

    @property
    def sees_content(self) -> bool:
        """With a weight of content only."""
        return self.config.content_weight > 0

    def fit_closed_form(self) -> None:
        """Chooses the candidates of every item, then descends for a block of items at a time."""
        shared = linear_scorer(self._to_users, self.history.tensor())
        self.neighbours, targets = largest(
            lambda items: shared(items).addmm_(self._content[items], self._content.T),
            self.neighbours.shape[1],
            self._content.new_empty(self.n_items),
        )
        for items in torch.split(torch.arange(self.n_items, device=self.device), self._block()):
            candidates = self.neighbours[items].long()
            self.similarities[items] = descend(
                self._gram(candidates),
                targets[items],
                self.config.l1_weight,
                self.config.l2_weight,
                self.config.max_sweeps,
            )

    def _block(self) -> int:
        """Items whose candidates' products among each other fit into `_GRAM_SIZE`, whether or not they are the same."""
        width = max(1, self.neighbours.shape[1])
        distinct = math.isqrt(_GRAM_SIZE)
        alike = _GRAM_SIZE // width**2 if self.n_items <= distinct else distinct // width
        return max(1, alike)

    def _gram(self, candidates: Tensor) -> Tensor:
        """G among each row of `candidates` [B, c]: [B, c, c]."""
        items, place = torch.unique(candidates, return_inverse=True)
        rows = self._to_users.take(items)
        gram = torch.mm(rows.tensor(), rows.transposed().tensor()).to_dense()
        gram.addmm_(self._content[items], self._content[items].T)
        return gram[place.unsqueeze(2), place.unsqueeze(1)]


def descend(gram: Tensor, targets: Tensor, l1: float, l2: float, max_sweeps: int) -> Tensor:
    """Weights [B, c] >= 0 that solve B regressions by coordinate descent, all at once.

    Args:
        gram: [B, c, c] G among the candidates of each.
        targets: [B, c] G between the candidates and what is regressed on them.
        l1: weight of the sum of weights.
        l2: weight of half their squares, above zero.
        max_sweeps: sweeps at the most.

    One candidate: (3 - 1) / (4 + 4).

    >>> descend(torch.tensor([[[4.0]]]), torch.tensor([[3.0]]), 1.0, 4.0, 10)
    tensor([[0.2500]])
    """
    weights, left = torch.zeros_like(targets), targets.clone()
    own = gram.diagonal(dim1=1, dim2=2)
    for _ in range(max_sweeps):
        before = weights.clone()
        for k in range(targets.shape[1]):
            best = (left[:, k] + own[:, k] * weights[:, k] - l1).clamp(min=0) / (own[:, k] + l2)
            step = best - weights[:, k]
            left.addcmul_(gram[:, k], step.unsqueeze(1), value=-1)
            weights[:, k] = best
        if not bool(((weights - before).abs() > _TOLERANCE).any()):
            break
    return weights


def _unit_content(inputs: ModelInputs) -> Tensor:
    """All modalities side by side [I, F] with rows of length one; F = 0 without features."""
    if not inputs.features:
        return torch.zeros(inputs.n_items, 0, device=inputs.device)
    return normalize(torch.cat(list(inputs.features.values()), dim=1), dim=1)
