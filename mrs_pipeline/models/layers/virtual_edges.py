"""Interactions that nobody had, made of items that resemble those that a user took (VI-MMRec)."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from mrs_pipeline.functional.graphs import nearest
from mrs_pipeline.functional.kernels.rows import unit_rows
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.inputs import ModelInputs

EdgeChoice = Literal["overlay", "synergistic"]

_PATHS = 2**22
"""User-item-neighbour paths that stand in memory at once; a user with more stands alone."""


def virtual_edges(
    inputs: ModelInputs, graphs: Mapping[str, Csr], n: int, weight: float, strategy: EdgeChoice
) -> Csr:
    """[U, I] edges of no training pair, with weights of at most `weight`.

    Args:
        inputs: training pairs and features.
        graphs: modality -> kNN graph [I, I], cosines, none below zero.
        n: edges of a user, of each modality (`overlay`) or of all (`synergistic`).
        weight: of a user's strongest edge.
        strategy: `overlay` chooses in each modality, then adds up; `synergistic` adds up, then chooses.
    """
    shape = (inputs.n_users, inputs.n_items)
    if not n or not weight:
        return _sum([], shape, inputs.device)
    shares = relevance(inputs)
    likings = {name: _liking(inputs, graph) for name, graph in graphs.items()}
    if strategy == "synergistic":
        joined = _sum([_times(each, shares[name]) for name, each in likings.items()], shape, inputs.device)
        return _times(_over_largest(nearest(joined, n)), weight)
    chosen = [
        _times(_over_largest(nearest(each, n)), weight * shares[name]) for name, each in likings.items()
    ]
    return _sum(chosen, shape, inputs.device)


def relevance(inputs: ModelInputs) -> dict[str, float]:
    """Share of each modality: how much more alike two items of one user are than two items of all training pairs.

    Both means of the cosine are exact, from sums of unit vectors; equal shares where no modality tells them apart.
    """
    gains = {}
    for name, values in inputs.features.items():
        having = inputs.present[name][inputs.items]
        users, rows = inputs.users[having], unit_rows(values)[inputs.items[having]]
        sums = rows.new_zeros(inputs.n_users, rows.shape[1]).index_add_(0, users, rows)
        counts = torch.bincount(users, minlength=inputs.n_users).to(rows.dtype)
        pairs = (counts * (counts - 1)).sum()
        own = (sums.square().sum() - rows.square().sum()) / pairs.clamp(min=1)
        total = float(len(rows)) * (len(rows) - 1)
        all_pairs = (rows.sum(0).square().sum() - rows.square().sum()) / max(total, 1.0)
        gains[name] = max(0.0, float(own - all_pairs))
    whole = sum(gains.values())
    return {name: gain / whole if whole else 1 / len(gains) for name, gain in gains.items()}


def with_virtual(inputs: ModelInputs, edges: Csr) -> ModelInputs:
    """The inputs whose graph of propagation has `edges` [U, I] more; the training pairs are what they were."""
    return replace(inputs, virtual=edges)


def _liking(inputs: ModelInputs, graph: Csr) -> Csr:
    """[U, I] the sum over a user's items i of the cosine of i and j, for its neighbours j that the user has not had."""
    known = (inputs.users * inputs.n_items + inputs.items).sort().values
    paths = graph.indptr.diff().long()[inputs.items]
    order = torch.argsort(inputs.users, stable=True)
    parts = _blocks(inputs.users[order], paths[order])
    found = [_new_edges(inputs, graph, order[start:end], known) for start, end in parts]
    rows, columns, weights = (torch.cat(each) for each in zip(*found, strict=True))
    return Csr.from_pairs(rows, columns, weights, (inputs.n_users, inputs.n_items))


def _blocks(users: Tensor, paths: Tensor) -> list[tuple[int, int]]:
    """Ranges of pairs, users whole, of about `_PATHS` paths each."""
    before = paths.cumsum(0) - paths
    first = torch.ones_like(users, dtype=torch.bool)
    first[1:] = users[1:] != users[:-1]
    starts = torch.nonzero(first).flatten()
    number = before[starts] // _PATHS
    begins = torch.ones_like(number, dtype=torch.bool)
    begins[1:] = number[1:] != number[:-1]
    bounds = [*starts[begins].tolist(), len(users)]
    return list(pairwise(bounds))


def _new_edges(
    inputs: ModelInputs, graph: Csr, pairs: Tensor, known: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    near = graph.take(inputs.items[pairs])
    users, items = inputs.users[pairs][near.row_numbers()], near.indices.long()
    keys = users * inputs.n_items + items
    place = torch.searchsorted(known, keys).clamp(max=len(known) - 1)
    new = (known[place] != keys) & (near.weights > 0)
    block = Csr.from_pairs(users[new], items[new], near.weights[new], (inputs.n_users, inputs.n_items))
    return block.row_numbers(), block.indices.long(), block.weights


def _over_largest(graph: Csr) -> Csr:
    """Each row over its largest weight."""
    rows = graph.row_numbers()
    largest = graph.weights.new_zeros(graph.shape[0]).scatter_reduce_(0, rows, graph.weights, "amax")
    return graph.with_weights(graph.weights / largest[rows])


def _times(graph: Csr, factor: float) -> Csr:
    return graph.with_weights(graph.weights * factor)


def _sum(graphs: list[Csr], shape: tuple[int, int], device: torch.device) -> Csr:
    """The sum, without entries of zero."""
    rows = torch.cat([torch.empty(0, dtype=torch.int64, device=device), *(g.row_numbers() for g in graphs)])
    columns = torch.cat([rows.new_empty(0), *(g.indices.long() for g in graphs)])
    weights = torch.cat([torch.empty(0, device=device), *(g.weights for g in graphs)])
    kept = weights > 0
    return Csr.from_pairs(rows[kept], columns[kept], weights[kept], shape)
