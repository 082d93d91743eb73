"""`quality.feature_sets`: what a feature set is worth before any model is trained. Made by `stages.feature_quality`."""

from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.columns import listed_columns

FEATURE_SETS = TableSchema(
    path="quality/feature_sets",
    description="One feature set in one window, measured on the training and validation rows.",
    columns=listed_columns(
        "items",
        "present:count",
        "dimensions",
        "effective_rank",
        "mean_cosine",
        "norm_mean",
        "drift_cosine",
        "drift_norm",
        "signal_z",
        "signal_cosine",
        "shuffled_cosine",
        "pairs",
        "metric:validation",
        "baseline",
        "popularity",
    ),
    lineage={
        "items": (("core/items", "item"),),
        "signal_z": (("core/splits", "user"), ("core/splits", "item")),
        "baseline": (("core/splits", "user"), ("core/splits", "item")),
        "popularity": (("core/splits", "user"), ("core/splits", "item")),
    },
)
