"""From raw rows to core tables: rejected rows get a reason, the rest dense numbers. Ids are fixed here alone.

The order of the rules: ids, time, catalogue, rating, items unknown at the start, duplicates, k-core, users without
history. Every row that was read ends in `core.interactions` or, with exactly one reason, in `core.quarantine`. What
the columns mean stands in the tables' own files.

With a window, what lies before its start is the history. Only the history shapes the core: its duplicates and
its k-core are found without a look at the window's events, which come after it. An event is kept when its
user is still in the history and its item was known at the start.

The whole catalogue has numbers, so that what nobody has touched can be recommended; the k-core decides what is trained
and tested on. Which items are ranked in a test (`is_candidate`) must not follow from the test's own events:

- with a window, the items that were known at its start: those without a `first_seen`, which the catalogue says
  exist, those first seen before, and those that the history names;
- without windows, the items with an interaction in the core: under a random split the others cannot be right, so they
  would only count against the models that see content.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.tables.k_core import ITEM_BELOW, USER_BELOW, largest_k, reject_below
from mrs_pipeline.tables.rules import InteractionRules

if TYPE_CHECKING:
    import duckdb

MISSING_USER: Final = "missing user_id"
MISSING_ITEM: Final = "missing item_id"
MISSING_TIME: Final = "missing timestamp"
IMPOSSIBLE_TIME: Final = "impossible timestamp"
AFTER_WINDOWS: Final = "after the last window"
UNKNOWN_ITEM: Final = "unknown item"
NEW_ITEM: Final = "item unknown at the window's start"
MISSING_RATING: Final = "missing rating"
LOW_RATING: Final = "below minimum rating"
DUPLICATE: Final = "duplicate"
NO_HISTORY: Final = "user without history"
REASONS: Final = (
    MISSING_USER,
    MISSING_ITEM,
    MISSING_TIME,
    IMPOSSIBLE_TIME,
    AFTER_WINDOWS,
    UNKNOWN_ITEM,
    MISSING_RATING,
    LOW_RATING,
    NEW_ITEM,
    DUPLICATE,
    USER_BELOW,
    ITEM_BELOW,
    NO_HISTORY,
)
"""Why a raw row is not in the core, in the order in which the rules are applied."""

_WORK = "core_work"
_KNOWN = "core_known"
_SOURCE_ORDER: Final = "source_file, source_row, user_id, item_id, timestamp, rating, split"
"""One row of a file may hold several interactions; two that are equal in all of this are one as good as the other."""
_ZERO_YEARS: Final = 1971
"""Up to this year a window may really hold second 0 of 1970: times that only count from 0."""


@dataclass(frozen=True)
class CoreTables:
    """Names of temporary tables on the connection that built them, each in its final order, and counts.

    Attributes:
        users, items, interactions, quarantine: tables, to be read with `SELECT * FROM ...`.
        rows_read: raw rows; always rows_kept plus the sum of `rejected`.
        rows_kept: rows of `interactions`.
        rejected: reason -> rows of `quarantine`, for the reasons that occur.
    """

    users: str
    items: str
    interactions: str
    quarantine: str
    rows_read: int
    rows_kept: int
    rejected: dict[str, int]


def build_core(
    con: "duckdb.DuckDBPyConnection",
    raw_interactions: str,
    raw_items: str,
    rules: InteractionRules,
    window_start: datetime | None = None,
    *,
    window_end: datetime | None = None,
) -> CoreTables:
    """Build the core tables of a dataset, or of one window of it, as temporary tables of `con`.

    A second call on the same connection replaces the tables of the first.

    Args:
        con: in-memory connection in UTC.
        raw_interactions: what to put after FROM to read `raw.interactions` (all windows up to this one).
        raw_items: what to put after FROM to read `raw.items`.
        rules: which interactions count.
        window_start: first moment of the window, with its time zone; None where everything is history.
        window_end: first moment after the window; rows from then on belong to no window that there is.

    Raises:
        InputError: no row was read or none is left, ratings are needed and absent, or the catalogue cannot be
            joined.
    """
    _require_catalogue(con, raw_items)
    _stage(con, raw_interactions, raw_items, rules, window_start=window_start, window_end=window_end)
    _require_ratings(con, rules)
    if window_start is not None:
        _reject_new_items(con, raw_items, window_start)
    _reject_duplicates(con, rules)
    _reject_sparse(con, rules, window_start)
    _number_users(con)
    _number_items(con, raw_items, window_start, window_end)
    _number_interactions(con, pairs_repeat=rules.deduplicate == "none")
    return _counted(con)


def _require_catalogue(con: "duckdb.DuckDBPyConnection", raw_items: str) -> None:
    names = {str(row[0]).lower() for row in con.execute(f"DESCRIBE SELECT * FROM {raw_items}").fetchall()}
    clash = names & {"item", "is_cold", "is_candidate"}
    if clash:
        raise InputError(
            f"the items have a column '{min(clash)}', which the core needs for itself: rename it."
        )
    twice = con.execute(
        f"SELECT item_id FROM {raw_items} GROUP BY item_id HAVING count(*) > 1 ORDER BY item_id LIMIT 1"
    ).fetchall()
    if twice:
        raise InputError(f"the items contain item_id '{twice[0][0]}' more than once: keep one row of it.")


def _stage(
    con: "duckdb.DuckDBPyConnection",
    raw_interactions: str,
    raw_items: str,
    rules: InteractionRules,
    *,
    window_start: datetime | None,
    window_end: datetime | None,
) -> None:
    """Copy the raw rows, with their side of the start, and why they are wrong by themselves.

    With a window, a row without a time is neither: nobody knows whether it lies before the window. Rows are told
    apart by `rowid`, which updates leave alone; their order in the source is `_SOURCE_ORDER`. Numbering all of them in
    that order would need a sort of everything, in memory.
    """
    history = "true" if window_start is None else "coalesce(timestamp < CAST($start AS TIMESTAMP), false)"
    start = {} if window_start is None else {"start": window_start.astimezone(UTC).replace(tzinfo=None)}
    reason = _own_reason(raw_items, rules, window_start, window_end)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_WORK} AS SELECT *, {history} AS is_history, {reason} AS reason "
        f"FROM {raw_interactions}",
        start,
    )
    rows = _count(con, "true")
    if rows == 0:
        raise InputError("the dataset has no interaction at all: point source at the file that has them.")
    if _count(con, "is_history") == 0:
        raise InputError(
            f"no interaction lies before {window_start:%Y-%m-%d}, so there is nothing to learn from: choose "
            "a later window (window.score_from)."
        )


def _own_reason(
    raw_items: str, rules: InteractionRules, window_start: datetime | None, window_end: datetime | None
) -> str:
    """SQL of why a row is wrong by itself: the first rule that applies; NULL where none does."""
    broken = [
        (MISSING_USER, "coalesce(trim(user_id), '') = ''"),
        (MISSING_ITEM, "coalesce(trim(item_id), '') = ''"),
        *_time_rules(rules, window_start, window_end),
        (UNKNOWN_ITEM, f"item_id NOT IN (SELECT item_id FROM {raw_items} WHERE item_id IS NOT NULL)"),
    ]
    if rules.unrated:
        broken.append((MISSING_RATING, f"rating IN ({', '.join(map(repr, rules.unrated))})"))
    if rules.min_rating is not None:
        broken.append((MISSING_RATING, "rating IS NULL OR isnan(rating)"))
        broken.append((LOW_RATING, f"rating < {rules.min_rating!r}"))
    cases = (f"WHEN {condition} THEN '{reason}'" for reason, condition in broken)
    return f"CASE {' '.join(cases)} END"


def _time_rules(
    rules: InteractionRules, window_start: datetime | None, window_end: datetime | None
) -> Iterator[tuple[str, str]]:
    """(reason, SQL condition) of the times that cannot be.

    Second 0 of 1970 is what programs write where they know no time; in data of other years it is no moment.
    """
    if window_start is not None:
        unknown = " OR timestamp = TIMESTAMP '1970-01-01'" if window_start.year > _ZERO_YEARS else ""
        yield MISSING_TIME, f"timestamp IS NULL{unknown}"
    if rules.earliest is not None:
        yield IMPOSSIBLE_TIME, f"timestamp < TIMESTAMP '{rules.earliest}'"
    if rules.latest is not None:
        yield IMPOSSIBLE_TIME, f"timestamp >= TIMESTAMP '{rules.latest}' + INTERVAL 1 DAY"
    if window_end is not None:
        yield AFTER_WINDOWS, f"timestamp >= {_moment(window_end)}"


def _require_ratings(con: "duckdb.DuckDBPyConnection", rules: InteractionRules) -> None:
    if rules.min_rating is not None and _count(con, "rating IS NOT NULL") == 0:
        raise InputError(
            f"interactions.min_rating is {rules.min_rating:g}, but no interaction has a rating: map the "
            "rating column under source, or remove min_rating."
        )


def _reject_new_items(con: "duckdb.DuckDBPyConnection", raw_items: str, window_start: datetime) -> None:
    """Reject the window's events on items that nobody could have recommended at its start; they name the known ones."""
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_KNOWN} AS SELECT item_id FROM {raw_items} "
        f"WHERE first_seen IS NULL OR first_seen < {_moment(window_start)} "
        f"UNION SELECT DISTINCT item_id FROM {_WORK} WHERE is_history AND reason IS NULL"
    )
    _reject(con, NEW_ITEM, f"NOT is_history AND item_id NOT IN (SELECT item_id FROM {_KNOWN})")


