"""Paths through the knowledge graph from what somebody took to what is shown: evidence, no share of a score.

A path is one triple (the taken item and the shown one are joined) or two that meet in an entity (both are of one
director). An entity that joins few items says more than one that joins many, so the rarest come first.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mrs_pipeline.serving.bundle import Bundle
from mrs_pipeline.types import IntArray

MOST_PATHS = 3
"""Paths that an explanation names."""


@dataclass(frozen=True)
class Connection:
    """A path from a taken item to the shown one.

    Attributes:
        item_id: of the history.
        title: its title.
        relation: of the triple that the taken item stands in.
        entity: where the two triples meet; None where one triple joins the items.
        shown_relation: of the triple that the shown item stands in.
        joins: how many items the entity is joined to; 2 where one triple joins the items.
    """

    item_id: str
    title: str | None
    relation: str
    entity: str | None
    shown_relation: str
    joins: int

    def __str__(self) -> str:
        name = self.title or self.item_id
        if self.entity is None:
            return f"{name} ({self.relation})"
        relations = " / ".join(dict.fromkeys((self.relation, self.shown_relation)))
        return f"{name} ({relations}: {self.entity}, of {self.joins} items)"


@dataclass(frozen=True, eq=False)
class _Neighbours:
    """The triples of every entity, seen from it: `others[starts[e]:starts[e + 1]]`, relations likewise."""

    starts: IntArray
    others: IntArray
    relations: IntArray

    def of(self, entity: int) -> tuple[IntArray, IntArray]:
        """(entities, relations) that one is joined to."""
        part = slice(self.starts[entity], self.starts[entity + 1])
        return self.others[part], self.relations[part]


def connections(bundle: Bundle, taken: IntArray, item: int) -> list[Connection]:
    """What joins the items of a history with the shown one, rarest first; nothing where the model reads no knowledge.

    Args:
        bundle: the model.
        taken: [n] the history, oldest first; of several items that meet the shown one in the same entity the latest is
            named.
        item: what is shown.
    """
    knowledge = bundle.data.knowledge
    if knowledge is None:
        return []
    graph, n_items = _neighbours(bundle), len(bundle.shelf)
    when = np.full(knowledge.n_entities, -1)
    when[taken] = np.arange(len(taken))
    when[item] = -1
    found: dict[int, tuple[int, int, Connection]] = {}
    for entity, shown_relation in zip(*(part.tolist() for part in graph.of(item)), strict=True):
        if entity < n_items:
            meeting, relations, joins = np.array([entity]), np.array([shown_relation]), 2
        else:
            meeting, relations = graph.of(entity)
            joins = len(np.unique(meeting[meeting < n_items]))
        latest = int(np.argmax(when[meeting]))
        other = int(meeting[latest])
        if when[other] < 0 or entity in found:
            continue
        path = Connection(
            item_id=bundle.shelf.ids[other],
            title=bundle.shelf.titles[other],
            relation=knowledge.relation_names[int(relations[latest])],
            entity=None if entity < n_items else knowledge.entity_names[entity],
            shown_relation=knowledge.relation_names[shown_relation],
            joins=joins,
        )
        found[entity] = joins, -int(when[other]), path
    return [found[entity][2] for entity in sorted(found, key=lambda each: found[each][:2])[:MOST_PATHS]]


@lru_cache(maxsize=2)
def _neighbours(bundle: Bundle) -> _Neighbours:
    knowledge = bundle.data.knowledge
    assert knowledge is not None
    ends = np.concatenate([knowledge.heads, knowledge.tails])
    order = np.argsort(ends, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=knowledge.n_entities))])
    others = np.concatenate([knowledge.tails, knowledge.heads])[order]
    return _Neighbours(starts.astype(np.int64), others, np.tile(knowledge.relations, 2)[order])
