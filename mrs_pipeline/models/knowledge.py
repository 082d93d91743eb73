"""A knowledge graph as models receive it: numbers checked, on one device."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mrs_pipeline.errors import InputError
from mrs_pipeline.types import IntArray, KnowledgeGraph


@dataclass(frozen=True)
class KnowledgeTensors:
    """A `KnowledgeGraph` on a device, each triple once.

    Attributes:
        heads: [T] int64 entities; the items are entities 0..I-1.
        relations: [T] int64.
        tails: [T] int64 entities.
        n_entities: items included.
        n_relations: R.
    """

    heads: Tensor
    relations: Tensor
    tails: Tensor
    n_entities: int
    n_relations: int

    @classmethod
    def from_graph(cls, graph: KnowledgeGraph, n_items: int, device: torch.device) -> "KnowledgeTensors":
        """Each triple once, in order, without those that join an entity to itself.

        Raises:
            InputError: a number is no entity or relation of the graph.
        """
        ends = np.concatenate([graph.heads, graph.tails])
        if graph.n_entities < n_items or _outside(ends, graph.n_entities):
            raise InputError(
                f"the knowledge graph names entities outside 0..{graph.n_entities - 1} or has fewer than the "
                f"dataset's {n_items} items; build it again for this catalogue"
            )
        if _outside(graph.relations, graph.n_relations):
            raise InputError(
                f"the knowledge graph names relations outside 0..{graph.n_relations - 1}; build it again"
            )
        triples = np.unique(np.stack([graph.heads, graph.relations, graph.tails], axis=1), axis=0)
        triples = triples[triples[:, 0] != triples[:, 2]]
        heads, relations, tails = (torch.from_numpy(column.copy()).to(device) for column in triples.T)
        return cls(heads, relations, tails, graph.n_entities, graph.n_relations)

    def named(self) -> Tensor:
        """[n_entities] bool: entities that a triple names."""
        return torch.bincount(torch.cat([self.heads, self.tails]), minlength=self.n_entities) > 0


def _outside(numbers: IntArray, count: int) -> bool:
    return len(numbers) > 0 and (int(numbers.min()) < 0 or int(numbers.max()) >= count)
