"""`models.history`: how each training went, epoch by epoch. Made by the training stage."""

from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.columns import listed_columns

HISTORY_TABLE = TableSchema(
    path="models/history",
    description="One measure of one epoch of one training.",
    columns=listed_columns("epoch", "measure", "value:measure", "seed"),
)
