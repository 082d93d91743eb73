"""Statistics of values over users: mean with interval, paired test, correction for several tests. Pure NumPy and SciPy.

Every table, report and experiment takes its intervals and p-values from here, so the same numbers give one answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

SampleValues = npt.NDArray[np.float64]

CONFIDENCE: Final = 0.95
"""Of every interval."""


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval; None where there are too few values for one."""

    mean: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Mean difference to a reference over paired users, its interval, and the p-value of a paired t-test.

    `difference` is None without a common user; `low`, `high` and `p` with fewer than two.
    """

    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    n_users: int


def mean_interval(values: npt.NDArray[np.floating]) -> Interval:
    """Mean and its 95 % interval by Student's t with n - 1 degrees of freedom.

    Args:
        values: [U] one value a user; NaN (a user without a value) is left out.

    Returns:
        No interval for fewer than two values: one value says nothing about their spread. An interval without width
        where all values are equal.

    >>> found = mean_interval(np.array([0.0, 0.5, 1.0, np.nan]))
    >>> found.mean, round(found.low, 4), round(found.high, 4)
    (0.5, -0.7421, 1.7421)
    >>> mean_interval(np.array([0.5]))
    Interval(mean=0.5, low=None, high=None)
    """
    from scipy import stats

    kept = _known(values)
    if not len(kept):
        return Interval(None)
    mean = float(kept.mean())
    if len(kept) < 2:
        return Interval(mean)
    error = float(stats.sem(kept))
    if error == 0.0:
        return Interval(mean, mean, mean)
    low, high = stats.t.interval(CONFIDENCE, len(kept) - 1, loc=mean, scale=error)
    return Interval(mean, float(low), float(high))


def compare(values: npt.NDArray[np.floating], reference: npt.NDArray[np.floating]) -> Comparison:
    """Paired t-test over users.

    The t-test, not Wilcoxon's: it tests the mean difference, which is the number reported, and the
    signed-rank test drops the many users on whom two models tie (Urbano et al., SIGIR 2019, find it the best
    behaved).

    Args:
        values: [U] one model's value a user.
        reference: [U] the reference's value of the same users; users that are NaN on one side are left out.

    Raises:
        ValueError: the two arrays differ in length.

    >>> found = compare(np.array([0.4, 0.6, 0.9]), np.array([0.1, 0.5, 0.7]))
    >>> round(found.difference, 4), round(found.p, 4), found.n_users
    (0.2, 0.0742, 3)
    """
    from scipy import stats

    if len(values) != len(reference):
        raise ValueError(f"paired values differ in length: {len(values)} and {len(reference)} users")
    kept = _known(np.asarray(values, np.float64) - np.asarray(reference, np.float64))
    interval = mean_interval(kept)
    if interval.mean is None or len(kept) < 2:
        return Comparison(interval.mean, None, None, None, len(kept))
    if interval.low == interval.high:  # equal models do not differ, a constant shift does
        p = float(interval.mean == 0)
    else:
        p = float(2 * stats.t.sf(abs(interval.mean) / stats.sem(kept), len(kept) - 1))
    return Comparison(interval.mean, interval.low, interval.high, p, len(kept))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment (Scand. J. Statistics 6, 1979) in the order given.

    The i-th smallest of n values is multiplied by n - i + 1, then made monotone and capped at 1. None (a test that
    could not be made) stays None and does not count among the n.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    raw = np.array([np.nan if p is None else p for p in p_values], np.float64)
    tested = np.flatnonzero(~np.isnan(raw))
    order = tested[np.argsort(raw[tested], kind="stable")]
    adjusted = np.minimum(np.maximum.accumulate(raw[order] * np.arange(len(order), 0, -1)), 1.0)
    found: list[float | None] = [None] * len(raw)
    for place, p in zip(order, adjusted, strict=True):
        found[place] = float(p)
    return found


def _known(values: npt.NDArray[np.floating]) -> SampleValues:
    exact = np.asarray(values, np.float64)
    return exact[~np.isnan(exact)]
