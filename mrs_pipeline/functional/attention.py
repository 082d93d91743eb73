"""Attention without parameters: softmax under a mask, and among the edges of a node. Scores come from models."""

import torch
from torch import Tensor


def masked_softmax(scores: Tensor, allowed: Tensor) -> Tensor:
    """Softmax over the last dimension among the entries that are `allowed`, same shape; all zero where none is."""
    lowest = torch.finfo(scores.dtype).min
    return torch.softmax(scores.masked_fill(~allowed, lowest), dim=-1) * allowed


def edge_softmax(scores: Tensor, nodes: Tensor, n_nodes: int) -> Tensor:
    """[E] softmax of `scores` [E] among the edges of one node; `nodes` [E] int64 says whose an edge is."""
    lowest = scores.new_full((n_nodes,), -torch.inf)
    highest = lowest.scatter_reduce(0, nodes, scores.detach(), "amax")
    powers = (scores - highest[nodes]).exp()
    sums = scores.new_zeros(n_nodes).index_add(0, nodes, powers)
    return powers / sums[nodes]
