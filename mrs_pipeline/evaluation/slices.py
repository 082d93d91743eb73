"""Slices of a held-out set (all, warm and cold items) and the rows of metrics that are reported for them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mrs_pipeline.evaluation.evaluator import ranking_task, user_metrics
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.models.base import AnyRecommender
from mrs_pipeline.types import BoolArray, FloatArray, IntArray, Interactions, TrainingData

SLICES = ("all", "warm", "cold")
"""`all` ranks every item; `warm` and `cold` rank, and look for, only items with / without training rows."""


@dataclass(frozen=True)
class UserMetrics:
    """Metrics of each user on one slice.

    Attributes:
        slice: one of `SLICES`.
        protocol: how candidates were chosen, in words that tell comparable rows from others.
        users: [B] int64 users who have a relevant item in the slice.
        values: `<metric>@<k>` -> [B] float32.
    """

    slice: str
    protocol: str
    users: IntArray
    values: Mapping[str, FloatArray]


def evaluate(
    model: AnyRecommender, data: TrainingData, test: Interactions, options: EvaluationOptions
) -> tuple[UserMetrics, ...]:
    """Per-user metrics of `model` on `test` for each slice that has users; to be called once a model."""
    exclude = [data.train] if options.exclude == "train" else [data.train, data.valid]
    return tuple(
        result
        for name, candidates in _candidates(data.train).items()
        if len((result := _on_slice(model, (test, exclude), name, candidates, options)).users)
    )


def _candidates(train: Interactions) -> dict[str, BoolArray | None]:
    seen = np.bincount(train.items, minlength=train.n_items) > 0
    return {"all": None, "warm": seen, "cold": ~seen}


def _on_slice(
    model: AnyRecommender,
    parts: tuple[Interactions, Sequence[Interactions]],
    name: str,
    candidates: BoolArray | None,
    options: EvaluationOptions,
) -> UserMetrics:
    test, exclude = parts
    task = ranking_task(test, exclude, candidates=candidates, device=model.device)
    return UserMetrics(
        slice=name,
        protocol=protocol(options, name),
        users=task.users.cpu().numpy(),
        values=user_metrics(model, task, options.ks),
    )


def protocol(options: EvaluationOptions, slice_name: str) -> str:
    """The rules behind a number; rows with different protocols must not be compared."""
    return f"full ranking; candidates={slice_name} items; exclude={options.exclude}; ties by item number"


class Selection:
    """The validation score that chooses epochs and settings; holds no test row."""

    def __init__(self, data: TrainingData, options: EvaluationOptions, device: torch.device) -> None:
        self._task = ranking_task(data.valid, [data.train], device=device)
        self._options = options

    @property
    def n_users(self) -> int:
        """Users with a validation interaction that can be found."""
        return len(self._task.users)

    def __call__(self, model: AnyRecommender) -> float:
        """Mean of `select_on` over the users; NaN where there are none."""
        if not self.n_users:
            return math.nan
        values = user_metrics(model, self._task, [self._options.select_k])
        return float(values[self._options.select_on].mean(dtype=np.float64))
