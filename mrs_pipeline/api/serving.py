"""Ranked lists with the user's own ids, for users that were trained on and for histories of anybody."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from mrs_pipeline import fitting
from mrs_pipeline.api.frames import AnyTable, as_frame, as_series, column
from mrs_pipeline.api.ids import Ids
from mrs_pipeline.api.model import FittedModel
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import Interactions, TopK

Histories = Mapping[Any, Sequence[Any]] | AnyTable
"""Whoever is asked for -> the items they took, oldest first; or a table of rows with the user's and item's column."""


def recommend(
    model: FittedModel,
    users: Any = None,
    *,
    histories: Histories | None = None,
    k: int = 10,
    exclude_seen: bool = True,
) -> pl.DataFrame:
    """The `k` best items of each user, best first: the user's id, rank from 1, the item's id, score.

    Args:
        model: of `fit` or `load`.
        users: ids of users that the model was trained on; all of them if None.
        histories: instead of users, what anybody has taken. Models for which a user is their history rank these as if
            they had been trained on them, the others nearly so (docs/serving.md says which); dmrl and pamd cannot.
        k: length of a list; shorter where fewer items are left.
        exclude_seen: leave out what a user took in the training and validation rows, or in the given history.

    Raises:
        InputError: a user or item is unknown, or the model cannot rank histories.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k must be a whole number from 1, not {k!r}")
    if histories is None:
        asked = (
            model.users.column(np.arange(len(model.users))) if users is None else as_series(users, "users")
        )
        numbers = model.users.numbers(asked, "users")
        seen = [model.data.train, model.data.valid]
        known = model.data.valid if model.data.valid.times is not None else None
        lists = fitting.recommend(model.recommender, k, seen if exclude_seen else [], numbers, known=known)
        return _frame(model, model.users.column(numbers), lists)
    if users is not None:
        raise InputError("give `users` or `histories`, not both")
    names, rows = _rows(model, histories)
    lists = fitting.recommend_to(model.recommender, k, rows, exclude_seen=exclude_seen)
    return _frame(model, names, lists)


def _frame(model: FittedModel, names: pl.Series, lists: TopK) -> pl.DataFrame:
    n, k = lists.items.shape
    places = np.repeat(np.arange(n), k)
    kept = lists.items.ravel() >= 0
    return pl.DataFrame(
        [
            names.gather(pl.Series(places[kept])).rename(model.users.name),
            pl.Series("rank", np.tile(np.arange(1, k + 1, dtype=np.int32), n)[kept]),
            model.items.column(lists.items.ravel()[kept]),
            pl.Series("score", lists.scores.ravel()[kept]),
        ]
    )


def _rows(model: FittedModel, histories: Histories) -> tuple[pl.Series, Interactions]:
    """Who is asked for, and their rows in the order of histories: users numbered as they come, no times."""
    if isinstance(histories, Mapping) and not _is_table(histories, model):
        names = as_series(list(histories), "the keys of histories")
        lists = [as_series(items, f"the history of {name!r}") for name, items in histories.items()]
        owners = np.repeat(np.arange(len(lists)), [len(each) for each in lists])
        filled = [each for each in lists if len(each)]
        taken = _concat(filled, "histories") if filled else model.items.values.head(0)
    else:
        frame = as_frame(histories, "histories")
        people = Ids.of(model.users.name, column(frame, model.users.name, "histories"))
        names, owners = people.values, people.numbers(frame[model.users.name], "histories")
        taken = column(frame, model.items.name, "histories")
        order = np.argsort(owners, kind="stable")
        owners, taken = owners[order], taken.gather(pl.Series(order))
    if not len(names):
        raise InputError("histories are empty; give at least one")
    items = model.items.numbers(taken, "histories") if len(taken) else np.zeros(0, dtype=np.int64)
    return names, Interactions(owners.astype(np.int64), items, len(names), len(model.items))


def _is_table(histories: Mapping[Any, Any], model: FittedModel) -> bool:
    return {model.users.name, model.items.name} <= set(histories)


def _concat(parts: list[pl.Series], what: str) -> pl.Series:
    try:
        return pl.concat(parts)
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"{what} hold ids of several types; give all items as the dataset has them"
        ) from error
