"""`eval.experiment_users`: what an experiment's arms were worth to each user. Made by `stages.study`."""

from mrs_pipeline.tables.base import TableSchema, copied
from mrs_pipeline.tables.columns import listed_columns

EXPERIMENT_USERS = TableSchema(
    path="eval/experiment_users",
    description="What one arm was worth to one user: the selecting metric on all items.",
    columns=listed_columns(
        "user",
        "part",
        "value:user",
    ),
    lineage=copied("core/splits", "user"),
)
