"""Results as people ask for them, read from the lake alone: the leaderboard; lists are in `recommended`.

No settings and no Dagster are loaded, so an answer takes a moment, also while runs go on. What a result was made
from is `tracing`; making results is the business of the stages.
"""

from collections.abc import Sequence

import polars as pl

from mrs_pipeline.errors import InputError, did_you_mean
from mrs_pipeline.schema import DATASET, WINDOW
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.table import Table


def read_leaderboard(lake: Lake, dataset: str, windows: Sequence[str] | None = None) -> pl.DataFrame:
    """The leaderboard of some windows (all if None), windows in order, best first in each, stale rows last.

    Raises:
        InputError: the dataset has no leaderboard, or none of the windows is on it.
    """
    require_results(lake, "eval", "leaderboard", dataset)
    board = lake.read(Table.of("eval", "leaderboard", dataset=dataset))
    if "stale" not in board.columns:
        raise InputError(
            f"the leaderboard of {dataset} was made by an earlier version: `mrs run {dataset}` makes it again."
        )
    board = board.sort(WINDOW, "protocol", "rank", nulls_last=True, maintain_order=True)
    if windows is None:
        return board
    chosen = board.filter(pl.col(WINDOW).is_in(list(windows)))
    if chosen.is_empty():
        raise InputError(
            f"{dataset} has no results for window {', '.join(windows)}"
            f"{did_you_mean(windows[0], board[WINDOW].unique())}; it has them for "
            f"{', '.join(board[WINDOW].unique().sort())} (`mrs run {dataset} --window W` makes others)."
        )
    return chosen


def require_results(lake: Lake, schema: str, name: str, dataset: str) -> None:
    """InputError where a dataset has no partition of a table."""
    known = sorted({dict(table.keys)[DATASET] for table in lake.partitions(schema, name)})
    if dataset not in known:
        others = f"{did_you_mean(dataset, known)}; there are results of {', '.join(known)}" if known else ""
        raise InputError(
            f"there are no results of a dataset {dataset} in {lake.root}{others}: run `mrs run {dataset}` first, "
            "or see `mrs datasets` for the names."
        )


def require_one_of(known: Sequence[str], wanted: str, sentence: str) -> str:
    """`wanted`; InputError that begins with `sentence` where it is none of `known`."""
    if wanted not in known:
        raise InputError(f"{sentence} {wanted}{did_you_mean(wanted, known)}; there are {', '.join(known)}.")
    return wanted


def partition(schema: str, name: str, dataset: str, window: str, **keys: str) -> Table:
    """The partition of one window."""
    return Table.of(schema, name, dataset=dataset, window=window, **keys)
