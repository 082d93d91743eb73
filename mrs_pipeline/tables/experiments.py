"""`eval.experiments`: how an experiment's arms compare. Made by `stages.study`."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.columns import listed_columns

EXPERIMENTS_TABLE = TableSchema(
    path="eval/experiments",
    description="One arm of an experiment: means over seeds, and how it differs from the control on the same users.",
    columns=listed_columns(
        "arm",
        "position",
        "series",
        "against",
        "part",
        "model",
        "removed",
        "seeds",
        "metric:label",
        "value:seeds",
        "spread",
        "ci_low:seeds",
        "ci_high",
        "warm",
        "cold",
        "difference",
        "difference_low",
        "difference_high",
        "p",
        "seconds:mean",
        "seconds_per_epoch:mean",
        "epochs:mean",
        "peak_memory_mb:max",
        "parameters",
        "dependence",
    ),
    lineage={
        "value": (("core/splits", "user"), ("core/splits", "item"), ("core/splits", "split")),
    },
)


def suites(experiment: str) -> list[Suite]:
    """What must hold of an experiment's result.

    Args:
        experiment: what to put after FROM to read the partition.
    """
    return [
        Suite(
            "SELECT arm, part, metric, value, least(value - ci_low, ci_high - value) AS inside, "
            "count(*) FILTER (position = 0) OVER () AS controls "
            f"FROM {experiment}",
            [
                expect.not_null("value", "every arm was measured"),
                expect.between("value", 0, 1, "metrics lie between 0 and 1"),
                expect.between("inside", -1e-9, None, "intervals enclose their mean"),
                expect.between("controls", 1, None, "there is a control to hold the arms against"),
                expect.unique_together(["arm", "part"], "no arm stands there twice"),
            ],
        )
    ]
