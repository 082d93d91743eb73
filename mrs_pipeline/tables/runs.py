"""`models.runs`: each training of a model. Made by the training stage."""

from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.columns import listed_columns

RUNS_TABLE = TableSchema(
    path="models/runs",
    description="One model trained with one seed: settings, epochs, cost.",
    columns=listed_columns(
        "seed",
        "config",
        "parameters",
        "epochs",
        "best_epoch",
        "best_score",
        "seconds",
        "seconds_per_epoch",
        "peak_memory_mb",
        "energy_joules",
        "threads",
        "device",
        "cells",
        "modalities",
        "select_on",
    ),
)