def _reject_duplicates(con: "duckdb.DuckDBPyConnection", rules: InteractionRules) -> None:
    """Keep one row of each pair; an event that repeats the history is a duplicate whatever the rule.

    Which of the history's rows stays is decided among the history: later events must not reach back.
    """
    if rules.deduplicate == "none":
        return
    direction = {"last": "DESC", "first": "ASC"}[rules.deduplicate]
    sign = {"last": "-", "first": ""}[rules.deduplicate]
    pairs = f"FROM {_WORK} WHERE reason IS NULL"
    _reject(
        con,
        DUPLICATE,
        f"""
        rowid IN (
            SELECT row FROM (
                SELECT row, row_number() OVER (
                    PARTITION BY user_id, item_id
                    ORDER BY is_history DESC, timestamp {direction} NULLS LAST,
                             CASE WHEN timestamp IS NULL THEN place ELSE {sign}place END
                ) AS nth
                FROM (
                    SELECT rowid AS row, user_id, item_id, is_history, timestamp,
                           row_number() OVER (PARTITION BY user_id, item_id ORDER BY {_SOURCE_ORDER}) AS place
                    {pairs} AND (user_id, item_id) IN (
                        SELECT (user_id, item_id) {pairs} GROUP BY user_id, item_id HAVING count(*) > 1
                    )
                )
            ) WHERE nth > 1
        )
        """,
    )


