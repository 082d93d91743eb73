"""`quality.feature_sets`: what a feature set is worth before any model is trained. Made by `stages.feature_quality`."""

from mrs_pipeline.tables.base import Column, TableSchema

FEATURE_SETS = TableSchema(
    path="quality/feature_sets",
    description="One feature set in one window, measured on the training and validation rows.",
    columns={
        "items": Column("BIGINT", "Items of the catalogue."),
        "present": Column("BIGINT", "Items with a vector."),
        "dimensions": Column("BIGINT", "Width of the vectors."),
        "effective_rank": Column(
            "DOUBLE", "Directions that the vectors really use, between 1 and the width."
        ),
        "mean_cosine": Column("DOUBLE", "Mean cosine of random pairs of items."),
        "norm_mean": Column("DOUBLE", "Mean length of the vectors."),
        "drift_cosine": Column(
            "DOUBLE",
            "Cosine of this and the previous version's mean vectors; NULL without one of this width.",
        ),
        "drift_norm": Column("DOUBLE", "Relative change of the mean length against the previous version."),
        "signal_z": Column(
            "DOUBLE",
            "By how many standard deviations items that share users are nearer than chance; NULL for too few pairs.",
        ),
        "signal_cosine": Column("DOUBLE", "Mean centred cosine of items that share users."),
        "shuffled_cosine": Column(
            "DOUBLE", "The same after vectors were dealt out anew, mean over the shuffles."
        ),
        "pairs": Column("BIGINT", "Pairs of items that the signal was looked for in."),
        "metric": Column("VARCHAR", "The validation metric of the next two columns."),
        "floor": Column("DOUBLE", "Score of ItemKNN on these vectors alone; NULL where nothing is held out."),
        "popularity": Column("DOUBLE", "Score of recommending what is popular, on the same rows."),
    },
    lineage={
        "items": (("core/items", "item"),),
        "signal_z": (("core/splits", "user"), ("core/splits", "item")),
        "floor": (("core/splits", "user"), ("core/splits", "item")),
        "popularity": (("core/splits", "user"), ("core/splits", "item")),
    },
)
