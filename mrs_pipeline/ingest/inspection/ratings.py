"""What a column of ratings looks like (stars, thumbs, counts, ratios, scores around zero), and the rule that suits it."""

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
_LONG_TAIL: Final = 20
"""Times the median that the highest count is."""


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

    @property
    def span(self) -> str:
        return f"{self.low:g} to {self.high:g}"


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
    if facts.rated < _RATED * facts.rows:
        return Proposal(
            {},
            f"ratings: only {facts.rated:,} of {facts.rows:,} rows have one, so every interaction counts as liking",
        )
    unrated = _unrated(con, table)
    profile = _profile(con, table, unrated)
    section: dict[str, Any] = {"unrated": [_plain(value) for value in unrated]} if unrated else {}
    codes = ", ".join(f"{value:g}" for value in unrated)
    coded = f"; {codes} stands for no rating, those rows go to quarantine" if unrated else ""
    if asked is not None:
        return _rule(con, table, section, asked, f"ratings: {profile.span}", coded, unrated)
    if profile.distinct == 1:
        return Proposal(section, f"ratings: all {profile.low:g}, every interaction counts as liking{coded}")
    kind, threshold = _judged(con, table, profile, unrated)
    told = f"ratings: look like {kind}, {profile.span}"
    if threshold is not None:
        proposal = _rule(con, table, section, threshold, told, coded, unrated)
        if "min_rating" in proposal.section:
            return proposal
    return Proposal(
        section, f"{told}, so every interaction counts as liking; `--min-rating X` sets a threshold{coded}"
    )


def _unrated(con: "DuckDBPyConnection", table: str) -> list[float]:
    """Numbers such as 99 and -1 that lie far from all others: what files write where there is no rating."""
    candidates = ", ".join(map(repr, _NO_RATING))
    there = [
        row[0]
        for row in con.execute(
            f"SELECT DISTINCT {RATING} FROM {table} WHERE {RATING} IN ({candidates})"
        ).fetchall()
    ]
    if not there:
        return []
    low, high, distinct = first_row(
        con,
        f"SELECT min({RATING}), max({RATING}), count(DISTINCT {RATING}) FROM {table} "
        f"WHERE {RATING} NOT IN ({', '.join(map(repr, there))})",
    )
    if low is None or distinct < 3:
        return []
    far = max(high - low, 1.0)
    return sorted(
        value
        for value in there
        if (value > high and value - high > far)
        or (value < low and (low - value > far or (low >= 1 and value < 0)))
    )


def _profile(con: "DuckDBPyConnection", table: str, unrated: list[float]) -> _Profile:
    row = first_row(
        con,
        f"WITH rated AS (SELECT {RATING} AS r FROM {table} WHERE {_rated(unrated)}) "
        "SELECT count(*), min(r), max(r), median(r), count(DISTINCT r), bool_and(r = trunc(r)), "
        "count(*) FILTER (r = (SELECT min(r) FROM rated)) FROM rated",
    )
    return _Profile(*row)


def _judged(
    con: "DuckDBPyConnection", table: str, profile: _Profile, unrated: list[float]
) -> tuple[str, float | None]:
    """(what the ratings look like, the lowest that counts as liking where that can be told)."""
    low, high, median = profile.low, profile.high, profile.median
    if high <= 0:
        return "numbers none of which is positive", None
    if profile.whole and profile.distinct <= 3 and low >= -1 and high == 1:
        return "thumbs", 1.0
    if low < 0:
        (above,) = first_row(
            con, f"SELECT min({RATING}) FROM {table} WHERE {RATING} > 0 AND {_rated(unrated)}"
        )
        return "scores around zero", float(above)
    if not profile.whole and profile.distinct > _FEW:
        if high <= 1:
            return "a ratio (such as the share that was seen)", 0.5
        if median <= 2:
            return "a ratio (such as times seen through)", 1.0
    if _are_counts(profile):
        return "counts or amounts (plays, seconds, prices)", None
    return "stars", _liked_stars(con, table, profile, unrated)


def _are_counts(profile: _Profile) -> bool:
    high, median = profile.high, profile.median
    if high > _TOPS[-1] or (high > 10 and high > _LONG_TAIL * max(median, 0.5)):
        return True
    if not profile.whole:
        return profile.distinct > _FEW and high > 10
    falling = profile.lowest > 0.5 * profile.rated and profile.distinct > 4 and profile.low > 0
    return falling or (high > 10 and high not in _TOPS)


def _liked_stars(con: "DuckDBPyConnection", table: str, profile: _Profile, unrated: list[float]) -> float:
    for part in _LIKED:
        lowest, kept = first_row(
            con,
            f"SELECT min({RATING}), count(*) FROM {table} WHERE {RATING} >= {part * profile.high} AND {_rated(unrated)}",
        )
        if kept >= _ENOUGH_LIKED * profile.rated:
            break
    return float(lowest)


def _rule(
    con: "DuckDBPyConnection",
    table: str,
    section: dict[str, Any],
    threshold: float,
    told: str,
    coded: str,
    unrated: list[float],
) -> Proposal:
    """The rule with the rows it keeps; without it where it would keep next to none."""
    kept, rows = first_row(
        con,
        f"SELECT count(*) FILTER ({RATING} >= {threshold!r} AND {_rated(unrated)}), count(*) FROM {table}",
    )
    if kept < _FEWEST_LIKED * rows and "look like" in told:
        return Proposal(section, told)
    return Proposal(
        section | {"min_rating": _plain(threshold)},
        f"{told}; {threshold:g} and more count as liking ({kept:,} of {rows:,} rows, {kept / max(rows, 1):.0%}), "
        f"`--min-rating X` for another threshold{coded}",
    )


def _rated(unrated: list[float]) -> str:
    coded = f" AND {RATING} NOT IN ({', '.join(map(repr, unrated))})" if unrated else ""
    return f"{RATING} IS NOT NULL{coded}"


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value
