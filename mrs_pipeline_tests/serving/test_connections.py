"""Paths through a knowledge graph from a history to the shown item, against paths that were planted."""

from dataclasses import replace

import numpy as np
import pytest

from mrs_pipeline.serving.bundle import Bundle
from mrs_pipeline.serving.connections import connections
from mrs_pipeline.serving.explaining import explanation, sentence
from mrs_pipeline.types import KnowledgeGraph

RELATIONS = ("genre", "made by", "sequel of")


def known(bundle: Bundle, triples: list[tuple[int, int, int]], entities: tuple[str, ...]) -> Bundle:
    """A model to which the triples (head, relation, tail) are known; entities follow the items."""
    heads, relations, tails = (np.array(column, np.int64) for column in zip(*triples, strict=True))
    names = (*bundle.shelf.ids, *entities)
    graph = KnowledgeGraph(heads, relations, tails, len(names), len(RELATIONS), names, RELATIONS)
    return replace(bundle, data=replace(bundle.data, knowledge=graph))


def test_the_rarest_entity_comes_first_with_the_latest_item_that_meets_the_shown_one_there(
    vbpr: Bundle,
) -> None:
    n = len(vbpr.shelf)
    rock, berlin, lonely = n, n + 1, n + 2
    triples = [(item, 0, rock) for item in range(10)]  # of ten items, 1 and 2 of the history among them
    triples += [(0, 1, berlin), (berlin, 1, 1), (0, 0, lonely), (2, 2, 0)]
    bundle = known(vbpr, triples, ("rock", "Berlin", "lonely"))
    found = connections(bundle, np.array([2, 1, 30]), 0)
    ids = vbpr.shelf.ids
    assert [(each.item_id, each.relation, each.entity, each.joins) for each in found] == [
        (ids[1], "made by", "Berlin", 2),
        (ids[2], "sequel of", None, 2),
        (ids[1], "genre", "rock", 10),
    ]
    title = vbpr.shelf.titles[1]
    assert str(found[0]) == f"{title} (made by: Berlin, of 2 items)"
    assert connections(bundle, np.array([30]), 0) == []
    assert connections(bundle, np.array([0]), 0) == [], "the shown item itself is no evidence"


def test_explanations_name_the_paths_of_models_that_read_knowledge(vbpr: Bundle) -> None:
    user = next(name for name, number in vbpr.users.items() if len(vbpr.history_of(number)) > 2)
    taken = int(vbpr.history_of(vbpr.users[user])[0])
    shown = next(item for item in range(len(vbpr.shelf)) if item != taken and vbpr.rankable[item])
    bundle = known(vbpr, [(taken, 0, len(vbpr.shelf)), (shown, 1, len(vbpr.shelf))], ("Kraut",))
    found = explanation(bundle, vbpr.shelf.ids[shown], user=user)
    (path,) = found.known
    assert (path.item_id, path.relation, path.shown_relation) == (vbpr.shelf.ids[taken], "genre", "made by")
    assert "(genre / made by: Kraut, of 2 items)" in sentence(found)
    plain = explanation(vbpr, vbpr.shelf.ids[shown], user=user)
    assert plain.known == [] and "knowledge graph" not in sentence(plain)
    assert plain.paths == pytest.approx(found.paths)