def _reject_sparse(
    con: "duckdb.DuckDBPyConnection", rules: InteractionRules, window_start: datetime | None
) -> None:
    """Reject what is below the k-core of the history, then events of users whom the history no longer has."""
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE core_history AS SELECT user_id, item_id, rowid AS row, reason FROM {_WORK} "
        "WHERE is_history AND reason IS NULL"
    )
    before = _count(con, "is_history AND reason IS NULL")
    if before == 0:
        raise InputError(f"{_where(window_start)}, no interaction is left: {_rejections(con)}.")
    if rules.k_core > 1:
        reject_below(con, "core_history", rules.k_core)
        con.execute(
            f"UPDATE {_WORK} SET reason = core_history.reason FROM core_history "
            f"WHERE core_history.row = {_WORK}.rowid AND core_history.reason IS NOT NULL"
        )
    if _count(con, "is_history AND reason IS NULL") == 0:
        con.execute("UPDATE core_history SET reason = NULL")
        raise InputError(
            f"{_where(window_start)}, interactions.k_core = {rules.k_core} leaves none of {before} rows: "
            f"the largest that leaves any is {largest_k(con, 'core_history', rules.k_core)}."
        )
    con.execute("DROP TABLE core_history")
    known = f"SELECT user_id FROM {_WORK} WHERE is_history AND reason IS NULL"
    _reject(con, NO_HISTORY, f"NOT is_history AND user_id NOT IN ({known})")


