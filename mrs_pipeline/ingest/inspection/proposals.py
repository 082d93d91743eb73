"""What a dataset's settings should be, judged by its data: windows, thresholds, split. For `mrs init`.

Each proposal comes with the sentence that explains it. Which file is what is `discovery`; the settings are
put together in `inspection`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mrs_pipeline.ingest.facts import SourceFacts
from mrs_pipeline.ingest.landing import window_key_sql
from mrs_pipeline.schema import ITEM_ID, RATING, TIMESTAMP, USER_ID
from mrs_pipeline.windows import window_end, window_start

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_LENGTHS: Final = ("year", "month", "week", "day")
_FEWEST_WINDOWS: Final = 4
_RETURNING: Final = 0.5
"""Share of a window's events by users seen before, from which walk-forward has something to test."""
_HISTORY: Final = 0.1
"""Share of all events that must lie before the first window that is scored."""
_LIKED: Final = (0.8, 0.6)
"""Parts of the highest rating that count as liking, the first that leaves enough."""
_ENOUGH_LIKED: Final = 0.3
_CORES: Final = (5, 3, 2)
_ENOUGH_LEFT: Final = 0.5
_SMALLEST: Final = 20
"""Users and items that a k-core must leave."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Proposal:
    """A section of the settings (empty: leave it out) and why."""

    section: dict[str, Any]
    reason: str


def propose_window(con: "DuckDBPyConnection", interactions: str, facts: SourceFacts) -> Proposal:
    """The longest window of which there are several, if enough users come back from one to the next."""
    if facts.timed < facts.rows:
        missing = (
            "no timestamps" if facts.timed == 0 else f"{facts.rows - facts.timed:,} rows without a timestamp"
        )
        return Proposal({}, f"windows: none, {missing}")
    for every in _LENGTHS:
        counts = _window_counts(con, interactions, every)
        if len(counts) >= _FEWEST_WINDOWS:
            return _judged(every, counts)
    return Proposal({}, "windows: none, the time covered is too short")


def _window_counts(con: "DuckDBPyConnection", interactions: str, every: str) -> list[tuple[str, int, int]]:
    """(window, its events, those by users seen in an earlier window), in order."""
    return con.execute(
        f"WITH events AS (SELECT {USER_ID}, {window_key_sql(TIMESTAMP, every)} AS w FROM ({interactions})), "
        f"firsts AS (SELECT {USER_ID}, min(w) AS first FROM events GROUP BY 1) "
        f"SELECT w, count(*), count(*) FILTER (first < w) FROM events JOIN firsts USING ({USER_ID}) "
        "GROUP BY 1 ORDER BY 1"
    ).fetchall()


def _judged(every: str, counts: list[tuple[str, int, int]]) -> Proposal:
    keys = [key for key, _, _ in counts]
    events = np.array([count for _, count, _ in counts])
    returning = np.array([count for _, _, count in counts])
    later = slice(len(keys) // 2, None)
    share = returning[later].sum() / events[later].sum()
    if share < _RETURNING:
        return Proposal(
            {}, f"windows: none, only {share:.0%} of a later {every}'s events come from users seen before"
        )
    enough = (returning >= _RETURNING * events) & (np.cumsum(events) - events >= _HISTORY * events.sum())
    scored = int(np.argmax(enough)) if enough.any() else len(keys) // 2
    section = {"every": every, "start": keys[0], **_end(every, keys[-1]), "score_from": keys[scored]}
    span = f"{keys[0]} to {keys[-1]}, scored from {keys[scored]}"
    return Proposal(section, f"windows: {every}, {span}; users seen before make {share:.0%} of later events")


def _end(every: str, last: str) -> dict[str, str]:
    """The last window, where no rows have arrived for a whole window since."""
    end = window_end(every, last)
    return {"end": last} if datetime.now(UTC) > end + (end - window_start(every, last)) else {}


def propose_min_rating(con: "DuckDBPyConnection", interactions: str, facts: SourceFacts) -> Proposal:
    """The rating that counts as liking, where ratings differ at all."""
    if facts.rated < facts.rows:
        return Proposal({}, "ratings: none, every interaction counts as liking")
    values = con.execute(f"SELECT {RATING}, count(*) FROM ({interactions}) GROUP BY 1 ORDER BY 1").fetchall()
    if len(values) == 1:
        return Proposal({}, f"ratings: all {values[0][0]:g}, every interaction counts as liking")
    top = values[-1][0]
    for part in _LIKED:
        kept = [(value, count) for value, count in values if value >= part * top]
        share = sum(count for _, count in kept) / facts.rows
        if share >= _ENOUGH_LIKED:
            break
    lowest = kept[0][0]
    liking = f"{lowest:g} counts" if lowest == top else f"{lowest:g} and more count"
    span = f"ratings: {values[0][0]:g} to {top:g}"
    return Proposal(
        {"min_rating": int(lowest) if lowest == int(lowest) else lowest},
        f"{span}, {liking} as liking ({share:.0%})",
    )


def propose_k_core(
    con: "DuckDBPyConnection", interactions: str, facts: SourceFacts, min_rating: float | None
) -> Proposal:
    """The strictest usual k-core that leaves half of the (liked) interactions, and some users and items."""
    if facts.labelled == facts.rows:
        return Proposal({"k_core": 0}, "k-core: none, a given split is taken as it is")
    users, items = _numbered(con, interactions, min_rating)
    for k in _CORES:
        kept = _core(users, items, k)
        left = len(np.unique(users[kept])), len(np.unique(items[kept]))
        if kept.sum() >= _ENOUGH_LEFT * len(users) and min(left) >= _SMALLEST:
            reason = f"k-core: {k} leaves {kept.sum():,} interactions, {left[0]:,} users, {left[1]:,} items"
            return Proposal({"k_core": k}, reason)
    return Proposal({"k_core": 0}, "k-core: none, the data are too thin")


def _numbered(con: "DuckDBPyConnection", interactions: str, min_rating: float | None) -> tuple[Ints, Ints]:
    """([E] users, [E] items) of the distinct liked pairs, numbered from 0."""
    liked = f"WHERE {RATING} >= {min_rating}" if min_rating is not None else ""
    columns = con.execute(
        f"SELECT dense_rank() OVER (ORDER BY {USER_ID}) - 1 AS users, "
        f"dense_rank() OVER (ORDER BY {ITEM_ID}) - 1 AS items "
        f"FROM (SELECT DISTINCT {USER_ID}, {ITEM_ID} FROM ({interactions}) {liked})"
    ).fetchnumpy()
    return np.asarray(columns["users"], np.int64), np.asarray(columns["items"], np.int64)


def _core(users: Ints, items: Ints, k: int) -> npt.NDArray[np.bool_]:
    """[E] the interactions that are left when users and items with fewer than k are taken out repeatedly."""
    kept = np.ones(len(users), np.bool_)
    while True:
        enough = (np.bincount(users[kept], minlength=1) >= k), (np.bincount(items[kept], minlength=1) >= k)
        thin = kept.copy()
        thin[kept] = enough[0][users[kept]] & enough[1][items[kept]]
        if thin.sum() == kept.sum():
            return kept
        kept = thin


def propose_split(facts: SourceFacts, *, windowed: bool) -> Proposal:
    """Given labels where there are any, time where there are windows, else at random."""
    if facts.labelled == facts.rows:
        return Proposal({"strategy": "given"}, "split: given by the data")
    if windowed:
        return Proposal({"valid": 0.1}, "split: each window tests what was learnt before it")
    return Proposal(
        {"strategy": "random", "valid": 0.1, "test": 0.1, "seed": 1}, "split: random, 80 / 10 / 10 per cent"
    )
