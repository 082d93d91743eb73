"""Statistics of values over users and seeds: intervals of means, paired tests, several tests at once. NumPy and SciPy.

Every table, page and experiment takes intervals and p-values from here, so the same numbers give one answer.

**Model.** What a model is worth to user u when trained with seed s is taken as

    y[u, s] = mean + user[u] + seed[s] + rest[u, s]

with users, seeds and rests drawn at random: crossed random effects, as in Judd, Westfall and Kenny, "Treating stimuli
as a random factor in social psychology" (JPSP 103, 2012), here with seeds in the place of stimuli. That seeds have to
count is argued by Bouthillier et al., "Accounting for variance in machine learning benchmarks" (MLSys 2021). The
variance of the mean over U users and S seeds is var_user / U + var_seed / S + var_rest / (U S). It is estimated from
the two-way analysis of variance, with the degrees of freedom of Satterthwaite (Biometrics Bulletin 2, 1946). A negative
estimate of var_seed counts as 0.

One seed says nothing about seeds: intervals are then over users alone, which is all there is to a model that is solved
in closed form. In simulations three seeds hold 92 to 98 % where 95 % are promised, two seeds 87 to 98 %, since one
degree of freedom is little to know a variance by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

SampleValues = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.integer]

CONFIDENCE: Final = 0.95
"""Of every interval."""
ALPHA: Final = 0.05
"""A difference with a smaller p is called one: 1 - CONFIDENCE."""


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval; None where there are too few values for one."""

    mean: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Sample:
    """What one model is worth to users, over seeds: as much of it as intervals and tests need, 16 bytes a user.

    Attributes:
        users: [U] ascending numbers of the users that have a value with every seed.
        means: [U] their means over seeds.
        seeds: S.
        seed_means: [S] means over these users.
        rest: var_rest, the variance that neither users nor seeds explain; 0 for one seed or one user.
    """

    users: Numbers
    means: SampleValues
    seed_means: SampleValues
    rest: float = 0.0

    @property
    def seeds(self) -> int:
        """S."""
        return len(self.seed_means)

    @classmethod
    def of(cls, users: Numbers, seeds: Numbers, values: npt.NDArray[np.floating]) -> "Sample":
        """From one row a user and seed, in any order.

        Args:
            users: [N] numbers.
            seeds: [N] numbers.
            values: [N]; a user who is NaN, or missing, with one of the seeds is left out.

        Raises:
            ValueError: a user has two values with one seed.
        """
        everyone, columns = np.unique(users, return_inverse=True)
        names, rows = np.unique(seeds, return_inverse=True)
        grid = np.full((len(names), len(everyone)), np.nan)
        grid[rows, columns] = values
        if np.count_nonzero(~np.isnan(grid)) != np.count_nonzero(~np.isnan(values)):
            raise ValueError("a user has two values with one seed")
        complete = ~np.isnan(grid).any(axis=0)
        return cls._of_grid(everyone[complete], grid[:, complete])

    @classmethod
    def of_users(cls, values: npt.NDArray[np.floating]) -> "Sample":
        """From one seed: [U] one value a user; NaN, a user without a value, is left out."""
        exact = np.asarray(values, np.float64)
        known = np.flatnonzero(~np.isnan(exact))
        return cls._of_grid(known, exact[None, known])

    @classmethod
    def _of_grid(cls, users: Numbers, grid: SampleValues) -> "Sample":
        n_seeds, n_users = grid.shape
        if not n_users:
            return cls(users, grid[0] if n_seeds else np.zeros(0), np.full(n_seeds, np.nan))
        means, seed_means = grid.mean(axis=0), grid.mean(axis=1)
        rest = 0.0
        if n_seeds > 1 and n_users > 1:
            left = grid - means - (seed_means - means.mean())[:, None]
            rest = float(np.square(left).sum()) / ((n_users - 1) * (n_seeds - 1))
        return cls(users, means, seed_means, rest)


