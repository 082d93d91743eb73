"""Weighted draws from the neighbours of many nodes at once, and what a node's surroundings consist of.

How a graph is built belongs in `graphs`; which graph is walked, in the file of the model that walks it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrs_pipeline.functional.ranking import top_k
from mrs_pipeline.functional.sparse import Csr

NOBODY = -1
"""Stands where a node has no neighbour to draw."""

_NODES = 2048
"""Nodes whose surroundings stand in memory at once."""


@dataclass(frozen=True)
class NeighbourSampler:
    """Draws neighbours with replacement, in proportion to the edges' weights, by one binary search a draw.

    Attributes:
        starts: [n] int64 where a node's edges begin.
        counts: [n] int64 how many it has.
        indices: [nnz] int64 the neighbours.
        reached: [nnz] float64 running sum of all weights, rows one after another.
        keys: [nnz] int64 ascending node * n + neighbour.
    """

    starts: Tensor
    counts: Tensor
    indices: Tensor
    reached: Tensor
    keys: Tensor

    @classmethod
    def from_csr(cls, graph: Csr) -> "NeighbourSampler":
        """From a square graph; edges of a node to itself and edges without weight are never drawn."""
        rows, columns = graph.row_numbers(), graph.indices.long()
        kept = (rows != columns) & (graph.weights > 0)
        rows, columns = rows[kept], columns[kept]
        counts = torch.bincount(rows, minlength=graph.shape[0])
        return cls(
            starts=counts.cumsum(0) - counts,
            counts=counts,
            indices=columns,
            reached=graph.weights[kept].double().cumsum(0),
            keys=rows * graph.shape[1] + columns,
        )

    def draw(self, nodes: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """[B, n] neighbours of `nodes` [B]; `NOBODY` where a node has none or is `NOBODY` itself."""
        if not len(self.indices):
            return nodes.new_full((len(nodes), n), NOBODY)
        known = nodes.clamp(min=0)
        first, count = self.starts[known], self.counts[known]
        lonely = (nodes < 0) | (count == 0)
        first, last = first.clamp(max=len(self.indices) - 1), (first + count - 1).clamp(min=0)
        below = torch.where(first > 0, self.reached[first - 1], 0.0)
        share = torch.rand(len(nodes), n, generator=generator, device=nodes.device, dtype=torch.float64)
        wanted = below.unsqueeze(1) + share * (self.reached[last] - below).unsqueeze(1)
        # a sum of rounded weights may land just outside the node's own interval
        place = torch.searchsorted(self.reached, wanted, right=True)
        place = torch.minimum(torch.maximum(place, first.unsqueeze(1)), last.unsqueeze(1))
        return torch.where(lonely.unsqueeze(1), NOBODY, self.indices[place])

    def are_neighbours(self, nodes: Tensor, others: Tensor) -> Tensor:
        """Whether each of `others` [B] can be drawn as a neighbour of the node beside it, `nodes` [B]."""
        if not len(self.keys):
            return torch.zeros_like(nodes, dtype=torch.bool)
        wanted = nodes * len(self.counts) + others
        place = torch.searchsorted(self.keys, wanted).clamp(max=len(self.keys) - 1)
        return self.keys[place] == wanted


def contexts(
    sampler: NeighbourSampler, nodes: Tensor, hops: Sequence[int], k: int, generator: torch.Generator
) -> Tensor:
    """[B, k] the nodes that random walks from each of `nodes` [B] meet most, best first; `NOBODY` pads.

    The contextual neighbour sampling of PMGT (Liu et al., MM 2021): from every node met at hop h - 1,
    `hops[h - 1]` neighbours are drawn; a node met at hop h of H scores H - h + 1 each time. Ties go to the
    smaller number. The node itself is never its own context.
    """
    blocks = [_contexts(sampler, block, hops, k, generator) for block in torch.split(nodes, _NODES)]
    return torch.cat(blocks) if blocks else nodes.new_empty(0, k)


def _contexts(
    sampler: NeighbourSampler, nodes: Tensor, hops: Sequence[int], k: int, generator: torch.Generator
) -> Tensor:
    frontier, met, worth = nodes.unsqueeze(1), [], []
    for hop, size in enumerate(hops):
        frontier = sampler.draw(frontier.flatten(), size, generator).view(len(nodes), -1)
        met.append(frontier)
        worth.append(torch.full_like(frontier[0], len(hops) - hop))
    # equal nodes come to lie side by side; the worth of such a run is a difference of running sums
    ordered, order = torch.cat(met, dim=1).sort(dim=1)
    gained = torch.cat(worth).expand_as(ordered).gather(1, order)
    running = gained.cumsum(1)
    edge = ordered[:, 1:] != ordered[:, :-1]
    border = edge.new_ones(len(nodes), 1)
    before = torch.where(torch.cat([border, edge], 1), running - gained, 0).cummax(1).values
    ends = torch.cat([edge, border], 1) & (ordered >= 0) & (ordered != nodes.unsqueeze(1))
    scores, place = top_k(torch.where(ends, running - before, 0).float(), k)
    found = torch.where(scores > 0, ordered.gather(1, place), NOBODY)
    return torch.nn.functional.pad(found, (0, k - found.shape[1]), value=NOBODY)
