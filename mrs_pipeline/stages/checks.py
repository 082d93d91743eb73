"""The guards of each stage: expectations of `tables` run on the stored partitions, and what must hold of models.

A suite that fails blocks what is downstream; what is merely suspicious (a weak feature set, a model that does not
beat popularity) warns. What the expectations are stands beside each table, how they are run in `quality`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl

from mrs_pipeline.encoders import checks as limits
from mrs_pipeline.quality import QualityReport
from mrs_pipeline.stages.base import CheckOutcome, CheckSpec, Stage, Task
from mrs_pipeline.stages.nodes import CORE, RAW_INTERACTIONS, RAW_ITEMS, SPLITS, expand, table_of
from mrs_pipeline.tables import (
    experiments,
    features_table,
    interactions,
    items,
    leaderboard,
    metrics,
    quarantine,
    raw_interactions,
    raw_items,
    recommendations,
    splits_table,
    user_metrics,
    users,
)
from mrs_pipeline.tables.base import Suite, check_suites

LIST_LENGTH = 50
"""Items a served list holds."""


def expectations(output: str, what: str) -> CheckSpec:
    """The blocking suite of a table."""
    return CheckSpec("expectations", output, f"Great Expectations: {what}")


RAW_INTERACTIONS_SPECS = (
    expectations(RAW_INTERACTIONS, "identifiers, times and ratings as a log may have them."),
)
RAW_ITEMS_SPECS = (expectations(RAW_ITEMS, "every item once, with an identifier."),)
CORE_SPECS = tuple(
    expectations(node, what)
    for node, what in zip(
        CORE,
        (
            "dense numbers, every user once.",
            "dense numbers, warm items first.",
            "known users and items, no pair twice, k-core and rating rule hold.",
            "every rejected row has a reason and the counts add up to the rows read.",
        ),
        strict=True,
    )
)
SPLITS_SPECS = (expectations(SPLITS, "a partition without leakage; every tested user has training rows."),)
LEADERBOARD_SPECS = (expectations("eval/leaderboard", "ranks follow the metric."),)


def feature_specs(name: str) -> tuple[CheckSpec, ...]:
    """Blocking where vectors are wrong, warning where they are suspicious."""
    return (
        expectations(f"features/{name}", "a finite vector for every present item, rows as in core.items."),
        CheckSpec(
            "signal",
            f"features/{name}",
            "Coverage, rank, duplicates and norms are those of a useful feature set, and as they were.",
            blocking=False,
        ),
    )


def quality_specs(name: str) -> tuple[CheckSpec, ...]:
    """Whether the vectors belong to the items that they stand beside."""
    return (
        CheckSpec(
            "above_chance",
            f"quality/{name}",
            "Items that share users are nearer to each other than shuffled ones.",
            blocking=False,
        ),
    )


def trained_specs(name: str) -> tuple[CheckSpec, ...]:
    """What a trained model should show before anyone relies on it."""
    return (
        CheckSpec("finite", f"trained/{name}", "All weights are finite numbers.", blocking=False),
        CheckSpec(
            "beats_popularity",
            f"trained/{name}",
            "On validation the model is better than recommending what is popular.",
            blocking=False,
        ),
    )


def recommendation_specs(name: str) -> tuple[CheckSpec, ...]:
    """Lists fit to be served."""
    return (
        expectations(f"recommendations/{name}", "full lists of known items, nothing a user already had."),
    )


def metrics_specs(name: str) -> tuple[CheckSpec, ...]:
    """Numbers fit to be reported."""
    return (
        expectations(
            f"metrics/{name}", "values between 0 and 1, intervals around them, recall rising with k."
        ),
    )


def experiment_specs(name: str) -> tuple[CheckSpec, ...]:
    """An experiment fit to be read."""
    return (expectations(f"experiments/{name}", "every arm measured once, beside a control."),)


def check_experiment(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of an experiment's result."""
    name = task.name.partition("/")[2]
    return [
        suite_outcome(stage, experiment_specs(name)[0], experiments.suites(_scan(stage, task.outputs[0])))
    ]


