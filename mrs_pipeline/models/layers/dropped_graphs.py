"""User-item graphs that lack some edges or nodes, drawn for an epoch (SGL, MMGCL)."""

import torch
from torch import Tensor

from mrs_pipeline.functional.distinct import positions
from mrs_pipeline.functional.graphs import normalise_symmetric
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.interactions import propagation_graph


def without_edges(inputs: ModelInputs, share: float, generator: torch.Generator) -> SparseOperator:
    """D^-1/2 A D^-1/2 [N, N] of all but a `share` of the training pairs."""
    n = len(inputs.users)
    return _of_pairs(inputs, positions(_kept(n, share, generator), _remaining(n, share)))


def without_nodes(inputs: ModelInputs, share: float, generator: torch.Generator) -> SparseOperator:
    """The same without the pairs of a `share` of the users and of a share of the items."""
    users = _kept(inputs.n_users, share, generator)[inputs.users]
    items = _kept(inputs.n_items, share, generator)[inputs.items]
    # how many edges are left only the device knows: its host waits, once an epoch
    return _of_pairs(inputs, positions(users & items, None))


def _of_pairs(inputs: ModelInputs, kept: Tensor) -> SparseOperator:
    graph = propagation_graph(inputs, kept)
    return SparseOperator.from_csr(normalise_symmetric(graph), symmetric=True)


def _kept(n: int, share: float, generator: torch.Generator) -> Tensor:
    """[n] bool, of which the floor of (1 - share) n are true."""
    order = torch.randperm(n, generator=generator, device=generator.device)
    return order < _remaining(n, share)


def _remaining(n: int, share: float) -> int:
    return int(n * (1 - share))
