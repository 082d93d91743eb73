"""Building and normalising graphs: the user-item graph and item-item nearest-neighbour graphs.

Products with a graph belong in `sparse`; which graph a model uses is said in the model's file.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.distinct import occurrences
from mrs_pipeline.functional.ranking import top_k
from mrs_pipeline.functional.sparse import Csr, gather_rows
from mrs_pipeline.types import BoolArray, FeatureMatrix, SparseGraph, TrainingData

DEGREE_EPSILON = 1e-7
"""Added to degrees before the inverse square root, as in the published implementations."""
_ROWS = 1024
"""Rows of similarities that stand in memory at once."""


def bipartite_graph(users: Tensor, items: Tensor, n_users: int, n_items: int) -> Csr:
    """The user-item graph as one symmetric matrix [[0, R], [R', 0]] of ones, [N, N]; items follow users.

    Args:
        users: [E] int64.
        items: [E] int64; each pair once.
        n_users: U.
        n_items: I.
    """
    nodes = n_users + n_items
    rows = torch.cat([users, items + n_users])
    columns = torch.cat([items + n_users, users])
    order = torch.argsort(rows * nodes + columns)
    indptr = torch.zeros(nodes + 1, dtype=torch.int32, device=users.device)
    indptr[1:] = occurrences(rows, nodes).cumsum(0)
    ones = torch.ones(len(rows), device=users.device)
    return Csr(indptr, columns[order].int(), ones, (nodes, nodes))


def normalise_symmetric(graph: Csr) -> Csr:
    """w_ij / sqrt(d_i d_j) with d the row sums, for a square graph.

    On the user-item graph this is LightGCN's D^-1/2 A D^-1/2; on a kNN graph with cosine weights it is the
    `weighted` variant (LATTICE, MICRO, MGCN); on `binary` neighbours every weight becomes 1/k (FREEDOM).
    """
    rows = graph.row_numbers()
    degrees = graph.weights.new_zeros(graph.shape[0]).index_add_(0, rows, graph.weights)
    scale = (degrees.clamp(min=0) + DEGREE_EPSILON).rsqrt()
    return graph.with_weights(graph.weights * scale[rows] * scale[graph.indices.long()])


def normalise_asymmetric(graph: Csr, receiver: float, sender: float) -> Csr:
    """w_ij / (d_i^receiver d_j^sender) with d the row sums, for a square graph (MCLN, MEGCF).

    Two nodes joined to each other and to themselves, degrees 2 and 2:

    >>> graph = Csr.from_pairs(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1]), torch.ones(4), (2, 2))
    >>> normalise_asymmetric(graph, 1.0, 0.5).weights.round(decimals=4)  # 1 / (2 sqrt 2)
    tensor([0.3536, 0.3536, 0.3536, 0.3536])
    """
    rows = graph.row_numbers()
    degrees = graph.weights.new_zeros(graph.shape[0]).index_add_(0, rows, graph.weights)
    degrees = degrees.clamp(min=0) + DEGREE_EPSILON
    scale = degrees[rows] ** -receiver * degrees[graph.indices.long()] ** -sender
    return graph.with_weights(graph.weights * scale)


def normalise_rows(graph: Csr) -> Csr:
    """w_ij / d_i with d the row sums: the steps of a random walk. An empty row stays empty."""
    rows = graph.row_numbers()
    degrees = graph.weights.new_zeros(graph.shape[0]).index_add_(0, rows, graph.weights)
    return graph.with_weights(graph.weights / degrees[rows])


def with_self_loops(graph: Csr) -> Csr:
    """A square graph plus one on its diagonal."""
    nodes = torch.arange(graph.shape[0], device=graph.weights.device)
    rows, columns = torch.cat([graph.row_numbers(), nodes]), torch.cat([graph.indices.long(), nodes])
    weights = torch.cat([graph.weights, graph.weights.new_ones(len(nodes))])
    return Csr.from_pairs(rows, columns, weights, graph.shape)


def binary(graph: Csr) -> Csr:
    """The same neighbours, each with weight one."""
    return graph.with_weights(torch.ones_like(graph.weights))


def nearest(graph: Csr, k: int) -> Csr:
    """Keeps the k largest weights of each row, ties by column number."""
    rows = graph.row_numbers()
    order = torch.sort(graph.weights, descending=True, stable=True).indices
    order = order[torch.sort(rows[order], stable=True).indices]
    rank = torch.arange(len(order), device=order.device) - graph.indptr[rows[order]].long()
    kept = order[rank < k].sort().values
    return Csr.from_pairs(rows[kept], graph.indices[kept], graph.weights[kept], graph.shape)


def mix(graphs: list[Csr], shares: list[Tensor]) -> Csr:
    """Weighted sum of graphs of one shape; `shares[m]` [rows] is the weight of graph m for each row."""
    rows = [graph.row_numbers() for graph in graphs]
    weights = [graph.weights * share[row] for graph, share, row in zip(graphs, shares, rows, strict=True)]
    columns = torch.cat([graph.indices for graph in graphs])
    return Csr.from_pairs(torch.cat(rows), columns, torch.cat(weights), graphs[0].shape)


def strongest(graphs: list[Csr]) -> Csr:
    """Element-wise maximum of graphs of one shape; an edge that a graph lacks does not count for it."""
    rows = torch.cat([graph.row_numbers() for graph in graphs])
    columns = torch.cat([graph.indices for graph in graphs]).long()
    weights = torch.cat([graph.weights for graph in graphs])
    keys, place = torch.unique(rows * graphs[0].shape[1] + columns, return_inverse=True)
    largest = weights.new_empty(len(keys)).scatter_reduce_(0, place, weights, "amax", include_self=False)
    return Csr.from_pairs(keys // graphs[0].shape[1], keys % graphs[0].shape[1], largest, graphs[0].shape)


def knn_graph(
    features: FeatureMatrix, k: int, *, block: int = 1024, device: torch.device | str = "cpu"
) -> SparseGraph:
    """Cosine nearest neighbours of each item among the items that have features; never a dense [I, I].

    An item is its own first neighbour with weight 1. Missing rows, and rows of norm zero (which have no
    direction), are left empty and are nobody's neighbour. Ties go to the smaller item number.

    Args:
        features: values [I, F] in any float width, present [I].
        k: neighbours a row, the item itself among them; fewer where fewer items have features.
        block: rows a step; memory is block x I floats.
        device: where similarities are computed.

    Raises:
        InputError: a present row holds a NaN or an infinite value.
    """
    values = np.asarray(features.values, dtype=np.float32)
    usable: BoolArray = features.present & (np.abs(values).max(axis=1, initial=0) != 0)
    if not np.isfinite(values[usable]).all():
        raise InputError(f"feature matrix '{features.name}' holds a NaN or infinite value; extract it again")
    items = torch.from_numpy(np.flatnonzero(usable))
    unit = torch.nn.functional.normalize(torch.from_numpy(values[usable]).to(device), dim=1)
    k = min(k, len(items))
    columns, cosines = cosine_neighbours(unit, k, block)
    indptr = np.zeros(len(values) + 1, dtype=np.int32)
    indptr[1:] = np.cumsum(np.where(usable, k, 0))
    return SparseGraph(
        indptr=indptr,
        indices=items[columns.cpu()].flatten().numpy().astype(np.int32),
        weights=cosines.cpu().flatten().numpy(),
        shape=(len(values), len(values)),
    )


def with_further_rows(graph: SparseGraph, features: FeatureMatrix) -> SparseGraph:
    """A kNN graph of `knn_graph` with rows for the items that `features` have beyond it; the others stay as they are.

    A new item is its own first neighbour and points to the nearest of the earlier ones, as many as a row has.

    Args:
        graph: [I, I].
        features: of I + n items.

    >>> rows = FeatureMatrix(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 2.0]]), np.ones(3, dtype=bool), "text")
    >>> graph = knn_graph(FeatureMatrix(rows.values[:2], rows.present[:2], "text"), 2)
    >>> grown = with_further_rows(graph, rows)
    >>> grown.indices[grown.indptr[2] :], grown.weights[grown.indptr[2] :].round(3)
    (array([2, 1], dtype=int32), array([1.   , 0.894], dtype=float32))
    """
    old, total = graph.shape[0], len(features.values)
    values = np.asarray(features.values, dtype=np.float32)
    usable = features.present & (np.abs(values).max(axis=1, initial=0) != 0)
    unit = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    earlier = np.flatnonzero(usable[:old])
    width = int(np.diff(graph.indptr).max(initial=1))
    indices, weights, lengths = [graph.indices], [graph.weights], []
    for item in range(old, total):
        if not usable[item]:
            lengths.append(0)
            continue
        cosines = unit[earlier] @ unit[item]
        nearest = np.argsort(-cosines, kind="stable")[: width - 1]
        indices.append(np.concatenate([[item], earlier[nearest]]).astype(np.int32))
        weights.append(np.concatenate([[1.0], cosines[nearest]]).astype(np.float32))
        lengths.append(1 + len(nearest))
    indptr = np.concatenate([graph.indptr, graph.indptr[-1] + np.cumsum(lengths)]).astype(np.int32)
    return SparseGraph(indptr, np.concatenate(indices), np.concatenate(weights), (total, total))


def without_rows(graph: SparseGraph, items: Sequence[int]) -> SparseGraph:
    """A kNN graph in which some items have themselves for their only neighbour."""
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    kept = ~np.isin(rows, items) | (graph.indices == rows)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows[kept], minlength=graph.shape[0]))])
    return SparseGraph(indptr.astype(np.int32), graph.indices[kept], graph.weights[kept], graph.shape)


def cosine_neighbours(unit: Tensor, k: int, block: int | None = None) -> tuple[Tensor, Tensor]:
    """Columns [n, k] ascending and cosines [n, k] of the k nearest rows of `unit` [n, F], itself among them.

    `unit` has rows of norm one. Memory is `block` x n floats; left out, blocks of similarities fit a CPU's
    cache, and on a GPU keep it busy.
    """
    if block is None:
        block = max(32, (2**20 if unit.device.type == "cpu" else 2**27) // max(1, len(unit)))
    columns = torch.empty(len(unit), k, dtype=torch.int64, device=unit.device)
    cosines = torch.empty(len(unit), k, device=unit.device)
    for start in range(0, len(unit), block):
        rows = slice(start, start + block)
        similarity = unit[rows] @ unit.T
        # above every cosine, so that an item stays among its own neighbours
        similarity.diagonal(start).fill_(2.0)
        found, nearest_columns = top_k(similarity, k)
        columns[rows], order = nearest_columns.sort(dim=1)
        cosines[rows] = found.gather(1, order).clamp(max=1.0)
    return columns, cosines


def shared_partners_graph(rows: Tensor, columns: Tensor, shape: tuple[int, int], k: int) -> Csr:
    """The k rows most like each row by the columns they share: cosine of binary rows, [rows, rows].

    With items as rows and users as columns, the items that the same users have taken; a row is not its own
    neighbour, and rows that share nothing are not joined. Computed in blocks of rows, never densely.

    Args:
        rows: [E] int64.
        columns: [E] int64; each pair once.
        shape: (rows, columns).
        k: neighbours kept, the most alike; ties by number.
    """
    own = Csr.from_pairs(rows, columns, torch.ones(len(rows), device=rows.device), shape)
    partners = own.transposed().tensor()
    length = torch.bincount(rows, minlength=shape[0]).clamp(min=1).float().sqrt()
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for start in range(0, shape[0], _ROWS):
        block = torch.arange(start, min(start + _ROWS, shape[0]), device=rows.device)
        position, entries = gather_rows(own.indptr, own.indices, block)
        ones = torch.ones(len(entries), device=rows.device)
        shared = torch.mm(
            Csr.from_pairs(position, entries, ones, (len(block), shape[1])).tensor(), partners
        ).to_dense()
        cosine = shared / (length[block].unsqueeze(1) * length)
        cosine.diagonal(start).zero_()
        values, others = top_k(cosine, k)
        kept = values > 0
        found.append((block.unsqueeze(1).expand_as(others)[kept], others[kept], values[kept]))
    left, right, weights = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Csr.from_pairs(left, right, weights, (shape[0], shape[0]))


def with_item_graphs(data: TrainingData, k: int, device: torch.device | str = "cpu") -> TrainingData:
    """`data` with a kNN item graph of `k` neighbours for each modality that has none yet."""
    lacking = {name: matrix for name, matrix in data.features.items() if name not in data.item_graphs}
    graphs = {name: knn_graph(matrix, k, device=device) for name, matrix in lacking.items()}
    return replace(data, item_graphs={**data.item_graphs, **graphs})
