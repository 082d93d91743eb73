"""Columns of raw and core tables and of features."""

from collections.abc import Mapping
from typing import Final

from mrs_pipeline.tables.columns import Column
from mrs_pipeline.tables.core import REASONS

DATA: Final[Mapping[str, Column]] = {
    # keys of partitions
    "dataset": Column("VARCHAR", "Name of the dataset."),
    "window": Column("VARCHAR", "The window."),
    "window:scored": Column("VARCHAR", "The window that was scored."),
    "feature_set": Column("VARCHAR", "Name of the feature set, `<modality>_<encoder>`."),
    # who and what
    "user": Column("BIGINT", "Dense number of the user, see core.users."),
    "user:numbered": Column("BIGINT", "Dense number from 0, in the order of the ids."),
    "item": Column("BIGINT", "Dense number of the item, see core.items."),
    "item:numbered": Column(
        "BIGINT",
        "Dense number from 0: warm items, then cold candidates, then the others, in the order of the ids.",
    ),
    "user_id": Column("VARCHAR", "The source's name of the user."),
    "user_id:raw": Column("VARCHAR", "The source's name of the user; NULL where it has none."),
    "item_id": Column("VARCHAR", "The source's name of the item."),
    "item_id:raw": Column("VARCHAR", "The source's name of the item; NULL where it has none."),
    # interactions
    "timestamp": Column("TIMESTAMP", "When it happened; NULL where the source has no time.", "UTC"),
    "rating": Column("DOUBLE", "The user's rating; NULL where the source has none."),
    "split": Column("VARCHAR", "train, valid or test."),
    "split:source": Column("VARCHAR", "The source's own label train, valid or test; NULL where it has none."),
    "is_history": Column("BOOLEAN", "Whether it lies before the window; true where there are no windows."),
    "source_file": Column("VARCHAR", "File that the row comes from."),
    "source_row": Column("BIGINT", "Row in that file, from 1, the header not counted."),
    "reason": Column("VARCHAR", f"Why the row does not count: {', '.join(REASONS)}."),
    # items
    "title": Column("VARCHAR", "Title; NULL where it has none."),
    "description": Column("VARCHAR", "Longer text; NULL where it has none."),
    "image": Column("VARCHAR", "Path of the picture inside the source's folder; NULL where it has none."),
    "audio": Column("VARCHAR", "Path of the sound inside the source's folder; NULL where it has none."),
    "video": Column("VARCHAR", "Path of the film inside the source's folder; NULL where it has none."),
    "first_seen": Column(
        "TIMESTAMP",
        "Since when the item can be recommended: as the catalogue says, or its first event where there is no "
        "catalogue; NULL for always.",
        "UTC",
    ),
    "is_cold": Column("BOOLEAN", "Whether the history has no interaction with it that counts."),
    "is_candidate": Column(
        "BOOLEAN",
        "Whether tests rank it: known at the window's start; without windows, with an interaction that counts.",
    ),
    # knowledge
    "head": Column(
        "BIGINT", "Number of the entity that the triple starts at; an item's is its dense number."
    ),
    "head_name": Column("VARCHAR", "Its name; an item's is its item_id."),
    "relation": Column("BIGINT", "Number of the relation, from 0."),
    "relation_name": Column("VARCHAR", "Name of the relation: an attribute, or as the file says."),
    "tail": Column("BIGINT", "Number of the entity that the triple ends at."),
    "tail_name": Column("VARCHAR", "Its name."),
    # features
    "present": Column("BOOLEAN", "Whether the item has the content that the vector is made from."),
    "present:count": Column("BIGINT", "Items with a vector.", "items"),
    "missing": Column("BIGINT", "Items without a vector.", "items"),
    "vector": Column("FLOAT[]", "The vector; NULL where it is not present."),
    "vector:model": Column(
        "FLOAT[]", "The vector; inner products of users' and items' are the model's scores."
    ),
    "side": Column("VARCHAR", "user or item."),
    "number": Column("BIGINT", "Dense number of the user or item."),
    "id": Column("VARCHAR", "The user's or item's identifier in the source."),
    "items": Column("BIGINT", "Items of the catalogue.", "items"),
    "dimensions": Column("BIGINT", "Width of the vectors."),
    "width": Column("BIGINT", "Width of the vectors."),
    "effective_rank": Column("DOUBLE", "Directions that the vectors really use, between 1 and the width."),
    "mean_cosine": Column("DOUBLE", "Mean cosine of random pairs of items."),
    "norm_mean": Column("DOUBLE", "Mean Euclidean length of the vectors."),
    "mean_norm": Column("DOUBLE", "Mean Euclidean length of the vectors."),
    "duplicates": Column("BIGINT", "Items whose vector another item has too.", "items"),
    "drift_cosine": Column(
        "DOUBLE", "Cosine of this and the previous version's mean vectors; NULL without one of this width."
    ),
    "drift_norm": Column("DOUBLE", "Relative change of the mean length against the previous version."),
    "signal_z": Column(
        "DOUBLE",
        "By how much items that share users are nearer than chance; NULL for too few pairs.",
        "standard deviations",
    ),
    "signal_cosine": Column("DOUBLE", "Mean centred cosine of items that share users."),
    "shuffled_cosine": Column(
        "DOUBLE", "The same after the vectors were shuffled among the items, mean over the shuffles."
    ),
    "pairs": Column("BIGINT", "Pairs of items that the signal was looked for in.", "pairs"),
    "metric:validation": Column("VARCHAR", "The validation metric of the next two columns, `<name>@<k>`."),
    "baseline": Column("DOUBLE", "Score of ItemKNN on these vectors alone; NULL where nothing is held out."),
    "popularity": Column("DOUBLE", "Score of recommending what is popular, on the same rows."),
    # counts for the report
    "rows": Column("BIGINT", "Interactions.", "rows"),
    "period": Column("DATE", "First day of the period."),
}
"""Column or `column:variant` -> declaration."""
