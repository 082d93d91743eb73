"""How far two samples of one thing are apart: population stability index, Kolmogorov-Smirnov, cosine of means.

Each comes with what chance alone would give between samples of these sizes, so that a small sample is no alarm.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Histogram = npt.NDArray[np.integer]
SampleRows = npt.NDArray[np.floating]

CHANCE: Final = 0.01
"""Share of samples of one distribution that lie beyond what is called chance."""


@dataclass(frozen=True)
class Shift:
    """A distance and the bound that chance reaches.

    Attributes:
        value: the distance.
        chance: samples of one distribution lie beyond it in `CHANCE` of cases.
    """

    value: float
    chance: float


def stability_index(before: Histogram, now: Histogram) -> Shift:
    """Population stability index of two histograms: sum over bins of (q - p) ln(q / p).

    Bins that one side lacks count half an observation. Without a shift, PSI / (1 / n + 1 / m) is about chi-square with
    as many degrees of freedom as there are bins less one (Yurdakul, "Statistical properties of the population stability
    index", Western Michigan University, 2018).

    Args:
        before: [B] counts.
        now: [B] counts of the same bins.

    >>> round(stability_index(np.array([50, 50]), np.array([60, 40])).value, 4)
    0.0405
    """
    from scipy import stats

    used = (before + now) > 0
    if used.sum() < 2:
        return Shift(0.0, 0.0)
    p, q = (np.maximum(counts[used], 0.5) for counts in (before, now))
    sizes = float(p.sum()), float(q.sum())
    p, q = p / sizes[0], q / sizes[1]
    value = float(((q - p) * np.log(q / p)).sum())
    return Shift(value, float(stats.chi2.isf(CHANCE, used.sum() - 1)) * (1 / sizes[0] + 1 / sizes[1]))


def largest_ks(before: SampleRows, now: SampleRows) -> Shift:
    """The largest two-sample Kolmogorov-Smirnov distance of any dimension; chance is adjusted for their number.

    Args:
        before: [N, D] rows.
        now: [M, D] rows.

    >>> largest_ks(np.arange(4.0)[:, None], np.arange(4.0)[:, None] + 10).value
    1.0
    """
    from scipy import stats

    values = [stats.ks_2samp(before[:, column], now[:, column], method="asymp").statistic
              for column in range(before.shape[1])]  # fmt: skip
    each = CHANCE / max(1, len(values))
    chance = np.sqrt(-np.log(each / 2) / 2 * (1 / len(before) + 1 / len(now)))
    return Shift(float(max(values, default=0.0)), float(chance))


def cosine_of_means(before: SampleRows, now: SampleRows) -> float:
    """Cosine between the means of two sets of rows; 1 where both means are 0.

    >>> cosine_of_means(np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]]))
    0.0
    """
    p, q = before.mean(axis=0), now.mean(axis=0)
    length = float(np.linalg.norm(p) * np.linalg.norm(q))
    return float(p @ q) / length if length > 0 else float(not (p.any() or q.any()))