@dataclass(frozen=True)
class Difference:
    """A mean difference with its standard error, not yet judged: `judged` does that, a family at a time.

    Attributes:
        mean: None where there is nothing to compare.
        error: standard error; None where it cannot be known.
        freedom: its degrees of freedom.
        n_users: users that both sides have.
    """

    mean: float | None
    error: float | None = None
    freedom: float = np.inf
    n_users: int = 0


@dataclass(frozen=True)
class Comparison:
    """A difference with its interval and p-value, both adjusted for the family of tests it was made in.

    `difference` is None without a common user; `low`, `high` and `p` where the standard error cannot be known.
    """

    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    n_users: int


def interval(sample: Sample, low: float = -np.inf, high: float = np.inf) -> Interval:
    """Mean and its 95 % interval, over users and, where there are several, seeds.

    Args:
        sample: values of users.
        low: least value that a user may have.
        high: greatest one. With both bounds given the interval is Wilson's for the share (mean - low) / (high - low),
            with the effective number of users share (1 - share) / error^2 and Student's t: it stays within the bounds
            and has a width also where everybody has the same bound (Franco et al., "Comparative study of confidence
            intervals for proportions in complex sample surveys", J. Survey Statistics and Methodology 7, 2019).
            Otherwise it is Student's t, cut at the bound there is.

    Returns:
        No interval for fewer than two users. One without width where all have the same value between the bounds.

    >>> found = interval(Sample.of_users(np.array([0.0, 0.5, 1.0, np.nan])))
    >>> found.mean, round(found.low, 4), round(found.high, 4)
    (0.5, -0.7421, 1.7421)
    >>> found = interval(Sample.of_users(np.zeros(100)), 0, 1)
    >>> found.low, round(found.high, 4)
    (0.0, 0.0379)
    """
    if not len(sample.users):
        return Interval(None)
    mean = float(sample.means.mean())
    if len(sample.users) < 2:
        return Interval(mean)
    error, freedom = _error(_parts(sample.means, sample))
    if np.isfinite([low, high]).all():
        ends = _wilson((mean - low) / (high - low), error / (high - low), freedom, len(sample.users))
        return Interval(mean, *(low + (high - low) * end for end in ends))
    half = _quantile(ALPHA, freedom) * error
    return Interval(mean, max(low, mean - half), min(high, mean + half))


def compare(sample: Sample, reference: Sample) -> Difference:
    """Mean difference over the users that both have, with its standard error over users and seeds.

    Users are paired; seeds are not, since seed 1 of one model has nothing to do with seed 1 of another. The variance is
    that of the users' differences over U, plus var_seed / S of each side. With one seed each it is the paired t-test,
    not Wilcoxon's: the mean difference is the number reported, and the signed-rank test drops the many users on whom
    two models tie (Urbano et al., SIGIR 2019, find the t-test the best behaved).

    >>> found = compare(Sample.of_users(np.array([0.4, 0.6, 0.9])), Sample.of_users(np.array([0.1, 0.5, 0.7])))
    >>> (test,) = judged([found])
    >>> round(test.difference, 4), round(test.p, 4), test.n_users
    (0.2, 0.0742, 3)
    """
    own, theirs = sample.means, reference.means
    if not np.array_equal(sample.users, reference.users):
        _, mine, other = np.intersect1d(
            sample.users, reference.users, assume_unique=True, return_indices=True
        )
        own, theirs = own[mine], theirs[other]
    values = own - theirs
    if len(values) < 2:
        return Difference(float(values[0]) if len(values) else None, n_users=len(values))
    error, freedom = _error(_parts(values, sample, reference))
    return Difference(float(values.mean()), error, freedom, len(values))


