"""Orders of rows that do not depend on the order they came in: by seeded hash, and by time within a user."""

import numpy as np
import numpy.typing as npt

from mrs_pipeline.types import IntArray

HashArray = npt.NDArray[np.uint64]


def pair_hash(seed: int, users: IntArray, items: IntArray) -> HashArray:
    """[E] well-mixed number of each (seed, user, item): the same pair draws the same lot in any order.

    The mixing is SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014).
    """
    state = _mix(np.full(len(users), seed, dtype=np.uint64))
    state = _mix(state ^ users.astype(np.uint64))
    return _mix(state ^ items.astype(np.uint64))


def places_from_end(users: IntArray, order: IntArray) -> tuple[IntArray, IntArray]:
    """Each row's place among its user's rows, counted from the last (0), and the user's number of rows.

    Args:
        users: [E] dense users.
        order: [E] permutation that sorts rows by user first.

    Returns:
        places [E] and counts [E], in the order of `users`.
    """
    counts = np.bincount(users) if len(users) else np.zeros(0, dtype=np.int64)
    ends = np.cumsum(counts)
    sorted_users = users[order]
    places = np.empty(len(users), dtype=np.int64)
    places[order] = ends[sorted_users] - 1 - np.arange(len(users))
    return places, counts[users] if len(users) else places


def _mix(state: HashArray) -> HashArray:
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is meant
        state = state + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return state ^ (state >> np.uint64(31))
