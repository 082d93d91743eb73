"""Slices of a held-out set (all, warm and cold items) and the metrics that are reported for them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch

from mrs_pipeline.evaluation.evaluator import (
    RankingTask,
    list_length,
    overall_metrics,
    ranking_evidence,
    ranking_task,
    user_metrics,
)
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.metrics.base import Metric, Need
from mrs_pipeline.metrics.evidence import Background, ItemFacts
from mrs_pipeline.metrics.registry import metrics_of
from mrs_pipeline.models.base import AnyRecommender
from mrs_pipeline.types import BoolArray, FloatArray, IntArray, Interactions, TrainingData

ALL: Final = "all"
"""The slice that ranks every item; `warm` and `cold` rank, and look for, only items with / without training rows."""


@dataclass(frozen=True)
class SliceMetrics:
    """What one slice came to.

    Attributes:
        slice: all, warm or cold.
        protocol: how candidates were chosen, in words that tell comparable rows from others.
        users: [B] int64 users who have a relevant item in the slice.
        values: `Metric.label` -> [B] float32; NaN where a metric is not defined for a user.
        overall: `Metric.label` -> value of a metric over all users.
    """

    slice: str
    protocol: str
    users: IntArray
    values: Mapping[str, FloatArray]
    overall: Mapping[str, float] = field(default_factory=dict)


def evaluate(
    model: AnyRecommender,
    data: TrainingData,
    test: Interactions,
    options: EvaluationOptions,
    facts: ItemFacts | None = None,
) -> tuple[SliceMetrics, ...]:
    """Metrics of `model` on `test` for each slice that has users; to be called once a model.

    Args:
        model: a trained model.
        data: what it was trained on.
        test: held-out rows.
        options: metrics, cut-offs, exclusion rule.
        facts: features and attribute of the items, the same for all models that are compared; the features in `data`
            if None. Metrics that lack theirs are left out, see `left_out`.
    """
    exclude = [data.train] if options.exclude == "train" else [data.train, data.valid]
    background = Background(data.train, ItemFacts(data.features) if facts is None else facts)
    lacking = left_out(options, background.facts)
    chosen = [metric for metric in metrics_of(options.metrics) if metric.name not in lacking]
    found = []
    for name, candidates in _candidates(data.train).items():
        task = ranking_task(test, exclude, candidates=candidates, device=model.device)
        if len(task.users):
            found.append(_on_slice(model, task, (name, background), chosen, options))
    return tuple(found)


def left_out(options: EvaluationOptions, facts: ItemFacts) -> dict[str, str]:
    """Metrics that cannot be measured with what is known of the items, and why."""
    reasons = {}
    for metric in metrics_of(options.metrics):
        if Need.FEATURES in metric.needs and not facts.features:
            reasons[metric.name] = "the dataset has no item features"
        if Need.ATTRIBUTE in metric.needs and facts.attribute is None:
            reasons[metric.name] = "no attribute of the items is named: set evaluation.attribute"
    return reasons


def _candidates(train: Interactions) -> dict[str, BoolArray | None]:
    seen = np.bincount(train.items, minlength=train.n_items) > 0
    return {ALL: None, "warm": seen, "cold": ~seen}


def _on_slice(
    model: AnyRecommender,
    task: RankingTask,
    named: tuple[str, Background],
    metrics: Sequence[Metric],
    options: EvaluationOptions,
) -> SliceMetrics:
    name, background = named
    evidence = ranking_evidence(model, task, background, list_length(metrics, options.ks))
    return SliceMetrics(
        slice=name,
        protocol=protocol_of_slice(options, name),
        users=evidence.users,
        values=user_metrics(evidence, metrics, options.ks),
        overall=overall_metrics(evidence, metrics, options.ks),
    )


def protocol_of_slice(options: EvaluationOptions, slice_name: str) -> str:
    """The rules behind a number; rows with different protocols must not be compared."""
    return f"full ranking; candidates={slice_name} items; exclude={options.exclude}; ties by item number"


class Selection:
    """The validation score that chooses epochs and settings; holds no test row."""

    def __init__(self, data: TrainingData, options: EvaluationOptions, device: torch.device) -> None:
        self._task = ranking_task(data.valid, [data.train], device=device)
        self._background = Background(data.train)
        self._metric = metrics_of([options.select_metric])
        self._k = options.select_k

    @property
    def n_users(self) -> int:
        """Users with a validation interaction that can be found."""
        return len(self._task.users)

    def __call__(self, model: AnyRecommender) -> float:
        """Mean of `select_on` over the users for whom it is defined; NaN where there are none."""
        evidence = ranking_evidence(model, self._task, self._background)
        (values,) = user_metrics(evidence, self._metric, [self._k]).values()
        known = values[~np.isnan(values)]
        return float(known.mean(dtype=np.float64)) if len(known) else math.nan