def against_figure(values: npt.NDArray[np.floating], figure: float) -> Difference:
    """Mean of a model's runs on some test users, minus a figure that others published for one run on the same users.

    The users are the same, so what is left to chance is the seed. If theirs spread as ours do, the difference of the
    mean of n runs to one run has the standard error s sqrt(1 + 1 / n) with n - 1 degrees of freedom (Crawford and
    Howell, The Clinical Neuropsychologist 12, 1998). One run of ours says nothing about that: no error then.

    Args:
        values: [n] the metric of each run.
        figure: the published value.

    >>> found = against_figure(np.array([0.07, 0.08, 0.09]), 0.1)
    >>> round(found.mean, 4), round(found.error, 4), found.freedom
    (-0.02, 0.0115, 2)
    """
    mean, n = float(np.mean(values)) - figure, len(values)
    if n < 2:
        return Difference(mean)
    return Difference(mean, float(np.std(values, ddof=1)) * float(np.sqrt(1 + 1 / n)), n - 1)


def judged(differences: Sequence[Difference | None]) -> list[Comparison | None]:
    """Two-sided tests and intervals of a family of m differences, both adjusted by Bonferroni, in the order given.

    Each p is multiplied by m, each interval holds 1 - 0.05 / m. All m intervals together hold with 95 %, and one
    excludes 0 exactly when its p is below .05; Holm's smaller p-values have no two-sided intervals of that kind. None,
    and a difference without an error, are no tests and do not count among the m.

    >>> [first, second] = judged([Difference(1.0, 0.45, 50), Difference(1.0, 0.45, 50)])
    >>> round(first.p, 3), round(first.low, 3), round(first.high, 3)
    (0.062, -0.04, 2.04)
    """
    m = sum(each is not None and each.error is not None for each in differences)
    return [None if each is None else _judged(each, m) for each in differences]


def _judged(found: Difference, m: int) -> Comparison:
    from scipy import stats

    if found.mean is None or found.error is None:
        return Comparison(found.mean, None, None, None, found.n_users)
    if found.error == 0:  # equal models do not differ, a constant shift does
        return Comparison(found.mean, found.mean, found.mean, float(found.mean == 0), found.n_users)
    half = _quantile(ALPHA / m, found.freedom) * found.error
    p = 2 * float(stats.t.sf(abs(found.mean) / found.error, found.freedom))
    return Comparison(found.mean, found.mean - half, found.mean + half, min(1.0, m * p), found.n_users)


def _parts(values: SampleValues, *samples: Sample) -> list[tuple[float, float, int]]:
    """What the variance of a mean is made of: (estimate, mean square behind it, degrees of freedom)."""
    over_users = float(values.var(ddof=1)) / len(values)
    parts = [(over_users, over_users, len(values) - 1)]
    for sample in samples:
        if sample.seeds > 1:
            square = float(sample.seed_means.var(ddof=1))
            var_seed = max(0.0, square - sample.rest / len(sample.users))
            parts.append((var_seed / sample.seeds, square / sample.seeds, sample.seeds - 1))
    return parts


def _error(parts: Sequence[tuple[float, float, int]]) -> tuple[float, float]:
    """Standard error and Satterthwaite's degrees of freedom."""
    variance = sum(estimate for estimate, _, _ in parts)
    spread = sum(square**2 / freedom for _, square, freedom in parts)
    if spread == 0:
        return 0.0, parts[0][2]
    return float(np.sqrt(variance)), max(1.0, variance**2 / spread)


def _quantile(alpha: float, freedom: float) -> float:
    from scipy import stats

    return float(stats.t.isf(alpha / 2, freedom))


def _wilson(share: float, error: float, freedom: float, n_users: int) -> tuple[float, float]:
    share = min(max(share, 0.0), 1.0)  # values of users are float32
    at_bound = share in (0.0, 1.0)
    if error == 0 and not at_bound:
        return share, share
    n = n_users if at_bound else share * (1 - share) / error**2
    square = _quantile(ALPHA, n_users - 1 if at_bound else freedom) ** 2 / n
    middle = (share + square / 2) / (1 + square)
    half = float(np.sqrt(square * (share * (1 - share) + square / 4))) / (1 + square)
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))
