"""`eval.experiment_arms`: an experiment's arms, one row an arm, part and seed. Made by `stages.study`."""

from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.columns import listed_columns

EXPERIMENT_ARMS = TableSchema(
    path="eval/experiment_arms",
    description="One arm of an experiment with one seed, or one part of its vectors.",
    columns=listed_columns(
        "arm",
        "position",
        "series",
        "against",
        "part",
        "model",
        "settings",
        "modalities",
        "removed",
        "seed:arm",
        "slice",
        "metric",
        "k",
        "users",
        "value",
        "ci_low",
        "ci_high",
        "seconds:arm",
        "seconds_per_epoch",
        "epochs",
        "peak_memory_mb",
        "parameters",
        "threads",
        "dependence",
        "protocol",
        "data_digest",
        "code_digest",
    ),
    lineage={"value": (("core/splits", "user"), ("core/splits", "item"), ("core/splits", "split"))},
)
