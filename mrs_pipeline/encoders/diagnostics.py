"""Is a feature set any good? Pure functions from a matrix and its mask to numbers, with a threshold for each.

One pass over the rows in blocks, so a memory-mapped matrix of any length is summarised in bounded memory;
what needs pairs or a spectrum looks at a sample of rows. Which number blocks and which one warns is decided
where the checks are declared; how numbers become pages or tables belongs elsewhere.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from mrs_pipeline.types import BoolArray, FeatureMatrix, FloatArray, IntArray, Interactions

BLOCK_ROWS = 4096
"""Rows looked at together."""
SAMPLE_ROWS = 2048
"""Rows that spectrum and pair statistics are computed from; their sampling error is below 3 %."""
PAIRS = 20_000
"""Item pairs of the signal test."""
SHUFFLES = 50
"""Shuffled catalogues that the signal test is held against; z is known to about one tenth."""

MIN_COVERAGE = 0.05
"""Fewer present rows than this share say more about the extraction than about the items: most failed."""
MAX_CONSTANT_SHARE = 0.5
"""One dimension that never varies is harmless; where half are so, encoder or input is broken."""
MAX_DUPLICATE_SHARE = 0.2
"""Items may share a picture; one in five sharing a vector means placeholders or a repeated read."""
MIN_EFFECTIVE_RANK = 2.0
"""Below this all items lie on one line: the space has collapsed and no neighbour means anything."""
MAX_MEAN_COSINE = 0.98
"""Random pairs this similar differ by rounding only; contrastive and pretrained encoders stay well below."""
MAX_NORM_SPREAD = 100.0
"""Ratio of the longest to the shortest row; a graph or an MLP on such input listens to a few items alone."""
MIN_DRIFT_COSINE = 0.9
"""Mean vectors of two versions below this: another encoder, another preprocessing or another order."""
MAX_NORM_SHIFT = 0.25
"""Relative change of the mean norm between two versions; models trained on the old scale would be off."""
MIN_SIGNAL_Z = 3.0
"""Below three standard deviations items that share users are no nearer than chance: misaligned rows?"""


@dataclass(frozen=True)
class FeatureSummary:
    """One feature set in numbers. Over present rows, unless it says otherwise.

    Attributes:
        items: I, rows of the matrix.
        present: present rows.
        coverage: present / items.
        dimensions: F.
        mask_rows: length of the mask; must equal `items`.
        nonfinite_rows: rows with a NaN or an infinity.
        unmasked_rows: missing rows that are not zero; must be none.
        constant_dimensions: dimensions with one value throughout.
        duplicate_share: share of rows whose vector an earlier row has too.
        effective_rank: exponential of the entropy of the normalised singular values of the centred sample
            (Roy and Vetterli, EUSIPCO 2007); between 1 and F.
        mean_cosine: mean cosine of random pairs of the sample.
        norm_mean: mean Euclidean norm.
        norm_std: its standard deviation.
        norm_min: shortest row.
        norm_max: longest row.
        drift_cosine: cosine of the mean vectors of this and the previous version; None without one of equal
            width.
        drift_norm: relative change of the mean norm against the previous version; None likewise.
    """

    items: int
    present: int
    coverage: float
    dimensions: int
    mask_rows: int
    nonfinite_rows: int
    unmasked_rows: int
    constant_dimensions: int
    duplicate_share: float
    effective_rank: float
    mean_cosine: float
    norm_mean: float
    norm_std: float
    norm_min: float
    norm_max: float
    drift_cosine: float | None = None
    drift_norm: float | None = None

    def to_row(self) -> dict[str, int | float | None]:
        """Field -> value, a row of a table."""
        return asdict(self)


@dataclass(frozen=True)
class SignalTest:
    """Whether items that share users are nearer than shuffled ones.

    Attributes:
        z: (observed - shuffled_mean) / shuffled_std; NaN with fewer than two usable pairs.
        observed: mean cosine, about the common mean, of pairs of items that one user has both.
        shuffled_mean: the same pairs after vectors were shuffled among the present items, mean of the
            shuffles.
        shuffled_std: standard deviation over the shuffles.
        pairs: pairs looked at.
        shuffled: [SHUFFLES] the values themselves, for a plot.
    """

    z: float
    observed: float
    shuffled_mean: float
    shuffled_std: float
    pairs: int
    shuffled: tuple[float, ...]


def summarise_features(
    values: npt.NDArray[np.floating], present: BoolArray, previous: FeatureMatrix | None = None
) -> FeatureSummary:
    """Summary of a feature set.

    Args:
        values: [I, F], may be a memory map.
        present: [I] bool.
        previous: the version before, for drift.
    """
    totals = _Totals(values.shape[1])
    for block in _blocks(values, present):
        totals.add(block)
    n = totals.finite
    sample = _sample(values, present)
    cosine, norm = (None, None) if previous is None else _drift(totals, previous)
    return FeatureSummary(
        items=len(values),
        present=int(present.sum()),
        coverage=float(present.mean()) if len(present) else 0.0,
        dimensions=values.shape[1],
        mask_rows=len(present),
        nonfinite_rows=totals.nonfinite,
        unmasked_rows=_unmasked(values, present),
        constant_dimensions=int((totals.low == totals.high).sum()),
        duplicate_share=totals.duplicates() / n if n else 0.0,
        effective_rank=effective_rank(sample),
        mean_cosine=_mean_cosine(sample),
        norm_mean=totals.norm_mean,
        norm_std=totals.norm_std,
        norm_min=totals.norm_low if n else 0.0,
        norm_max=totals.norm_high if n else 0.0,
        drift_cosine=cosine,
        drift_norm=norm,
    )


class _Totals:
    """What one pass over the rows adds up. Rows that are not finite are counted and left out."""

    def __init__(self, width: int) -> None:
        self.finite = 0
        self.nonfinite = 0
        self.low = np.full(width, np.inf)
        self.high = np.full(width, -np.inf)
        self.sum = np.zeros(width)
        self.norm_low, self.norm_high = np.inf, 0.0
        self._norm_sum, self._norm_squares = 0.0, 0.0
        self._hashes: list[npt.NDArray[np.uint64]] = []
        self._weights = np.random.default_rng(0).integers(1, 2**63, size=width, dtype=np.uint64) | np.uint64(
            1
        )

    def add(self, block: FloatArray) -> None:
        good = np.isfinite(block).all(axis=1)
        self.nonfinite += int((~good).sum())
        block = block[good]
        if not len(block):
            return
        self.finite += len(block)
        self.low = np.minimum(self.low, block.min(axis=0))
        self.high = np.maximum(self.high, block.max(axis=0))
        self.sum += block.sum(axis=0, dtype=np.float64)
        norms = np.linalg.norm(block, axis=1).astype(np.float64)
        self.norm_low = min(self.norm_low, float(norms.min()))
        self.norm_high = max(self.norm_high, float(norms.max()))
        self._norm_sum += float(norms.sum())
        self._norm_squares += float((norms**2).sum())
        self._hashes.append(self._hash(block))

    def _hash(self, block: FloatArray) -> npt.NDArray[np.uint64]:
        """[n] 64-bit fingerprints of rows, so that duplicates need eight bytes a row and no second look."""
        words = (block + np.float32(0)).view(np.uint32).astype(np.uint64)  # + 0 makes -0.0 and 0.0 one value
        mixed = words * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
        hashes: npt.NDArray[np.uint64] = (mixed * self._weights).sum(axis=1, dtype=np.uint64)
        return hashes

    def duplicates(self) -> int:
        """Rows whose vector an earlier row has too."""
        return self.finite - len(np.unique(np.concatenate(self._hashes))) if self._hashes else 0

    @property
    def norm_mean(self) -> float:
        return self._norm_sum / self.finite if self.finite else 0.0

    @property
    def norm_std(self) -> float:
        return float(np.sqrt(max(self._norm_squares / max(self.finite, 1) - self.norm_mean**2, 0.0)))

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """[F] mean vector."""
        return self.sum / max(self.finite, 1)


def _blocks(values: npt.NDArray[np.floating], present: BoolArray) -> Iterator[FloatArray]:
    """Float32 values of present rows, block by block."""
    rows = np.flatnonzero(present)
    for at in range(0, len(rows), BLOCK_ROWS):
        yield values[rows[at : at + BLOCK_ROWS]].astype(np.float32)


def _unmasked(values: npt.NDArray[np.floating], present: BoolArray) -> int:
    missing = np.flatnonzero(~present)
    starts = range(0, len(missing), BLOCK_ROWS)
    return sum(int(values[missing[at : at + BLOCK_ROWS]].any(axis=1).sum()) for at in starts)


def _sample(values: npt.NDArray[np.floating], present: BoolArray) -> FloatArray:
    """[n, F] at most SAMPLE_ROWS finite present rows, evenly spaced."""
    rows = np.flatnonzero(present)
    chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE_ROWS)).astype(np.int64)]
    sample: FloatArray = values[chosen].astype(np.float32)
    return sample[np.isfinite(sample).all(axis=1)]


def effective_rank(sample: FloatArray) -> float:
    """Exponential of the entropy of the normalised singular values of centred rows; 0 if nothing varies.

    Args:
        sample: [n, F].
    """
    if len(sample) < 2:
        return 0.0
    singular = np.linalg.svd(sample.astype(np.float64) - sample.mean(axis=0), compute_uv=False)
    if singular[0] <= np.finfo(np.float32).eps * np.abs(sample).max():
        return 0.0
    share = singular / singular.sum()
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


def spectrum(values: npt.NDArray[np.floating], present: BoolArray) -> npt.NDArray[np.float64]:
    """[min(n, F)] share of variance of each principal direction of the sample, largest first; for a plot."""
    sample = _sample(values, present).astype(np.float64)
    if len(sample) < 2:
        return np.zeros(0)
    variances = np.linalg.svd(sample - sample.mean(axis=0), compute_uv=False) ** 2
    shares: npt.NDArray[np.float64] = variances / max(float(variances.sum()), np.finfo(np.float64).tiny)
    return shares


def unit_vectors(rows: npt.NDArray[np.floating]) -> FloatArray:
    """[n, F] float32 rows of length one; rows of zeros stay zero, never NaN."""
    full = rows.astype(np.float32)
    norms = np.linalg.norm(full, axis=1, keepdims=True)
    unit: FloatArray = np.divide(full, norms, out=np.zeros_like(full), where=norms > 0)
    return unit


def _mean_cosine(sample: FloatArray) -> float:
    """Mean over all pairs of different rows: (|sum of unit rows|^2 - n) / (n (n - 1))."""
    n = len(sample)
    if n < 2:
        return 0.0
    total = unit_vectors(sample).sum(axis=0, dtype=np.float64)
    return float((total @ total - n) / (n * (n - 1)))


def _drift(totals: _Totals, previous: FeatureMatrix) -> tuple[float | None, float | None]:
    if previous.values.shape[1] != len(totals.sum):
        return None, None
    before = _Totals(len(totals.sum))
    for block in _blocks(previous.values, previous.present):
        before.add(block)
    lengths = np.linalg.norm(totals.mean) * np.linalg.norm(before.mean)
    if lengths == 0 or before.norm_mean == 0:
        return None, None
    cosine = float(totals.mean @ before.mean / lengths)
    return cosine, abs(totals.norm_mean - before.norm_mean) / before.norm_mean


def signal_test(
    values: npt.NDArray[np.floating], present: BoolArray, interactions: Interactions, seed: int = 0
) -> SignalTest:
    """Do items that share users lie nearer than when vectors are shuffled?

    Pairs are two items of one user; shuffling moves vectors among the present items and keeps the pairs, so
    neither popularity nor the shape of the space can fake a signal. Feed it training interactions only.

    Args:
        values: [I, F].
        present: [I] bool.
        interactions: of users and items, sorted by user.
        seed: of the pairs and the shuffles.
    """
    rng = np.random.default_rng(seed)
    first, second = _pairs(interactions, present, rng)
    if len(first) < 2:
        return SignalTest(float("nan"), 0.0, 0.0, 0.0, len(first), ())
    ids, positions = np.unique(np.concatenate([first, second]), return_inverse=True)
    left, right = positions[: len(first)], positions[len(first) :]
    vectors = values[ids].astype(np.float32)
    # What all items have in common says nothing about pairs and would drown what tells them apart.
    vectors = unit_vectors(vectors - vectors.mean(axis=0))
    observed = _pair_cosine(vectors, left, right)
    shuffled = [_pair_cosine(vectors, deal[left], deal[right]) for deal in _deals(rng, len(ids))]
    mean, std = float(np.mean(shuffled)), float(np.std(shuffled, ddof=1))
    z = (observed - mean) / std if std > 0 else float("nan")
    return SignalTest(z, observed, mean, std, len(first), tuple(shuffled))


def _deals(rng: np.random.Generator, n: int) -> Iterator[IntArray]:
    return (rng.permutation(n) for _ in range(SHUFFLES))


def _pairs(
    interactions: Interactions, present: BoolArray, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Two [P] arrays of different items that one user has both, both present; P at most PAIRS."""
    keep = present[interactions.items]
    users, items = interactions.users[keep], interactions.items[keep]
    counts = np.bincount(users, minlength=interactions.n_users)
    ends = np.cumsum(counts)
    events = rng.permutation(np.flatnonzero(counts[users] > 1))[:PAIRS]
    owners = users[events]
    # Another event of the same user: one of the count - 1 places beside its own.
    begins = ends[owners] - counts[owners]
    others = rng.integers(0, counts[owners] - 1)
    others = begins + others + (begins + others >= events)
    first, second = items[events], items[others]
    differ = first != second
    return first[differ], second[differ]


def _pair_cosine(unit: FloatArray, left: IntArray, right: IntArray) -> float:
    """Mean inner product of pairs of unit rows, a block at a time."""
    total = 0.0
    for at in range(0, len(left), BLOCK_ROWS):
        block = slice(at, at + BLOCK_ROWS)
        total += float(np.einsum("pf,pf->", unit[left[block]], unit[right[block]]))
    return total / len(left)
