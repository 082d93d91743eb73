"""What to put where an item lacks a modality: pure functions from a matrix and its mask to a fuller matrix.

Each returns `Completed`: the observed rows untouched, the mask of what was observed, and the mask of what is usable
now. Nothing is made up where nothing is known: such a row stays zero and unusable. Which strategy a dataset uses, and
where the result is stored, is decided elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrs_pipeline.encoders.diagnostics import BLOCK_ROWS, unit_vectors
from mrs_pipeline.types import BoolArray, FeatureMatrix, FloatArray, IntArray, Interactions

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_BLOCK_CELLS = 2**24
"""Cells of a block of similarities, 64 MB."""
_BLOCK_COLUMNS = 64
"""Feature columns propagated together: bounds memory to this many floats a node."""


@dataclass(frozen=True)
class Completed:
    """A matrix in which missing rows may have been filled.

    Attributes:
        values: [I, F] float32.
        observed: [I] bool, rows that come from content.
        usable: [I] bool, observed or filled; the others are zero.
    """

    values: FloatArray
    observed: BoolArray
    usable: BoolArray

    def as_features(self, name: str = "") -> FeatureMatrix:
        """As models take it: a usable row counts as present."""
        return FeatureMatrix(self.values, self.usable, name)


def fill_zero(features: FeatureMatrix) -> Completed:
    """Missing rows are zero and stay unusable: the strategy of models that mask."""
    return Completed(_observed_only(features), features.present, features.present.copy())


def fill_mean(features: FeatureMatrix) -> Completed:
    """Missing rows become the mean of the observed ones."""
    values = _observed_only(features)
    n_observed = int(features.present.sum())
    if n_observed:
        values[~features.present] = values.sum(axis=0, dtype=np.float64) / n_observed
    return Completed(values, features.present, np.full(len(values), n_observed > 0))


def fill_from_neighbours(features: FeatureMatrix, other: FeatureMatrix, knn_k: int = 10) -> Completed:
    """Missing rows become the mean of the items nearest by another modality, weighted by their cosine there.

    An item that lacks the other modality too, or has no neighbour with a positive cosine, stays unusable.

    Args:
        features: [I, F] the modality to complete.
        other: [I, F'] the modality that says who is near.
        knn_k: neighbours at most.
    """
    values = _observed_only(features)
    usable = features.present.copy()
    known = np.flatnonzero(features.present & other.present)
    wanted = np.flatnonzero(~features.present & other.present)
    if not len(known):
        return Completed(values, features.present, usable)
    candidates = unit_vectors(other.values[known])
    for rows in _blocks(wanted, max(1, _BLOCK_CELLS // len(known))):
        weights, nearest = _nearest(unit_vectors(other.values[rows]), candidates, min(knn_k, len(known)))
        total = weights.sum(axis=1)
        found = total > 0
        share = weights[found] / total[found, None]
        values[rows[found]] = np.einsum("rk,rkf->rf", share, values[known[nearest[found]]])
        usable[rows[found]] = True
    return Completed(values, features.present, usable)


def propagate(features: FeatureMatrix, interactions: Interactions, n_iterations: int = 20) -> Completed:
    """Missing rows become what reaches them over the user-item graph: feature propagation.

    Rossi et al., *On the unreasonable effectiveness of feature propagation* (LoG 2022): repeat X <- A X and reset the
    observed rows. Here A is the bipartite adjacency with rows divided by their degree, so a user is the mean of its
    items and an item the mean of its users; the paper divides by the roots of both degrees, which would write
    popularity into the lengths of the rows. The share of observed content in each row is propagated alongside and
    divided out, so that any number of iterations gives an average of observed rows. Feed it training interactions only.

    Args:
        features: [I, F] the modality to complete.
        interactions: of users and items.
        n_iterations: of X <- A X, each reaching items one user further away.
    """
    to_users, to_items = _walks(interactions)
    observed = features.present
    mass = _reach(observed[:, None].astype(np.float32), observed, to_users, to_items, n_iterations)
    usable = observed | (mass[:, 0] > 0)
    values = _observed_only(features)
    for at in range(0, values.shape[1], _BLOCK_COLUMNS):
        columns = slice(at, at + _BLOCK_COLUMNS)
        reached = _reach(values[:, columns], observed, to_users, to_items, n_iterations)
        filled = usable & ~observed
        values[filled, columns] = reached[filled] / mass[filled]
    return Completed(values, observed, usable)


def _reach(
    start: FloatArray, observed: BoolArray, to_users: "csr_array", to_items: "csr_array", n_iterations: int
) -> FloatArray:
    """[I, C] after the iterations; `start` holds the observed rows and zeros."""
    current = start
    for _ in range(n_iterations):
        current = to_items @ (to_users @ current)
        current[observed] = start[observed]
    return current


def _walks(interactions: Interactions) -> "tuple[csr_array, csr_array]":
    """[U, I] mean over a user's items, and [I, U] mean over an item's users; repeated pairs count once."""
    from scipy.sparse import csr_array

    pairs = (np.ones(len(interactions), dtype=np.float32), (interactions.users, interactions.items))
    graph = csr_array(pairs, shape=(interactions.n_users, interactions.n_items))
    graph.data[:] = 1  # sums of repeated pairs
    return _row_means(graph), _row_means(csr_array(graph.T))


def _row_means(graph: "csr_array") -> "csr_array":
    degrees = np.diff(graph.indptr)
    means = graph.copy()
    means.data = np.repeat(1 / np.maximum(degrees, 1), degrees).astype(np.float32)
    return means


def _nearest(queries: FloatArray, candidates: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
    """[B, k] cosines, negative ones as zero, and positions of the k nearest candidates of unit rows."""
    cosine = queries @ candidates.T
    nearest = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
    return np.maximum(np.take_along_axis(cosine, nearest, axis=1), 0), nearest


def _observed_only(features: FeatureMatrix) -> FloatArray:
    """[I, F] float32 copy with zeros in missing rows, made block by block from a memory map."""
    values = np.zeros(features.values.shape, dtype=np.float32)
    for rows in _blocks(np.flatnonzero(features.present), BLOCK_ROWS):
        values[rows] = features.values[rows]
    return values


def _blocks(rows: IntArray, size: int) -> Iterator[IntArray]:
    return (rows[at : at + size] for at in range(0, len(rows), size))
