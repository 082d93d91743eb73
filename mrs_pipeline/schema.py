"""Names of columns and keys that more than one package uses. No logic, no types, no other imports."""

from typing import Final

USER_ID: Final = "user_id"
"""Original user identifier, always VARCHAR."""
ITEM_ID: Final = "item_id"
"""Original item identifier, always VARCHAR."""
TIMESTAMP: Final = "timestamp"
"""Moment of the interaction, TIMESTAMP in UTC without zone; NULL where the source has none."""
RATING: Final = "rating"
"""DOUBLE; NULL where the source has none (implicit feedback)."""
SPLIT: Final = "split"
"""`train`, `valid` or `test`."""
USER: Final = "user"
"""Dense user number 0..U-1, fixed by `core.users`."""
ITEM: Final = "item"
"""Dense item number 0..I-1, fixed by `core.items`."""
TITLE: Final = "title"
DESCRIPTION: Final = "description"
FIRST_SEEN: Final = "first_seen"
"""Moment from which an item can be recommended, TIMESTAMP in UTC without zone; NULL for always."""
SOURCE_FILE: Final = "source_file"
SOURCE_ROW: Final = "source_row"
"""1-based data row in `SOURCE_FILE` (a CSV's header is not counted)."""
REASON: Final = "reason"

DATASET: Final = "dataset"
WINDOW: Final = "window"
MODEL: Final = "model"
SEED: Final = "seed"

FULL_WINDOW: Final = "full"
"""The only window of a dataset without time windows."""

RANKED_BY_MODEL: Final = "model"
RANKED_BY_HISTORY: Final = "history"
"""The model, shown what a user did whom it was not trained on."""
RANKED_BY_POPULARITY: Final = "popularity"
"""Nothing is known of the user: the items with the most training users."""
RANKED_BY: Final = (RANKED_BY_MODEL, RANKED_BY_HISTORY, RANKED_BY_POPULARITY)

TRAIN: Final = "train"
VALID: Final = "valid"
TEST: Final = "test"
SPLIT_LABELS: Final = (TRAIN, VALID, TEST)
