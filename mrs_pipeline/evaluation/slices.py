"""Slices of a held-out set (all, warm and cold items) and the metrics that are reported for them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch

from mrs_pipeline.evaluation.evaluator import (
    RankingTask,
    chance_levels,
    list_length,
    overall_metrics,
    ranking_evidence,
    ranking_task,
    user_metrics,
)
from mrs_pipeline.evaluation.folded import FoldedIn, Ranker
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.metrics.base import Metric, Need
from mrs_pipeline.metrics.evidence import Background, ItemFacts
from mrs_pipeline.metrics.registry import metrics_of
from mrs_pipeline.models.base import AnyRecommender
from mrs_pipeline.models.baselines.most_pop import MostPop
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.schema import RANKED_BY_HISTORY, RANKED_BY_MODEL, RANKED_BY_POPULARITY
from mrs_pipeline.types import BoolArray, FloatArray, IntArray, Interactions, TrainingData

ALL: Final = "all"
"""The slice that ranks every candidate; `warm` and `cold` rank, and look for, only items with / without training rows.

All three ask for users with training rows.
"""
NEW_USERS: Final = "new users"
"""The slice of the other test users: they are ranked for from what else they did, or by popularity."""


@dataclass(frozen=True)
class SliceMetrics:
    """What one slice came to.

    Attributes:
        slice: all, warm, cold or new users.
        protocol: how candidates were chosen, in words that tell comparable rows from others.
        users: [B] int64 users who have a relevant item in the slice.
        values: `Metric.label` -> [B] float32; NaN where a metric is not defined for a user.
        overall: `Metric.label` -> value of a metric over all users.
        chance: `Metric.label` -> mean over users of what a random order of the candidates would give, for the
            metrics that know it.
        candidates: how many items are ranked in it.
        ranked_by: `model`; for new users `history` (what the user did after the training rows, shown to the model) or
            `popularity`.
    """

    slice: str
    protocol: str
    users: IntArray
    values: Mapping[str, FloatArray]
    overall: Mapping[str, float] = field(default_factory=dict)
    chance: Mapping[str, float] = field(default_factory=dict)
    candidates: int = 0
    ranked_by: str = RANKED_BY_MODEL


def evaluate(
    model: AnyRecommender,
    data: TrainingData,
    test: Interactions,
    options: EvaluationOptions,
    facts: ItemFacts | None = None,
    *,
    new_users: FoldedIn | None = None,
    tie_seed: int = 0,
) -> tuple[SliceMetrics, ...]:
    """Metrics of `model` on `test` for each slice that has users; to be called once a model.

    A slice is left out where the model can rank none of its items.

    Args:
        model: a trained model.
        data: what it was trained on.
        test: held-out rows.
        options: metrics, cut-offs, exclusion rule.
        facts: features and attribute of the items, the same for all models that are compared; the features in `data`
            if None. Metrics that lack theirs are left out, see `left_out`.
        new_users: the model as it ranks for users without training rows; they get what is popular if None.
        tie_seed: by which the order of equal scores is drawn.
    """
    exclude = [data.train] if options.exclude == "train" else [data.train, data.valid]
    background = Background(data.train, ItemFacts(data.features) if facts is None else facts)
    lacking = left_out(options, background.facts)
    chosen = [metric for metric in metrics_of(options.metrics) if metric.name not in lacking]
    found = []
    trained = data.users_trained
    for name, candidates in _candidates(data).items():
        ranker: Ranker = model
        asked, by = trained, RANKED_BY_MODEL
        if name == NEW_USERS:
            asked = ~trained
            by = RANKED_BY_HISTORY if new_users else RANKED_BY_POPULARITY
            ranker = new_users or most_popular(data)
        task = ranking_task(
            test, exclude, candidates=candidates, asked=asked, tie_seed=tie_seed, device=ranker.device
        )
        if len(task.users) and _ranks_any(ranker, candidates):
            found.append(_on_slice(ranker, task, (name, by, background), chosen, options))
    return tuple(found)


def _ranks_any(model: Ranker, candidates: BoolArray | None) -> bool:
    ranked = model.rankable.cpu().numpy()
    return bool((ranked if candidates is None else ranked & candidates).any())


def most_popular(data: TrainingData) -> AnyRecommender:
    """What users of whom nothing is known are shown: the items with the most training users."""
    inputs = ModelInputs.from_data(TrainingData(data.train, data.valid))
    model = MostPop(MostPop.Config(), inputs, torch.Generator())
    model.fit_closed_form()
    return model


def left_out(options: EvaluationOptions, facts: ItemFacts) -> dict[str, str]:
    """Metrics that cannot be measured with what is known of the items, and why."""
    reasons = {}
    for metric in metrics_of(options.metrics):
        if Need.FEATURES in metric.needs and not facts.features:
            reasons[metric.name] = "the dataset has no item features"
        if Need.ATTRIBUTE in metric.needs and facts.attribute is None:
            reasons[metric.name] = "no attribute of the items is named: set evaluation.attribute"
    return reasons


def _candidates(data: TrainingData) -> dict[str, BoolArray | None]:
    seen = np.bincount(data.train.items, minlength=data.train.n_items) > 0
    cold = ~seen if data.candidates is None else ~seen & data.candidates
    return {ALL: data.candidates, "warm": seen, "cold": cold, NEW_USERS: data.candidates}


def _on_slice(
    model: Ranker,
    task: RankingTask,
    named: tuple[str, str, Background],
    metrics: Sequence[Metric],
    options: EvaluationOptions,
) -> SliceMetrics:
    name, ranked_by, background = named
    evidence = ranking_evidence(model, task, background, list_length(metrics, options.ks))
    return SliceMetrics(
        slice=name,
        protocol=protocol_of_slice(options, name),
        users=evidence.users,
        values=user_metrics(evidence, metrics, options.ks),
        overall=overall_metrics(evidence, metrics, options.ks),
        chance=chance_levels(evidence, metrics, options.ks),
        candidates=task.catalogue,
        ranked_by=ranked_by,
    )


def protocol_of_slice(options: EvaluationOptions, slice_name: str) -> str:
    """The rules behind a number; rows with different protocols must not be compared."""
    return f"full ranking; candidates={slice_name} items; exclude={options.exclude}; ties by lot"


class Selection:
    """The validation score that chooses epochs and settings; holds no test row."""

    def __init__(self, data: TrainingData, options: EvaluationOptions, device: torch.device) -> None:
        self._task = ranking_task(
            data.valid, [data.train], candidates=data.candidates, asked=data.users_trained, device=device
        )
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