def check_raw_interactions(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of one window of `raw.interactions`."""
    scan = stage.lake.scan(stage.table("raw", "interactions"))
    return [suite_outcome(stage, RAW_INTERACTIONS_SPECS[0], raw_interactions.suites(scan, _now()))]


def check_raw_items(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of `raw.items`."""
    return [suite_outcome(stage, RAW_ITEMS_SPECS[0], raw_items.suites(_scan(stage, RAW_ITEMS)))]


def check_core(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suites of the four core tables."""
    rows, user_rows, item_rows, rejected = (
        _scan(stage, f"core/{name}") for name in ("interactions", "users", "items", "quarantine")
    )
    raw = stage.lake.scan(*(table_of(stage, node) for node in expand(stage, task, RAW_INTERACTIONS)))
    suites = (
        users.suites(user_rows),
        items.suites(item_rows),
        interactions.suites(rows, user_rows, item_rows, stage.config.interactions, _now()),
        quarantine.suites(rejected, rows, raw),
    )
    return [suite_outcome(stage, spec, suite) for spec, suite in zip(CORE_SPECS, suites, strict=True)]


def check_splits(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of `core.splits`; order in time where the strategy promises it."""
    in_time_order = stage.config.windowed or stage.config.split.strategy == "global_time"
    disjoint = stage.config.interactions.deduplicate != "none"
    suite = splits_table.suites(
        _scan(stage, SPLITS),
        _scan(stage, "core/interactions"),
        disjoint=disjoint,
        in_time_order=in_time_order,
    )
    return [suite_outcome(stage, SPLITS_SPECS[0], suite)]


def check_recommendations(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of a model's lists."""
    name = task.name.partition("/")[2]
    lists, user_rows, item_rows, splits = (
        _scan(stage, node) for node in (f"recommendations/{name}", "core/users", "core/items", SPLITS)
    )
    return [
        suite_outcome(
            stage,
            recommendation_specs(name)[0],
            recommendations.suites(lists, user_rows, item_rows, splits, LIST_LENGTH),
        )
    ]


def check_metrics(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suites of a model's metrics and of its users' metrics."""
    name = task.name.partition("/")[2]
    per_user = stage.lake.scan(stage.table("eval", "user_metrics", model=name))
    suites = [
        *metrics.suites(_scan(stage, f"metrics/{name}")),
        *user_metrics.suites(per_user, _scan(stage, "core/users")),
    ]
    return [suite_outcome(stage, metrics_specs(name)[0], suites)]


def check_leaderboard(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of the leaderboard."""
    return [suite_outcome(stage, LEADERBOARD_SPECS[0], leaderboard.suites(_scan(stage, "eval/leaderboard")))]


def check_features(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of a feature set, and what its numbers say about its worth."""
    from mrs_pipeline.stages.features import summary_of

    name = task.name.partition("/")[2]
    broken, weak = feature_specs(name)
    scan = stage.lake.scan(stage.table("features", name))
    found = suspicions(summary_of(stage, name))
    facts = {"what is suspicious": list(found)} if found else {}
    return [
        suite_outcome(stage, broken, features_table.suites(scan, _scan(stage, "core/items"))),
        CheckOutcome(
            weak.name, weak.output, not found, weak.blocking, "; ".join(found) or weak.description, facts
        ),
    ]


def check_quality(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The signal test of a feature set; nothing is held against one with too few pairs to tell."""
    (spec,) = quality_specs(task.name.partition("/")[2])
    row = stage.lake.read(table_of(stage, spec.output)).row(0, named=True)
    z = row["signal_z"]
    told = (
        "too few items share users to tell"
        if z is None
        else f"items that share users are nearer than shuffled ones by {z:.1f} standard deviations"
    )
    weak = z is not None and z < limits.MIN_SIGNAL_Z
    if weak:
        told += f", less than {limits.MIN_SIGNAL_Z:g}: do the rows belong to these items?"
    facts = {key: row[key] for key in ("signal_z", "pairs", "floor", "popularity")}
    return [CheckOutcome(spec.name, spec.output, not weak, spec.blocking, told, facts)]


def check_trained(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """Finite weights, and better than popularity on validation."""
    from mrs_pipeline.stages.models import popularity_score, stored_weights

    name = task.name.partition("/")[2]
    finite, better = trained_specs(name)
    broken = [key for key, weights in stored_weights(stage, name) if not np.isfinite(weights).all()]
    runs = stage.lake.read(stage.table("models", "runs", model=name))
    score, floor = float(runs["best_score"].mean()), popularity_score(stage)  # type: ignore[arg-type]
    told = f"validation {stage.config.evaluation.select_on} {score:.4f}, popularity {floor:.4f}"
    return [
        CheckOutcome(
            finite.name,
            finite.output,
            not broken,
            False,
            f"not finite: {', '.join(broken)}" if broken else finite.description,
        ),
        CheckOutcome(
            better.name,
            better.output,
            name == "most_pop" or score > floor,
            False,
            told,
            {"model": score, "popularity": floor},
        ),
    ]


def suspicions(summary: limits.FeatureSummary) -> list[str]:
    """What about a feature set is not wrong but suspicious, a clause each."""
    spread = summary.norm_max / summary.norm_min if summary.norm_min else 1.0
    drift = 1.0 if summary.drift_cosine is None else summary.drift_cosine
    shift = summary.drift_norm or 0.0
    looked_at = (
        (summary.coverage < limits.MIN_COVERAGE, f"only {summary.coverage:.1%} of the items have a vector"),
        (
            summary.constant_dimensions > limits.MAX_CONSTANT_SHARE * summary.dimensions,
            f"{summary.constant_dimensions} of {summary.dimensions} dimensions never vary",
        ),
        (
            summary.duplicate_share > limits.MAX_DUPLICATE_SHARE,
            f"{summary.duplicate_share:.1%} of the vectors repeat another",
        ),
        (
            summary.effective_rank < limits.MIN_EFFECTIVE_RANK,
            f"the vectors span {summary.effective_rank:.1f} directions only",
        ),
        (
            summary.mean_cosine > limits.MAX_MEAN_COSINE,
            f"any two items are alike (mean cosine {summary.mean_cosine:.3f})",
        ),
        (spread > limits.MAX_NORM_SPREAD, f"the longest vector is {spread:.0f} times the shortest"),
        (
            drift < limits.MIN_DRIFT_COSINE,
            f"the mean vector points elsewhere than in the previous version (cosine {drift:.2f})",
        ),
        (
            shift > limits.MAX_NORM_SHIFT,
            f"the mean length has changed against the previous version (by {shift:.0%})",
        ),
    )
    return [clause for suspicious, clause in looked_at if suspicious]


def suite_outcome(stage: Stage, spec: CheckSpec, suites: Sequence[Suite]) -> CheckOutcome:
    """Run the suites of a table as one check."""
    with stage.lake.connect() as con:
        report = check_suites(con, suites)
    failed = [
        f"{row.description}: {row.observed}"
        + (f", e.g. {', '.join(row.unexpected)}" if row.unexpected else "")
        for row in report.failures
    ]
    return CheckOutcome(
        spec.name,
        spec.output,
        report.success,
        spec.blocking,
        "broken: " + "; ".join(failed) if failed else f"{len(report.rows)} expectations hold",
        {"expectations": _as_frame(report)},
    )


def _as_frame(report: QualityReport) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "holds": "yes" if row.success else "NO",
                "expectation": row.description,
                "observed": row.observed,
            }
            for row in report.rows
        ]
    )


def _scan(stage: Stage, node: str) -> str:
    return stage.lake.scan(table_of(stage, node))


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
