"""`quality.drift`: how a window differs from the one before it. Made by the drift stage."""

from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.columns import listed_columns

DRIFT_TABLE = TableSchema(
    path="quality/drift",
    description="One comparison of a window with the one before it.",
    columns=listed_columns(
        "part:drift",
        "about",
        "statistic",
        "value:drift",
        "chance:drift",
        "bound:drift",
        "n_before",
        "n_now",
        "drifted",
    ),
)
