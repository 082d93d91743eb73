"""Guards of feature sets: vectors that are wrong block, those that are suspicious warn."""

from collections.abc import Sequence

from mrs_pipeline.encoders import diagnostics as limits
from mrs_pipeline.stages.checks.suites import expectations, scan_of, suite_outcome
from mrs_pipeline.stored.features import summary_of
from mrs_pipeline.tables import features_table
from mrs_pipeline.tasks.node import CORE_ITEMS, Kind, Node
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import CheckOutcome, CheckSpec, Stage, Task


def feature_specs(name: str) -> tuple[CheckSpec, ...]:
    """Blocking where vectors are wrong, warning where they are suspicious."""
    return (
        expectations(
            Node(Kind.FEATURES, name), "a finite vector for every present item, rows as in core.items."
        ),
        CheckSpec(
            "signal",
            Node(Kind.FEATURES, name),
            "Coverage, rank, duplicates and norms are those of a useful feature set, and as they were.",
            blocking=False,
        ),
    )


def quality_specs(name: str) -> tuple[CheckSpec, ...]:
    """Whether the vectors belong to the items that they stand beside."""
    return (
        CheckSpec(
            "above_chance",
            Node(Kind.QUALITY, name),
            "Items that share users are nearer to each other than shuffled ones.",
            blocking=False,
        ),
    )


def check_features(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of a feature set, and what its numbers say about its worth."""
    name = task.subject
    broken, weak = feature_specs(name)
    scan = stage.lake.scan(stage.table("features", name))
    found = suspicions(summary_of(stage, name))
    facts = {"what is suspicious": list(found)} if found else {}
    return [
        suite_outcome(stage, broken, features_table.suites(scan, scan_of(stage, CORE_ITEMS))),
        CheckOutcome(
            weak.name, weak.output, not found, weak.blocking, "; ".join(found) or weak.description, facts
        ),
    ]


def check_quality(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The signal test of a feature set; nothing is held against one with too few pairs to tell."""
    (spec,) = quality_specs(task.subject)
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
    facts = {key: row[key] for key in ("signal_z", "pairs", "baseline", "popularity")}
    return [CheckOutcome(spec.name, spec.output, not weak, spec.blocking, told, facts)]


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
