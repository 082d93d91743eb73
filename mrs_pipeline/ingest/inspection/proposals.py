"""What a dataset's settings should be, judged by its data: k-core and split. For `mrs init`.

Each proposal comes with the sentence that explains it. Times are `times`, ratings `ratings`; which file is what is
`discovery`; the settings are put together in `inspecting`.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mrs_pipeline.ingest.facts import SourceFacts
from mrs_pipeline.ingest.inspection.proposal import Proposal
from mrs_pipeline.schema import ITEM_ID, USER_ID

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_CORES: Final = (5, 3, 2)
_ENOUGH_LEFT: Final = 0.5
_SMALLEST: Final = 20
"""Users and items that a k-core must leave."""

_USUAL_CUT: Final = 20
"""The cut-off at which leaderboards compare."""

CountArray = npt.NDArray[np.int64]


def propose_k_core(con: "DuckDBPyConnection", counting: str, facts: SourceFacts) -> Proposal:
    """The strictest usual k-core that leaves half of the interactions that count, and some users and items.

    Args:
        con: the connection.
        counting: a table of the interactions that the other rules leave.
        facts: counts of all of them.
    """
    if facts.labelled == facts.rows:
        return Proposal({"k_core": 0}, "k-core: none, a given split is taken as it is")
    users, items = _numbered(con, counting)
    for k in _CORES:
        kept = _core(users, items, k)
        left = len(np.unique(users[kept])), len(np.unique(items[kept]))
        if kept.sum() >= _ENOUGH_LEFT * len(users) and min(left) >= _SMALLEST:
            reason = f"k-core: {k} leaves {kept.sum():,} interactions, {left[0]:,} users, {left[1]:,} items"
            return Proposal({"k_core": k}, reason)
    return Proposal({"k_core": 0}, "k-core: none, the data are too thin")


def _numbered(con: "DuckDBPyConnection", counting: str) -> tuple[CountArray, CountArray]:
    """([E] users, [E] items) of the distinct pairs, numbered from 0."""
    columns = con.execute(
        f"SELECT dense_rank() OVER (ORDER BY {USER_ID}) - 1 AS users, "
        f"dense_rank() OVER (ORDER BY {ITEM_ID}) - 1 AS items "
        f"FROM (SELECT DISTINCT {USER_ID}, {ITEM_ID} FROM {counting})"
    ).fetchnumpy()
    return np.asarray(columns["users"], np.int64), np.asarray(columns["items"], np.int64)


def _core(users: CountArray, items: CountArray, k: int) -> npt.NDArray[np.bool_]:
    """[E] the interactions that are left when users and items with fewer than k are taken out repeatedly."""
    kept = np.ones(len(users), np.bool_)
    while True:
        enough = (np.bincount(users[kept], minlength=1) >= k), (np.bincount(items[kept], minlength=1) >= k)
        thin = kept.copy()
        thin[kept] = enough[0][users[kept]] & enough[1][items[kept]]
        if thin.sum() == kept.sum():
            return kept
        kept = thin


def propose_selection(facts: SourceFacts) -> Proposal | None:
    """Another validation metric for a catalogue so small that the usual list holds all of it; None for others."""
    if facts.items > _USUAL_CUT:
        return None
    k = max(1, facts.items // 4)
    items = f"{facts.items} item{'' if facts.items == 1 else 's'}"
    reason = (
        f"catalogue: {items}, so recall@{_USUAL_CUT} is 1 for every model; epochs are chosen by "
        f"recall@{k}, and the leaderboard ranks by ndcg@{_USUAL_CUT}"
    )
    return Proposal({"select_on": f"recall@{k}"}, reason)


def propose_split(facts: SourceFacts, *, windowed: bool) -> Proposal:
    """Given labels where there are any, time where there are windows, else at random."""
    if facts.labelled == facts.rows:
        return Proposal({"strategy": "given"}, "split: given by the data")
    if windowed:
        return Proposal({"valid": 0.1}, "split: each window tests what was learnt before it")
    return Proposal(
        {"strategy": "random", "valid": 0.1, "test": 0.1, "seed": 1}, "split: random, 80 / 10 / 10 per cent"
    )
