"""The k-core of a bipartite interaction graph, in SQL: users and items with at least k rows among themselves.

Peeling rounds as in Seidman (1983), on a connection's temporary table.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import duckdb

USER_BELOW: Final = "user below k-core"
ITEM_BELOW: Final = "item below k-core"


def reject_below(con: "duckdb.DuckDBPyConnection", rows: str, k: int) -> None:
    """Give a reason to rows of users and items below the k-core, until what is left is stable.

    Users are peeled before items in each round, so the reasons do not depend on the order of rows; which rows
    are left never depends on the order of peeling.

    Args:
        con: connection with the table `rows`.
        rows: temporary table with `user_id`, `item_id` and `reason`; rows with a reason do not count.
        k: rows that each user and each item must have.
    """
    while _peel(con, rows, "user_id", USER_BELOW, k) + _peel(con, rows, "item_id", ITEM_BELOW, k):
        pass


def largest_k(con: "duckdb.DuckDBPyConnection", rows: str, below: int) -> int:
    """The largest k < `below` whose k-core is not empty (0 where there is no row), by bisection.

    Args:
        con: connection with the table `rows`.
        rows: as for `reject_below`; not changed.
        below: a k whose core is empty.
    """
    low, high = 0, below  # the core of `low` has rows (or there are none at all), that of `high` has not
    while high - low > 1:
        middle = (low + high) // 2
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE k_core_trial AS SELECT user_id, item_id, reason FROM {rows}"
        )
        reject_below(con, "k_core_trial", middle)
        low, high = (middle, high) if _left(con, "k_core_trial") else (low, middle)
    con.execute("DROP TABLE IF EXISTS k_core_trial")
    return low


def _peel(con: "duckdb.DuckDBPyConnection", rows: str, column: str, reason: str, k: int) -> int:
    """Reject the rows whose `column` value occurs fewer than k times; returns how many."""
    rejected = con.execute(
        f"UPDATE {rows} SET reason = ? WHERE reason IS NULL AND {column} IN ("
        f"SELECT {column} FROM {rows} WHERE reason IS NULL GROUP BY {column} HAVING count(*) < ?)",
        [reason, k],
    ).fetchall()
    return int(rejected[0][0])


def _left(con: "duckdb.DuckDBPyConnection", rows: str) -> int:
    counted = con.execute(f"SELECT count(*) FROM {rows} WHERE reason IS NULL").fetchall()
    return int(counted[0][0])
