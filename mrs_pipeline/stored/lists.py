"""Who is recommended what, read from the stored lists: the list of one user, the users of one item.

Whoever has no list of their own is shown what is popular, and the answer says so. Nothing is ranked here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.schema import MODEL, RANKED_BY_HISTORY, RANKED_BY_MODEL, TRAIN, VALID, WINDOW
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.stored.results import partition, read_leaderboard, require_one_of, require_results

_EXAMPLES: Final = 3
POPULARITY_LIST: Final = "popularity"
"""Whose list it is where no model has one."""


@dataclass(frozen=True)
class ShownList:
    """A list and whose it is.

    Attributes:
        window: the window that the model was trained for.
        model: its name; `popularity` where no model ranked.
        rows: of a user rank, item_id, title (null where the catalogue has none), score; of an item rank, user_id,
            score; best first.
        notice: why the list is not what was asked for; None where it is.
    """

    window: str
    model: str
    rows: pl.DataFrame
    notice: str | None = None


@dataclass(frozen=True)
class _Lists:
    """The stored lists of one window."""

    lake: Lake
    dataset: str
    window: str
    models: Sequence[str]

    @classmethod
    def of(cls, lake: Lake, dataset: str, window: str | None) -> "_Lists":
        require_results(lake, "serving", "recommendations", dataset)
        found = [dict(table.keys) for table in lake.partitions("serving", "recommendations", dataset=dataset)]
        windows = sorted({keys[WINDOW] for keys in found})
        window = require_one_of(
            windows, window or windows[-1], f"{dataset} has no recommendations for window"
        )
        return cls(lake, dataset, window, [keys[MODEL] for keys in found if keys[WINDOW] == window])

    def best_first(self, model: str | None) -> list[str]:
        """The model that was asked for; the models of the leaderboard, best first, if None."""
        if model is not None:
            sentence = f"{self.dataset} has no recommendations for window {self.window} by model"
            return [require_one_of(self.models, model, sentence)]
        board = read_leaderboard(self.lake, self.dataset)
        own = (pl.col(WINDOW) == self.window) & pl.col(MODEL).is_in(list(self.models))
        ranked = board.filter(own & pl.col("rank").is_not_null()).sort("rank")[MODEL].to_list()
        if not ranked:
            raise InputError(
                f"{self.dataset} has no leaderboard for window {self.window} yet; name one of its models with "
                f"--model: {', '.join(self.models)}."
            )
        return [str(name) for name in ranked]

    def scan(self, schema: str, name: str, **keys: str) -> str:
        """What to put after FROM to read a table of the window."""
        return self.lake.scan(partition(schema, name, self.dataset, self.window, **keys))

    def lists(self, model: str) -> str:
        """The same for the lists of a model."""
        return self.scan("serving", "recommendations", model=model)

    def ask(self, sql: str, *values: Any) -> pl.DataFrame:
        """The rows of a query."""
        with self.lake.connect() as con:
            rows: pl.DataFrame = con.sql(sql, params=list(values)).pl()
        return rows


def list_of_user(
    lake: Lake,
    dataset: str,
    user_id: str,
    *,
    model: str | None = None,
    window: str | None = None,
    k: int = 10,
) -> ShownList:
    """The first `k` places of a user's stored list; what is popular for users without a history.

    Args:
        lake: where results are.
        dataset: name of the dataset.
        user_id: the user as the source calls them.
        model: whose list; the window's leader if None.
        window: the last window with lists if None.
        k: most places.

    Raises:
        InputError: an unknown dataset, window or model.
    """
    stored = _Lists.of(lake, dataset, window)
    chosen = stored.best_first(model)[0]
    rows = stored.ask(
        "SELECT lists.rank, lists.item_id, items.title, lists.score, lists.ranked_by "
        f"FROM {stored.lists(chosen)} AS lists "
        f"LEFT JOIN {stored.scan('core', 'items')} AS items USING (item) WHERE lists.user_id = ? "
        "ORDER BY lists.rank LIMIT ?",
        user_id,
        k,
    )
    if len(rows):
        told = [_ranked_without_training(user_id, chosen, rows["ranked_by"][0]), _no_more(stored, chosen, k)]
        notice = " ".join(filter(None, told)) or None
        return ShownList(stored.window, chosen, rows.drop("ranked_by"), notice)
    notice = _why_without_list(stored, user_id)
    return ShownList(stored.window, POPULARITY_LIST, _popular(stored, k), notice)


def lists_of_all(
    lake: Lake, dataset: str, *, model: str | None = None, window: str | None = None, k: int = 10
) -> pl.DataFrame:
    """The first `k` places of every user's stored list: user_id, rank, item_id, score, ranked_by.

    Raises:
        InputError: an unknown dataset, window or model.
    """
    stored = _Lists.of(lake, dataset, window)
    chosen = stored.best_first(model)[0]
    return stored.ask(
        f"SELECT user_id, rank, item_id, score, ranked_by FROM {stored.lists(chosen)} WHERE rank <= ? "
        'ORDER BY "user", rank',
        k,
    )


def users_of_item(
    lake: Lake,
    dataset: str,
    item_id: str,
    *,
    model: str | None = None,
    window: str | None = None,
    k: int = 10,
) -> ShownList:
    """The `k` users in whose stored lists an item stands highest.

    Args:
        lake: where results are.
        dataset: name of the dataset.
        item_id: the item as the source calls it.
        model: whose lists; if None the window's leader, or the best model that lists the item where the leader cannot
            rank it: it has no interaction, and the leader sees no content.
        window: the last window with lists if None.
        k: most users.

    Raises:
        InputError: an unknown dataset, window, model or item, or no list has the item.
    """
    stored = _Lists.of(lake, dataset, window)
    names = stored.best_first(model)
    for name in names:
        rows = stored.ask(
            f"SELECT rank, user_id, score FROM {stored.lists(name)} WHERE item_id = ? "
            "ORDER BY rank, score DESC, user_id LIMIT ?",
            item_id,
            k,
        )
        if len(rows):
            notice = None if name == names[0] else f"{names[0]} lists {item_id} for nobody; {name} does."
            return ShownList(stored.window, name, rows, notice)
    raise InputError(_why_in_no_list(stored, item_id, names))


def _popular(stored: _Lists, k: int) -> pl.DataFrame:
    """The items that most users of the history have."""
    return stored.ask(
        f"""
        SELECT row_number() OVER (ORDER BY users DESC, item) AS rank, items.item_id, items.title, users AS score
        FROM (SELECT item, count(DISTINCT "user") AS users FROM {stored.scan("core", "splits")}
              WHERE split IN ('{TRAIN}', '{VALID}') GROUP BY item) AS counted
        JOIN {stored.scan("core", "items")} AS items USING (item) ORDER BY rank LIMIT ?
        """,
        k,
    )


def _ranked_without_training(user_id: str, model: str, ranked_by: str) -> str | None:
    """What stood in for training rows that a user does not have."""
    if ranked_by == RANKED_BY_MODEL:
        return None
    what = (
        f"{model} ranked from what the user did since"
        if ranked_by == RANKED_BY_HISTORY
        else f"{model} knows nothing of the user, so that what is popular is shown"
    )
    return f"{user_id} has no training row, all of the history is recent: {what}."


def _no_more(stored: _Lists, model: str, k: int) -> str | None:
    """That lists end before the place that was asked for."""
    kept = stored.ask(f"SELECT max(rank) AS kept FROM {stored.lists(model)}")["kept"][0]
    if kept is None or k <= kept:
        return None
    return (
        f"Lists are kept to place {kept}, so that no more can be shown; with `--history ITEM_ID,ITEM_ID` the model "
        "itself ranks, to any place."
    )


def _why_without_list(stored: _Lists, user_id: str) -> str:
    users = stored.scan("core", "users")
    if len(stored.ask(f"SELECT 1 FROM {users} WHERE user_id = ?", user_id)):
        return f"{user_id} has everything that the model can rank: what is popular is shown."
    reasons = stored.ask(
        f"SELECT reason, count(*) AS rows FROM {stored.scan('core', 'quarantine')} WHERE user_id = ? "
        "GROUP BY reason ORDER BY rows DESC, reason",
        user_id,
    )
    if len(reasons):
        told = ", ".join(f"{row['rows']} rows: {row['reason']}" for row in reasons.to_dicts())
        return f"{user_id} has no history that counts at window {stored.window} ({told}): what is popular is shown."
    names = stored.ask(f'SELECT user_id FROM {users} ORDER BY "user" LIMIT {_EXAMPLES}')["user_id"]
    return (
        f"{stored.dataset} knows no user {user_id} at window {stored.window} (they are called like "
        f"{', '.join(names)}): what is popular is shown."
    )


def _why_in_no_list(stored: _Lists, item_id: str, models: Sequence[str]) -> str:
    items = stored.scan("core", "items")
    known = stored.ask(f"SELECT is_cold FROM {items} WHERE item_id = ?", item_id)
    if known.is_empty():
        names = stored.ask(f"SELECT item_id FROM {items} ORDER BY item LIMIT {_EXAMPLES}")["item_id"]
        return (
            f"{stored.dataset} has no item {item_id} in window {stored.window}; its items are called like "
            f"{', '.join(names)}."
        )
    new = " It has no interaction: only models that see content can rank it." if known["is_cold"][0] else ""
    return f"{item_id} stands in no list of {', '.join(models)} at window {stored.window}.{new}"
