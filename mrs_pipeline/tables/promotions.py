"""`serving.promotions` and `serving.promotion_rules`: which model became the champion, and why. Made by `promotion`."""

from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.columns import listed_columns

PROMOTIONS = TableSchema(
    path="serving/promotions",
    description="One decision about the champion: promoted, refused or rolled back.",
    columns=listed_columns(
        "decision",
        "decided_at",
        "decided_by",
        "outcome",
        "forced",
        "reason:decision",
        "window:promoted",
        "model:promoted",
        "champion_window",
        "champion_model",
        "weights_digest",
        "data_digest",
        "kept",
    ),
)

PROMOTION_RULES = TableSchema(
    path="serving/promotion_rules",
    description="One rule of one decision, with the numbers behind it.",
    columns=listed_columns(
        "decision",
        "rule",
        "holds",
        "value:rule",
        "bound",
        "low",
        "high",
        "p:rule",
        "sentence",
    ),
)
