"""`eval.experiment_users`: what an experiment's arms were worth to each user. Made by `stages.study`."""

from mrs_pipeline.tables.base import Column, TableSchema, copied

EXPERIMENT_USERS = TableSchema(
    path="eval/experiment_users",
    description="What one arm was worth to one user: the selecting metric on all items.",
    columns={
        "user": Column("BIGINT", "Dense number of the user."),
        "part": Column("VARCHAR", "`whole`, or the part of the vectors that was scored alone."),
        "value": Column("FLOAT", "Value between 0 and 1."),
    },
    lineage=copied("core/splits", "user"),
)
