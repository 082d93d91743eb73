"""`eval.experiments`: how an experiment's arms compare. Made by `stages.study`."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.tables.base import Column, TableSchema
from mrs_pipeline.tables.experiment_arms import EXPERIMENT_ARMS

EXPERIMENTS = TableSchema(
    path="eval/experiments",
    description="One arm of an experiment: means over seeds, and how it differs from the control on the same users.",
    columns={
        "arm": EXPERIMENT_ARMS.columns["arm"],
        "position": EXPERIMENT_ARMS.columns["position"],
        "series": EXPERIMENT_ARMS.columns["series"],
        "against": EXPERIMENT_ARMS.columns["against"],
        "part": EXPERIMENT_ARMS.columns["part"],
        "model": EXPERIMENT_ARMS.columns["model"],
        "removed": EXPERIMENT_ARMS.columns["removed"],
        "seeds": Column("BIGINT", "Seeds that the means are over."),
        "metric": Column("VARCHAR", "The metric, `<name>@<k>`."),
        "value": Column("DOUBLE", "Mean over users and seeds, all items."),
        "spread": Column("DOUBLE", "Standard deviation over seeds; NULL for one seed."),
        "ci_low": Column("DOUBLE", "Lower end of the 95 % interval over users, of the mean over seeds."),
        "ci_high": Column("DOUBLE", "Upper end."),
        "warm": Column("DOUBLE", "The same on warm items; NULL where no test item is warm."),
        "cold": Column("DOUBLE", "The same on cold items; NULL where no test item is cold."),
        "difference": Column(
            "DOUBLE", "Mean difference to its control over the same users; NULL for a control."
        ),
        "difference_low": Column("DOUBLE", "Lower end of its 95 % interval."),
        "difference_high": Column("DOUBLE", "Upper end of its 95 % interval."),
        "p": Column("DOUBLE", "p-value of the paired t-test, adjusted by Holm over the experiment."),
        "seconds": Column("DOUBLE", "Seconds of training and validation, mean over seeds."),
        "seconds_per_epoch": Column("DOUBLE", "Seconds of an epoch, mean over seeds."),
        "epochs": Column("DOUBLE", "Epochs, mean over seeds."),
        "peak_memory_mb": Column("DOUBLE", "Memory, maximum over seeds."),
        "parameters": Column("BIGINT", "Trained numbers."),
        "dependence": Column("DOUBLE", "Distance correlation between parts, mean over seeds."),
    },
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
