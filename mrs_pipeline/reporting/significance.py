"""Paired comparison of models over the same users. Metrics themselves are computed in `evaluation`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Comparison:
    """Mean difference to a reference over paired users, its interval and the p-value of a paired t-test."""

    difference: float
    low: float
    high: float
    p: float
    n_users: int


def mean_interval(values: Values) -> tuple[float, float, float]:
    """Mean over users and its 95 % interval by Student's t.

    Args:
        values: [U] one value a user; NaN rows (users without a held-out item) are left out.

    Returns:
        (mean, low, high); the interval is NaN with fewer than two users.
    """
    from scipy.stats import t

    kept = values[~np.isnan(values)]
    if len(kept) < 2:
        return (float(kept.mean()) if len(kept) else float("nan")), float("nan"), float("nan")
    half = t.ppf((1 + CONFIDENCE) / 2, len(kept) - 1) * kept.std(ddof=1) / np.sqrt(len(kept))
    return float(kept.mean()), float(kept.mean() - half), float(kept.mean() + half)


def compare(values: Values, reference: Values) -> Comparison:
    """Paired t-test over users.

    The t-test, not Wilcoxon's: it tests the mean difference, which is the number reported, and the
    signed-rank test drops the many users on whom two models tie (Urbano et al., SIGIR 2019, find it the best
    behaved).

    Args:
        values: [U] one model's value a user.
        reference: [U] the reference's value of the same users; users that are NaN on one side are left out.

    Raises:
        ValueError: the two arrays differ in length.
    """
    from scipy.stats import t

    if values.shape != reference.shape:
        raise ValueError(f"Paired values differ in length: {values.shape} and {reference.shape}.")
    differences = values - reference
    mean, low, high = mean_interval(differences)
    kept = differences[~np.isnan(differences)]
    if len(kept) < 2:
        return Comparison(mean, low, high, float("nan"), len(kept))
    error = kept.std(ddof=1) / np.sqrt(len(kept))
    # Identical lists give no spread: equal models are not different, a constant shift certainly is.
    p = float(2 * t.sf(abs(mean) / error, len(kept) - 1)) if error > 0 else float(mean == 0)
    return Comparison(mean, low, high, p, len(kept))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (Scand. J. Statistics 6, 1979) in the order given.

    The i-th smallest of n values is multiplied by n - i + 1, then made monotone and capped at 1. A NaN (a
    test that could not be made) stays NaN and does not count among the n.
    """
    raw = np.asarray(p_values, np.float64)
    tested = np.flatnonzero(~np.isnan(raw))
    order = tested[np.argsort(raw[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted = np.full(len(raw), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(raw[order] * factors), 1.0)
    return [float(value) for value in adjusted]
