"""The graph of users who share items. Item-item graphs and normalisation are in `graphs`."""

from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from mrs_pipeline.types import Interactions, SparseGraph

_PATHS = 2**22
"""User-item-user paths a block; bounds the memory of what a block's product can hold."""


def user_graph(train: Interactions, k: int, *, paths: int = _PATHS) -> SparseGraph:
    """For each user the `k` others who share most training items with them; never a dense [U, U].

    Weights are how many items are shared, a repeated interaction counted once; equal counts are ordered by user
    number. A user who shares nothing has an empty row, nobody is their own neighbour.

    Args:
        train: the interactions.
        k: neighbours a row; fewer where fewer share an item.
        paths: product terms a step; a user with more stands alone in a step.
    """
    n_users = train.n_users
    keys = np.unique(train.users * train.n_items + train.items)
    ones = np.ones(len(keys), dtype=np.float32)
    ratings = sparse.csr_matrix(
        (ones, (keys // train.n_items, keys % train.n_items)), shape=(n_users, train.n_items)
    )
    columns = ratings.T.tocsr()
    effort = np.cumsum(ratings @ np.diff(columns.indptr).astype(np.int64))
    starts = [*np.flatnonzero(np.diff(effort // paths, prepend=-1)), n_users]
    parts = [_top_of_rows(ratings[start:end] @ columns, int(start), k) for start, end in pairwise(starts)]
    counts = np.concatenate([np.zeros(1, np.int32), *(part[0] for part in parts)])
    return SparseGraph(
        indptr=np.cumsum(counts, dtype=np.int32),
        indices=np.concatenate([np.zeros(0, np.int32), *(part[1] for part in parts)]),
        weights=np.concatenate([np.zeros(0, np.float32), *(part[2] for part in parts)]),
        shape=(n_users, n_users),
    )


def _top_of_rows(shared: Any, first: int, k: int) -> tuple[Any, Any, Any]:
    """Entries a row, columns and weights of the k largest off-diagonal entries of each row of CSR `shared`.

    Row r is user `first` + r; columns ascend within a row.
    """
    n_rows = shared.shape[0]
    rows = np.repeat(np.arange(n_rows), np.diff(shared.indptr))
    others = shared.indices != rows + first
    rows, columns, weights = rows[others], shared.indices[others], shared.data[others]
    order = np.lexsort((columns, -weights, rows))
    sizes = np.bincount(rows, minlength=n_rows)
    rank = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = order[rank < k]
    kept = kept[np.lexsort((columns[kept], rows[kept]))]
    return (
        np.minimum(sizes, k).astype(np.int32),
        columns[kept].astype(np.int32),
        weights[kept].astype(np.float32),
    )
