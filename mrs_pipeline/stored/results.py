"""Results as people ask for them, read from the lake alone: the leaderboard, the list of one user.

No settings and no Dagster are loaded, so an answer takes a moment, also while runs go on. What a result was made
from is `tracing`; making results is the business of the stages.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.schema import DATASET, MODEL, WINDOW
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.table import Table

_EXAMPLES = 3


@dataclass(frozen=True)
class UserList:
    """What a model recommends to one user.

    Attributes:
        window: the window that the model was trained for.
        model: its name.
        items: rank, item_id, title (null where the catalogue has none), score; best first.
    """

    window: str
    model: str
    items: pl.DataFrame


def read_leaderboard(lake: Lake, dataset: str, windows: Sequence[str] | None = None) -> pl.DataFrame:
    """The leaderboard of some windows (all if None), windows in order, best first in each, stale rows last.

    Raises:
        InputError: the dataset has no leaderboard, or none of the windows is on it.
    """
    _require_results(lake, "eval", "leaderboard", dataset)
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
            f"{dataset} has no results for window {', '.join(windows)}; it has them for "
            f"{', '.join(board[WINDOW].unique().sort())} (`mrs run {dataset} --window W` makes others)."
        )
    return chosen


def recommended(
    lake: Lake,
    dataset: str,
    user_id: str,
    *,
    model: str | None = None,
    window: str | None = None,
    k: int = 10,
) -> UserList:
    """The first `k` places of a user's stored list.

    Args:
        lake: where results are.
        dataset: name of the dataset.
        user_id: the user as the source calls them.
        model: whose list; the window's leader if None.
        window: the last window with lists if None.
        k: most places.

    Raises:
        InputError: an unknown dataset, window, model or user.
    """
    _require_results(lake, "serving", "recommendations", dataset)
    found = [dict(table.keys) for table in lake.partitions("serving", "recommendations", dataset=dataset)]
    windows = sorted({keys[WINDOW] for keys in found})
    window = _one_of(windows, window or windows[-1], f"{dataset} has no recommendations for window")
    models = [keys[MODEL] for keys in found if keys[WINDOW] == window]
    leader = model or _leader(lake, dataset, window, models)
    model = _one_of(models, leader, f"{dataset} has no recommendations for window {window} by model")
    lists = lake.scan(_partition("serving", "recommendations", dataset, window, model=model))
    items = lake.scan(_partition("core", "items", dataset, window))
    with lake.connect() as con:
        rows: pl.DataFrame = con.sql(
            f"SELECT lists.rank, lists.item_id, items.title, lists.score FROM {lists} AS lists "
            f"LEFT JOIN {items} AS items USING (item) WHERE lists.user_id = ? ORDER BY lists.rank LIMIT ?",
            params=[user_id, k],
        ).pl()
    if rows.is_empty():
        _require_user(lake, dataset, window, user_id)
    return UserList(window, model, rows)


def _leader(lake: Lake, dataset: str, window: str, models: Sequence[str]) -> str:
    """The best of the models on the window's leaderboard; one that was measured on other data is not on it."""
    board = read_leaderboard(lake, dataset).drop_nulls("rank")
    ranked = board.filter((pl.col(WINDOW) == window) & pl.col(MODEL).is_in(list(models))).sort("rank")
    if ranked.is_empty():
        raise InputError(
            f"{dataset} has no leaderboard for window {window} yet; name one of its models with --model: "
            f"{', '.join(models)}."
        )
    return str(ranked[MODEL][0])


def _require_results(lake: Lake, schema: str, name: str, dataset: str) -> None:
    known = sorted({dict(table.keys)[DATASET] for table in lake.partitions(schema, name)})
    if dataset not in known:
        others = f"; there are results of {', '.join(known)}" if known else ""
        raise InputError(
            f"there are no results of a dataset {dataset} in {lake.root}{others}: run `mrs run {dataset}` first, "
            "or see `mrs datasets` for the names."
        )


def _require_user(lake: Lake, dataset: str, window: str, user_id: str) -> None:
    users = lake.read(_partition("core", "users", dataset, window))["user_id"]
    if user_id not in users:
        raise InputError(
            f"{dataset} has no user {user_id} in window {window}; its users are called like "
            f"{', '.join(users.head(_EXAMPLES))}."
        )


def _one_of(known: Sequence[str], wanted: str, sentence: str) -> str:
    if wanted not in known:
        raise InputError(f"{sentence} {wanted}; there are {', '.join(known)}.")
    return wanted


def _partition(schema: str, name: str, dataset: str, window: str, **keys: str) -> Table:
    return Table.of(schema, name, dataset=dataset, window=window, **keys)
