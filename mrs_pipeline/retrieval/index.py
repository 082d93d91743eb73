"""An index of item vectors by inner product: exact for few items, a graph (HNSW, by usearch) for many.

What the graph finds is ordered again by inner products in single precision, so that scores are the model's own.
That the graph is one of inner products, and not of cosines of lengthened vectors (Bachrach et al., RecSys 2014), is
because queries lie far from vectors that are so lengthened: measured in docs/serving.md.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mrs_pipeline.errors import InputError
from mrs_pipeline.retrieval.options import IndexOptions
from mrs_pipeline.types import FloatArray, IntArray

VECTORS, ITEMS, GRAPH, FACTS = "items.npy", "item_numbers.npy", "index.usearch", "index.json"
"""Files of an index: vectors [n, D] float32, dense item number of each row [n] int64, the graph, how it is asked."""

RECALL_AT: Final = 20
"""Places up to which an index is measured."""
_DOUBLINGS: Final = 4
_SCORES_AT_ONCE: Final = 2**24


@dataclass(frozen=True)
class ItemIndex:
    """Item vectors that can be searched by inner product.

    Attributes:
        vectors: [n, D] float32; may be a memory map.
        items: [n] int64 the item of each row, ascending.
        graph: usearch's Index, the HNSW graph over the rows; None where all inner products are computed.
    """

    vectors: FloatArray
    items: IntArray
    graph: Any = None

    def search(self, queries: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
        """Item numbers and scores [B, min(k, n)] of the largest inner products with `queries` [B, D], best first."""
        length = min(k, len(self.items))
        if self.graph is None or not length:
            return self.exact(queries, length)
        found = self.graph.search(np.ascontiguousarray(queries, np.float32), length, threads=1)
        rows = np.atleast_2d(found.keys).astype(np.int64)
        scores = np.einsum("bd,bkd->bk", queries, self.vectors[rows])
        best = np.argsort(-scores, axis=1, kind="stable")
        return self.items[np.take_along_axis(rows, best, 1)], np.take_along_axis(scores, best, 1)

    def exact(
        self, queries: FloatArray, k: int, among: npt.NDArray[np.bool_] | None = None
    ) -> tuple[IntArray, FloatArray]:
        """The same by all inner products, or those with the rows `among` [n]; equal scores by item number."""
        rows = np.arange(len(self.items)) if among is None else np.flatnonzero(among)
        length = min(k, len(rows))
        found = np.zeros((len(queries), length), np.int64)
        values = np.zeros((len(queries), length), np.float32)
        vectors = self.vectors if among is None else self.vectors[rows]
        step = max(1, _SCORES_AT_ONCE // max(len(rows), 1))
        for start in range(0, len(queries), step):
            scores = queries[start : start + step] @ vectors.T
            best = np.stack([largest(row, length) for row in scores])
            found[start : start + step] = self.items[rows[best]]
            values[start : start + step] = np.take_along_axis(scores, best, 1)
        return found, values


def build_index(
    directory: Path, vectors: FloatArray, items: IntArray, queries: FloatArray, options: IndexOptions
) -> ItemIndex:
    """Write the files of an index into `directory`.

    Args:
        directory: exists and is empty.
        vectors: [n, D] float32 finite.
        items: [n] int64 ascending: the item of each row.
        queries: [B, D] such as will be asked; by these it is found out how far a graph has to be walked.
        options: when a graph is built, and how.

    Returns:
        The index as `open_index` will open it.

    Raises:
        InputError: a graph is wanted and `usearch` is not installed.
    """
    np.save(directory / VECTORS, np.ascontiguousarray(vectors, dtype=np.float32))
    np.save(directory / ITEMS, items)
    facts: dict[str, object] = {"search": "exact"}
    if len(vectors) > options.exact_below:
        graph = _index_class()(
            ndim=vectors.shape[1],
            metric="ip",
            dtype="f32",
            connectivity=options.connectivity,
            expansion_add=options.expansion_add,
        )
        graph.add(np.arange(len(vectors), dtype=np.uint64), np.ascontiguousarray(vectors), threads=1)
        graph.save(str(directory / GRAPH))
        expansion = _wide_enough(ItemIndex(vectors, items, graph), queries, options)
        facts = {"search": "hnsw", "expansion_search": expansion}
    (directory / FACTS).write_text(json.dumps(facts) + "\n")
    return open_index(directory)


def _wide_enough(index: ItemIndex, queries: FloatArray, options: IndexOptions) -> int:
    """The first of the doubled expansions with which enough is found, or the last."""
    assert index.graph is not None
    expansion = options.expansion_search
    for _ in range(_DOUBLINGS + 1):
        index.graph.expansion_search = expansion
        if recall_against_exact(index, queries, RECALL_AT) >= options.min_recall:
            break
        expansion *= 2
    return int(index.graph.expansion_search)


def open_index(directory: Path) -> ItemIndex:
    """The index that `build_index` wrote, its files mapped into memory."""
    facts = json.loads((directory / FACTS).read_text())
    graph = None
    if facts["search"] == "hnsw":
        graph = _index_class().restore(str(directory / GRAPH), view=True)
        graph.expansion_search = facts["expansion_search"]
    vectors = np.load(directory / VECTORS, mmap_mode="r", allow_pickle=False)
    return ItemIndex(vectors, np.load(directory / ITEMS, allow_pickle=False), graph)


def recall_against_exact(index: ItemIndex, queries: FloatArray, k: int) -> float:
    """Mean share of the exact `k` best of `queries` [B, D] that the index finds; 1 where there is nothing to find.

    An item that ties with the last of the exact ones is as good as that one.
    """
    if not len(queries) or not len(index.items):
        return 1.0
    _, exact = index.exact(queries, k)
    _, found = index.search(queries, k)
    least = exact[:, -1:] - 1e-5 * np.abs(exact[:, -1:])
    return float(np.mean((found >= least).sum(1) / exact.shape[1]))


def largest(scores: FloatArray, k: int) -> IntArray:
    """Positions [min(k, n)] of the largest of `scores` [n], best first; equal ones by position, at the end too.

    >>> largest(np.array([1.0, 3.0, 2.0, 2.0, 2.0]), 3)
    array([1, 2, 3])
    """
    if k <= 0:
        return np.zeros(0, np.int64)
    if k >= len(scores):
        return np.argsort(-scores, kind="stable")
    threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
    above, ties = np.flatnonzero(scores > threshold), np.flatnonzero(scores == threshold)
    chosen = np.sort(np.concatenate([above, ties[: k - len(above)]]))
    found: IntArray = chosen[np.argsort(-scores[chosen], kind="stable")]
    return found


def _index_class() -> Any:
    try:
        from usearch.index import Index
    except ImportError as error:
        raise InputError(
            "an index of so many items needs the package usearch: `pip install 'mrs-pipeline[serve]'`, or raise "
            "serving.index.exact_below"
        ) from error
    return Index
