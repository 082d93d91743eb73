"""Triples of a knowledge graph as edges: both directions, joined with the interactions, drawn with corrupted tails.

How a model scores a triple is said in its file; what a graph is made of, in `tables.knowledge`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mrs_pipeline.functional.sampling import NegativeSampler, random_below


@dataclass(frozen=True)
class Triples:
    """Directed edges with a relation each, sorted by relation.

    Attributes:
        heads: [T] int64 nodes.
        relations: [T] int64, ascending.
        tails: [T] int64 nodes.
        n_nodes: nodes of the graph.
        counts: triples of each relation.
    """

    heads: Tensor
    relations: Tensor
    tails: Tensor
    n_nodes: int
    counts: tuple[int, ...]

    @classmethod
    def from_parts(cls, parts: list[tuple[Tensor, Tensor, Tensor, int]], n_nodes: int) -> "Triples":
        """Puts graphs side by side, each with its inverse: relation r of a graph becomes 2 r, its inverse 2 r + 1.

        Args:
            parts: (heads, relations, tails, number of relations) of each graph, over the same nodes; relations are
                numbered on from graph to graph.
            n_nodes: nodes of all.
        """
        heads, relations, tails, first = [], [], [], 0
        for head, relation, tail, n_relations in parts:
            heads += [head, tail]
            tails += [tail, head]
            relations += [first + 2 * relation, first + 2 * relation + 1]
            first += 2 * n_relations
        numbers = torch.cat(relations)
        order = torch.argsort(numbers, stable=True)
        counts = torch.bincount(numbers, minlength=first).tolist()
        return cls(torch.cat(heads)[order], numbers[order], torch.cat(tails)[order], n_nodes, tuple(counts))


@dataclass(frozen=True)
class TripleBatch:
    """Triples with a corrupted tail each, all [B] int64, sorted by relation.

    Attributes:
        heads: nodes.
        relations: ascending.
        tails: what is true.
        negatives: what is not known to be true.
        counts: triples of each relation, the same in every batch.
    """

    heads: Tensor
    relations: Tensor
    tails: Tensor
    negatives: Tensor
    counts: tuple[int, ...]


@dataclass(frozen=True)
class TripleSampler:
    """Draws batches of triples, stratified: each relation gives its share of the batch, and at least one triple.

    The sizes of the strata are the same in every batch. So rows of one relation lie together, and its projection
    is one product without a look at the batch (which would make a GPU wait).

    Attributes:
        triples: what is drawn from, with replacement.
        pairs: [T] int64 the number of each triple's (head, relation).
        tails: sampler of tails that the pair does not have.
        relations: [B] int64 of every batch.
        starts: [B] int64 where the triples of these relations begin.
        sizes: [B] int64 how many these are.
        counts: triples of each relation in a batch.
    """

    triples: Triples
    pairs: Tensor
    tails: NegativeSampler
    relations: Tensor
    starts: Tensor
    sizes: Tensor
    counts: tuple[int, ...]

    @classmethod
    def from_triples(cls, triples: Triples, size: int) -> "TripleSampler":
        """Prepares batches of about `size` triples."""
        total, device = len(triples.heads), triples.heads.device
        counts = tuple(max(1, round(size * count / total)) if count else 0 for count in triples.counts)
        keys = triples.relations * triples.n_nodes + triples.heads
        distinct, pairs = torch.unique(keys, return_inverse=True)
        sampler = NegativeSampler.from_pairs(pairs, triples.tails, len(distinct))
        numbers = torch.arange(len(counts), device=device)
        relations = torch.repeat_interleave(
            numbers, torch.tensor(counts, device=device), output_size=sum(counts)
        )
        sizes = torch.tensor(triples.counts, device=device)
        starts = sizes.cumsum(0) - sizes
        return cls(triples, pairs, sampler, relations, starts[relations], sizes[relations], counts)

    def draw(self, generator: torch.Generator) -> TripleBatch:
        """One batch."""
        rows = self.starts + random_below(self.sizes, generator)
        return TripleBatch(
            self.triples.heads[rows],
            self.relations,
            self.triples.tails[rows],
            self.tails.draw(self.pairs[rows], generator),
            self.counts,
        )


def by_relation(rows: Tensor, matrices: Tensor, counts: tuple[int, ...]) -> Tensor:
    """Each row [B, D] times its relation's matrix, `matrices` [R, D, K]; one product a relation, none a row.

    Args:
        rows: sorted by relation.
        matrices: a projection for each relation.
        counts: rows of each relation.
    """
    parts = zip(rows.split_with_sizes(list(counts)), matrices, strict=True)
    return torch.cat([part @ matrix for part, matrix in parts])