def _number_users(con: "duckdb.DuckDBPyConnection") -> None:
    con.execute(
        "CREATE OR REPLACE TEMP TABLE core_users AS SELECT row_number() OVER (ORDER BY user_id) - 1 AS user, "
        f"user_id FROM (SELECT DISTINCT user_id FROM {_WORK} WHERE reason IS NULL) ORDER BY user_id"
    )


def _number_items(
    con: "duckdb.DuckDBPyConnection",
    raw_items: str,
    window_start: datetime | None,
    window_end: datetime | None,
) -> None:
    """Warm items first, then the cold candidates, then what is ranked in no test, each in the order of the ids."""
    seen = f"SELECT DISTINCT item_id FROM {_WORK} WHERE reason IS NULL AND is_history"
    candidates = seen if window_start is None else f"SELECT item_id FROM {_KNOWN}"
    exists = (
        "true"
        if window_end is None
        else f"first_seen IS NULL OR first_seen < {_moment(window_end)} OR item_id IN ({candidates})"
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE core_items AS
        WITH catalogue AS (
            SELECT *, item_id NOT IN ({seen}) AS is_cold, item_id IN ({candidates}) AS is_candidate
            FROM {raw_items} WHERE {exists}
        )
        SELECT row_number() OVER (ORDER BY is_cold, NOT is_candidate, item_id) - 1 AS item, item_id,
               is_cold, is_candidate, * EXCLUDE (item_id, is_cold, is_candidate)
        FROM catalogue
        ORDER BY item
        """
    )
    con.execute(f"DROP TABLE IF EXISTS {_KNOWN}")


def _number_interactions(con: "duckdb.DuckDBPyConnection", *, pairs_repeat: bool) -> None:
    """Interactions and quarantine in their final order; where pairs repeat, the source's order decides the rest."""
    ties = f", {_SOURCE_ORDER}" if pairs_repeat else ""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE core_interactions AS
        SELECT users.user, items.item, user_id, item_id, timestamp, rating, split, is_history
        FROM {_WORK} JOIN core_users AS users USING (user_id) JOIN core_items AS items USING (item_id)
        WHERE reason IS NULL
        ORDER BY users.user, timestamp NULLS FIRST, items.item{ties}
        """
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE core_quarantine AS SELECT * EXCLUDE (is_history, reason), "
        f"reason FROM {_WORK} WHERE reason IS NOT NULL ORDER BY {_SOURCE_ORDER}"
    )


def _counted(con: "duckdb.DuckDBPyConnection") -> CoreTables:
    rejected = con.execute("SELECT reason, count(*) FROM core_quarantine GROUP BY reason").fetchall()
    kept = con.execute("SELECT count(*) FROM core_interactions").fetchall()
    tables = CoreTables(
        users="core_users",
        items="core_items",
        interactions="core_interactions",
        quarantine="core_quarantine",
        rows_read=_count(con, "true"),
        rows_kept=int(kept[0][0]),
        rejected={str(reason): int(rows) for reason, rows in sorted(rejected)},
    )
    assert tables.rows_kept + sum(tables.rejected.values()) == tables.rows_read
    con.execute(f"DROP TABLE {_WORK}")
    return tables


def _reject(con: "duckdb.DuckDBPyConnection", reason: str, condition: str) -> None:
    con.execute(f"UPDATE {_WORK} SET reason = ? WHERE reason IS NULL AND ({condition})", [reason])


def _count(con: "duckdb.DuckDBPyConnection", condition: str) -> int:
    return int(con.execute(f"SELECT count(*) FROM {_WORK} WHERE {condition}").fetchall()[0][0])


def _moment(time: datetime) -> str:
    """A moment as SQL, in UTC."""
    return f"TIMESTAMP '{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}'"


def _where(window_start: datetime | None) -> str:
    return "in the dataset" if window_start is None else f"in the history before {window_start:%Y-%m-%d}"


def _rejections(con: "duckdb.DuckDBPyConnection") -> str:
    """The reasons with their rows, most frequent first."""
    counted = con.execute(
        f"SELECT reason, count(*) AS rows FROM {_WORK} WHERE reason IS NOT NULL GROUP BY reason "
        "ORDER BY rows DESC, reason"
    ).fetchall()
    return ", ".join(f"{rows} rows: {reason}" for reason, rows in counted)
