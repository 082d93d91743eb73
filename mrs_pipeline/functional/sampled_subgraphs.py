"""Sampled neighbourhoods: of some nodes a few neighbours, of these a few, over a graph in compressed rows.

What a graph library's neighbour loader hands to a step, without its C++ part; one draw of a step costs no more than
what it draws. The model that uses it is `models/bridge/pyg.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrs_pipeline.functional.sparse import Csr


@dataclass(frozen=True)
class Subgraph:
    """A subgraph around some nodes, with its own numbering.

    Attributes:
        nodes: [n] int64 the nodes in it, ascending; a node's place is its number in the subgraph.
        edges: [2, e] int64 where a message comes from, where it goes, as places in `nodes`.
        weights: [e] of the edges; where k of d neighbours were drawn they stand for all, so each weighs d / k.
    """

    nodes: Tensor
    edges: Tensor
    weights: Tensor


class SubgraphSampler:
    """Draws neighbourhoods without replacement; a row's neighbours are all it has where it has no more than asked.

    Each row is put into a random order by `shuffle`, once an epoch; a draw takes k that follow each other from a
    random place on, around the end. Every set of k is equally likely, and no row is read as a whole.
    """

    def __init__(self, graph: Csr) -> None:
        """Of a square graph: row i holds the nodes whose messages node i receives."""
        self.graph = graph
        self._order = torch.arange(len(graph.indices), device=graph.indices.device)

    def shuffle(self, generator: torch.Generator) -> None:
        """Puts every row into a new random order. O(E log E)."""
        rows = self.graph.row_numbers()
        places = torch.rand(len(rows), generator=generator, dtype=torch.float64, device=rows.device)
        self._order = torch.argsort(rows + places)

    def around(self, seeds: Tensor, sizes: Sequence[int], generator: torch.Generator) -> Subgraph:
        """The subgraph that the vectors of `seeds` [s] int64 need for `len(sizes)` steps, at most `sizes` a node.

        A node's neighbours are drawn once, when it is first reached. O(s times the product of the sizes) at most.
        """
        frontier = torch.unique(seeds)
        nodes, targets, entries, shares = frontier, [], [], []
        for size in sizes:
            position, drawn, share = self._drawn(frontier, size, generator)
            targets.append(frontier[position])
            entries.append(drawn)
            shares.append(share)
            reached = torch.unique(self.graph.indices[drawn].long())
            frontier = reached[~torch.isin(reached, nodes)]
            nodes = torch.cat([nodes, frontier])
        nodes, entry = nodes.sort().values, torch.cat(entries)
        ends = torch.stack([self.graph.indices[entry].long(), torch.cat(targets)])
        weights = self.graph.weights[entry] * torch.cat(shares).to(self.graph.weights.dtype)
        return Subgraph(nodes, torch.searchsorted(nodes, ends), weights)

    def _drawn(self, rows: Tensor, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Of each drawn entry the place of its row in `rows`, its number in the graph, and d / k of its row."""
        starts = self.graph.indptr[rows].long()
        degrees = self.graph.indptr[rows + 1].long() - starts
        counts = degrees.clamp(max=size)
        first = torch.rand(len(rows), generator=generator, dtype=torch.float64, device=rows.device) * degrees
        position = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), counts)
        step = torch.arange(len(position), device=rows.device) - (counts.cumsum(0) - counts)[position]
        offset = (first.long()[position] + step) % degrees[position]
        return position, self._order[starts[position] + offset], (degrees / counts)[position]


def row_ranges(graph: Csr, n_entries: int) -> list[tuple[int, int]]:
    """Ranges of rows that hold about `n_entries` entries each, for work over all of a graph in bounded memory.

    >>> graph = Csr(torch.tensor([0, 3, 4, 4, 6]), torch.arange(6) % 4, torch.ones(6), (4, 4))
    >>> row_ranges(graph, 3)
    [(0, 1), (1, 4)]
    """
    indptr, ranges, start = graph.indptr.long().cpu(), [], 0
    while start < graph.shape[0]:
        end = int(torch.searchsorted(indptr, indptr[start] + n_entries, right=True)) - 1
        end = min(max(end, start + 1), graph.shape[0])
        ranges.append((start, end))
        start = end
    return ranges
