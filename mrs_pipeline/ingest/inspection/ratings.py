"""What ratings look like (stars, thumbs, counts, ratios, scores around zero), and the rule that suits them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mrs_pipeline.ingest.facts import SourceFacts
from mrs_pipeline.ingest.inspection.proposal import Proposal
from mrs_pipeline.ingest.sql import first_row
from mrs_pipeline.schema import RATING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_LIKED: Final = (0.8, 0.6)
"""Parts of the highest star that count as liking, the first that leaves enough."""
_ENOUGH_LIKED: Final = 0.3
_FEWEST_LIKED: Final = 0.1
"""A rule that keeps less than this is not proposed."""
_RATED: Final = 0.8
"""Share of the rows that must have a rating for it to decide anything."""
_NO_RATING: Final = (99.0, 999.0, 9999.0, -1.0, -99.0, -999.0, -9999.0)
_TOPS: Final = (2, 3, 4, 5, 6, 7, 10, 20, 100)
"""Highest values of scales that people rate on."""
_FEW: Final = 101
"""Values that a scale has at most."""
_FEWEST_VALUES: Final = 3
"""Other values that there must be for one to be a code."""
_TIMES_SEEN: Final = 2
"""Median up to which fractions of any size are times seen through."""
_LONG_TAIL: Final = 20
"""Times the median that the highest count is."""


@dataclass(frozen=True)
class _Column:
    """The ratings of a table of interactions, without the numbers that stand for none."""

    con: "DuckDBPyConnection"
    table: str
    unrated: tuple[float, ...]

    def row(self, columns: str, where: str = "true") -> tuple[Any, ...]:
        """One row of aggregates of the ratings `r`."""
        coded = f" AND {RATING} NOT IN ({', '.join(map(repr, self.unrated))})" if self.unrated else ""
        rated = f"SELECT {RATING} AS r FROM {self.table} WHERE {RATING} IS NOT NULL{coded}"
        return first_row(self.con, f"WITH rated AS ({rated}) SELECT {columns} FROM rated WHERE {where}")


@dataclass(frozen=True)
class _Profile:
    rated: int
    low: float
    high: float
    median: float
    distinct: int
    whole: bool
    lowest: int
    """Rows with the lowest value."""


def propose_ratings(
    con: "DuckDBPyConnection", table: str, facts: SourceFacts, asked: float | None
) -> Proposal:
    """The rating that counts as liking, where ratings say such a thing, and how many rows it keeps.

    Args:
        con: the connection.
        table: a table of interactions.
        facts: their counts.
        asked: what a person wants; nothing else is proposed then.
    """
    if facts.rated == 0:
        return Proposal({}, "ratings: none, every interaction counts as liking")
    if facts.rated < _RATED * facts.rows and asked is None:
        return Proposal(
            {},
            f"ratings: only {facts.rated:,} of {facts.rows:,} rows have one, so every interaction counts as liking",
        )
    column = _Column(con, table, _unrated(con, table))
    profile = _Profile(
        *column.row(
            "count(*), min(r), max(r), median(r), count(DISTINCT r), bool_and(r = trunc(r)), "
            "count(*) FILTER (r = (SELECT min(r) FROM rated))"
        )
    )
    section: dict[str, Any] = (
        {"unrated": [_plain(value) for value in column.unrated]} if column.unrated else {}
    )
    codes = ", ".join(f"{value:g}" for value in column.unrated)
    coded = f"; {codes} stands for no rating, those rows go to quarantine" if codes else ""
    kind, threshold = _judged(column, profile)
    threshold = threshold if asked is None else asked
    span = f"{profile.low:g} to {profile.high:g}" if profile.distinct > 1 else f"all {profile.low:g}"
    told = f"ratings: {kind}, {span}"
    if threshold is not None:
        (kept,) = column.row("count(*)", f"r >= {threshold!r}")
        if asked is not None or kept >= _FEWEST_LIKED * facts.rows:
            return Proposal(
                section | {"min_rating": _plain(threshold)},
                f"{told}; {threshold:g} and more count as liking ({kept:,} of {facts.rows:,} rows, "
                f"{kept / facts.rows:.0%}), `--min-rating X` for another threshold{coded}",
            )
    return Proposal(
        section, f"{told}, so every interaction counts as liking; `--min-rating X` sets a threshold{coded}"
    )


def _unrated(con: "DuckDBPyConnection", table: str) -> tuple[float, ...]:
    """Numbers such as 99 and -1 that lie far from all others: what files write where there is no rating."""
    candidates = ", ".join(map(repr, _NO_RATING))
    there = con.execute(f"SELECT DISTINCT {RATING} FROM {table} WHERE {RATING} IN ({candidates})").fetchall()
    low, high, distinct = _Column(con, table, tuple(row[0] for row in there)).row(
        "min(r), max(r), count(DISTINCT r)"
    )
    if not there or distinct < _FEWEST_VALUES:
        return ()
    far = max(high - low, 1.0)
    above = [value for (value,) in there if value - high > far]
    below = [value for (value,) in there if value < low and (low - value > far or low >= 1)]
    return tuple(sorted([*above, *below]))


def _judged(column: _Column, profile: _Profile) -> tuple[str, float | None]:
    """(what the ratings look like, the lowest that counts as liking where that can be told)."""
    kind: str = "stars"
    threshold: float | None = None
    if profile.distinct == 1:
        kind = "one value"
    elif profile.high <= 0:
        kind = "numbers none of which is positive"
    elif profile.whole and profile.distinct <= 3 and profile.low >= -1 and profile.high == 1:
        kind, threshold = "thumbs", 1.0
    elif profile.low < 0:
        kind, threshold = "scores around zero", float(column.row("min(r)", "r > 0")[0])
    elif not profile.whole and profile.distinct > _FEW and profile.high <= 1:
        kind, threshold = "a ratio, such as the share that was seen", 0.5
    elif not profile.whole and profile.distinct > _FEW and profile.median <= _TIMES_SEEN:
        kind, threshold = "a ratio, such as times seen through", 1.0
    elif _are_counts(profile):
        kind = "counts or amounts (plays, seconds, prices)"
    else:
        threshold = _liked_stars(column, profile)
    return kind, threshold


def _are_counts(profile: _Profile) -> bool:
    high, median = profile.high, profile.median
    if high > _TOPS[-1] or (high > 10 and high > _LONG_TAIL * max(median, 0.5)):
        return True
    if not profile.whole:
        return profile.distinct > _FEW and high > 10
    falling = profile.lowest > 0.5 * profile.rated and profile.distinct > 4 and profile.low > 0
    return falling or (high > 10 and high not in _TOPS)


def _liked_stars(column: _Column, profile: _Profile) -> float:
    for part in _LIKED:
        lowest, kept = column.row("min(r), count(*)", f"r >= {part * profile.high}")
        if kept >= _ENOUGH_LIKED * profile.rated:
            break
    return float(lowest)


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value
