"""Guards of a model: its weights, its lists, its metrics."""

from collections.abc import Sequence

import numpy as np

from mrs_pipeline.stages.checks.signatures import (
    check_signatures,
    check_unseen,
    signature_specs,
    unseen_spec,
)
from mrs_pipeline.stages.checks.suites import expectations, scan_of, suite_outcome
from mrs_pipeline.stages.recommend import LIST_LENGTH
from mrs_pipeline.stages.train import popularity_score
from mrs_pipeline.stored.trained import stored_weights
from mrs_pipeline.tables import metrics, recommendations, user_metrics
from mrs_pipeline.tasks.node import CORE_ITEMS, CORE_USERS, SPLITS, Kind, Node
from mrs_pipeline.tasks.task import CheckOutcome, CheckSpec, Stage, Task


def trained_specs(name: str) -> tuple[CheckSpec, ...]:
    """What a trained model should show before anyone relies on it."""
    return (
        CheckSpec("finite", Node(Kind.TRAINED, name), "All weights are finite numbers.", blocking=False),
        CheckSpec(
            "beats_popularity",
            Node(Kind.TRAINED, name),
            "On validation the model is better than recommending what is popular.",
            blocking=False,
        ),
        *signature_specs(name),
    )


def final_specs(name: str) -> tuple[CheckSpec, ...]:
    """What a model that is served should show."""
    return (CheckSpec("finite", Node(Kind.FINAL, name), "All weights are finite numbers.", blocking=False),)


def recommendation_specs(name: str) -> tuple[CheckSpec, ...]:
    """Lists fit to be served."""
    return (
        expectations(
            Node(Kind.RECOMMENDATIONS, name), "full lists of known items, nothing a user already had."
        ),
    )


def metrics_specs(name: str) -> tuple[CheckSpec, ...]:
    """Numbers fit to be reported."""
    return (
        expectations(
            Node(Kind.METRICS, name),
            "values in the range of their metric, intervals around them, recall rising with k.",
        ),
        unseen_spec(name),
    )


def check_trained(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """Finite weights, better than popularity on validation, and none of the signatures of a failed training."""
    name = task.subject
    finite, better, *_ = trained_specs(name)
    runs = stage.lake.read(stage.table("models", "runs", model=name))
    score, baseline = float(runs["best_score"].mean()), popularity_score(stage)  # type: ignore[arg-type]
    told = f"validation {stage.config.evaluation.select_on} {score:.4f}, popularity {baseline:.4f}"
    weights = _all_finite(stage, finite)
    return [
        weights,
        CheckOutcome(
            better.name,
            better.output,
            name == "most_pop" or score > baseline,
            False,
            told,
            {"model": score, "popularity": baseline},
        ),
        *check_signatures(stage, name, sound=weights.passed),
    ]


def check_final(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """Finite weights."""
    return [_all_finite(stage, spec) for spec in final_specs(task.subject)]


def _all_finite(stage: Stage, spec: CheckSpec) -> CheckOutcome:
    broken = [key for key, weights in stored_weights(stage, spec.output) if not np.isfinite(weights).all()]
    told = f"not finite: {', '.join(broken)}" if broken else spec.description
    return CheckOutcome(spec.name, spec.output, not broken, spec.blocking, told)


def check_recommendations(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of a model's lists."""
    name = task.subject
    lists, user_rows, item_rows, splits = (
        scan_of(stage, node) for node in (Node(Kind.RECOMMENDATIONS, name), CORE_USERS, CORE_ITEMS, SPLITS)
    )
    return [
        suite_outcome(
            stage,
            recommendation_specs(name)[0],
            recommendations.suites(
                lists, user_rows, item_rows, splits, LIST_LENGTH, refit=stage.config.serving.refit
            ),
        )
    ]


def check_metrics(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suites of a model's metrics and of its users' metrics, and what it makes of unseen items."""
    name = task.subject
    per_user = stage.lake.scan(stage.table("eval", "user_metrics", model=name))
    suites = [
        *metrics.suites(scan_of(stage, Node(Kind.METRICS, name))),
        *user_metrics.suites(per_user, scan_of(stage, CORE_USERS)),
    ]
    return [suite_outcome(stage, metrics_specs(name)[0], suites), check_unseen(stage, name)]
