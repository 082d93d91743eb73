"""The knowledge graph as an asset: built for its window, checked, read back for models, fresh when its input is."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.stored.knowledge import read_knowledge
from mrs_pipeline.stored.training_data import training_data
from mrs_pipeline.tasks.node import KNOWLEDGE_GRAPH
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import CheckOutcome, Stage
from mrs_pipeline_tests.stages.working import perform, stage_of, stale, task_of

USERS, ITEMS = 30, 24
TO_GRAPH = ["raw/items", "raw/interactions", "core/tables", str(KNOWLEDGE_GRAPH)]
SHOP: dict[str, Any] = {
    "source": {"path": "shop"},
    "window": {"every": "none"},
    "interactions": {},
    "features": [],
    "models": {"most_pop": None, "kgat": {"layer_sizes": [8]}},
    "split": {"strategy": "random", "valid": 0.1, "test": 0.1},
    "training": {"epochs": 1},
    "knowledge": {"attributes": {"kind": "genre"}},
}


def shop(root: Path, **changed: Any) -> Stage:
    rng = np.random.default_rng(0)
    folder = root / "shop"
    folder.mkdir(parents=True, exist_ok=True)
    taken = [(f"u{user}", f"i{item:02}") for user in range(USERS) for item in rng.permutation(ITEMS)[:10]]
    pl.DataFrame(taken, schema=["user_id", "item_id"], orient="row").write_csv(folder / "interactions.csv")
    # the last two items and an item that nobody took: in the catalogue, with a genre
    items = pl.DataFrame({"item_id": [f"i{item:02}" for item in range(ITEMS + 1)]})
    genres = [f"g{item % 3}|all" if item < ITEMS - 2 else None for item in range(ITEMS)] + ["all"]
    items.with_columns(genre=pl.Series(genres)).write_csv(folder / "items.csv")
    return stage_of(root, "full", **{**SHOP, **changed})


def checked(stage: Stage) -> dict[str, CheckOutcome]:
    task = task_of(stage, str(KNOWLEDGE_GRAPH))
    assert task.check is not None
    return {found.name: found for found in task.check(stage, task)}


def test_the_graph_is_a_table_with_facts_and_comes_back_as_it_was(tmp_path: Path) -> None:
    stage = shop(tmp_path)
    outcome = perform(stage, TO_GRAPH)[str(KNOWLEDGE_GRAPH)]
    table = stage.lake.read(stage.table("core", "knowledge"))
    assert outcome.facts["triples"] == table.height == 2 * (ITEMS - 2) + 1
    assert outcome.facts["items without any triple"] == 2
    assert outcome.facts["other entities"] == 4
    assert outcome.facts["triples by relation"].rows() == [("kind", table.height, ITEMS - 1, 4)]
    graph = read_knowledge(stage)
    assert (graph.n_entities, graph.n_relations, len(graph)) == (ITEMS + 1 + 4, 1, table.height)
    assert graph.relation_names == ("kind",)
    names = set(zip(table["head_name"], table["tail_name"], strict=True))
    assert names == {
        (graph.entity_names[head], graph.entity_names[tail])
        for head, tail in zip(graph.heads, graph.tails, strict=True)
    }
    assert checked(stage)["expectations"].passed
    assert checked(stage)["coverage"].passed
    assert "core" in str(table_of(stage, KNOWLEDGE_GRAPH))


def test_triples_from_a_file_follow_the_file(tmp_path: Path) -> None:
    stage = shop(tmp_path, knowledge={"triples": "kg.csv"})
    lines = [f"i{item:02},by,maker {item % 2}" for item in range(6)]
    lines += ["maker 0,from,Here", "i00,by,maker 0", "i24,by,maker 1"]
    (tmp_path / "shop" / "kg.csv").write_text("\n".join(["head,relation,tail", *lines]) + "\n")
    facts = perform(stage, TO_GRAPH)[str(KNOWLEDGE_GRAPH)].facts
    assert (facts["lines read"], facts["triples"], facts["items without any triple"]) == (9, 8, ITEMS + 1 - 7)
    graph = read_knowledge(stage)
    assert graph.entity_names[ITEMS:] == (
        "i24",
        "Here",
        "maker 0",
        "maker 1",
    )  # nobody took i24, the last item
    thin = checked(stage)["coverage"]
    assert not thin.passed and not thin.blocking
    assert "28% of the items" in thin.description
    assert str(KNOWLEDGE_GRAPH) not in stale(stage)
    (tmp_path / "shop" / "kg.csv").write_text("head,relation,tail\ni00,by,maker 0\ni01,by,maker 0\n")
    assert str(KNOWLEDGE_GRAPH) in stale(stage)


def test_a_model_gets_the_graph_and_only_one_that_asks(tmp_path: Path) -> None:
    stage = shop(tmp_path)
    perform(stage, [*TO_GRAPH, "core/splits", "trained/kgat", "recommendations/kgat"])
    assert training_data(stage, MODELS["kgat"].spec).knowledge is not None
    assert training_data(stage, MODELS["most_pop"].spec).knowledge is None
    assert KNOWLEDGE_GRAPH in task_of(stage, "trained/kgat").inputs
    assert KNOWLEDGE_GRAPH not in task_of(stage, "trained/most_pop").inputs
    assert stage.lake.read(stage.table("serving", "recommendations", model="kgat")).height


def test_a_model_waits_for_the_graph(tmp_path: Path) -> None:
    stage = shop(tmp_path)
    with pytest.raises(InputError, match=r"core/knowledge .* has not been written yet"):
        perform(stage, [*TO_GRAPH[:-1], "core/splits", "trained/kgat"])


def test_settings_refuse_a_model_without_its_graph(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="kgat needs a knowledge graph .* add a `knowledge:` section"):
        shop(tmp_path, knowledge=None)


def test_a_planted_fault_blocks(tmp_path: Path) -> None:
    stage = shop(tmp_path)
    perform(stage, TO_GRAPH)
    table = stage.table("core", "knowledge")
    manifest, good = stage.lake.manifest(table), stage.lake.read(table)
    for fault, sentence in (
        (good.head(0), "the graph is not empty"),
        (pl.concat([good, good.tail(1)]), "no triple stands there twice"),
        (good.with_columns(head=pl.col("head") + 1), "is that item of core.items"),
    ):
        stage.lake.write_frame(table, fault, manifest.provenance)
        found = checked(stage)["expectations"]
        assert not found.passed and found.blocking
        assert sentence in found.description


def test_recbole_files_make_the_graph_and_a_changed_link_makes_it_due(tmp_path: Path) -> None:
    """Items are entities by the links alone: entity i00 of the triples is not item i00."""
    kg = "head_id:token\trelation_id:token\ttail_id:token\n"
    triples = [(f"m.{item}", "genre", f"g.{item % 3}") for item in range(ITEMS - 2)] + [
        ("i00", "near", "m.1")
    ]
    links = [(f"i{item:02}", f"m.{item}") for item in range(ITEMS)]
    stage = shop(tmp_path, knowledge={"triples": "shop.kg", "links": "shop.link"})
    folder = tmp_path / "shop"
    (folder / "shop.kg").write_text(kg + "".join("\t".join(row) + "\n" for row in triples))
    (folder / "shop.link").write_text(
        "item_id:token\tentity_id:token\n" + "".join("\t".join(row) + "\n" for row in links)
    )
    outcome = perform(stage, TO_GRAPH)[str(KNOWLEDGE_GRAPH)]
    table = stage.lake.read(stage.table("core", "knowledge"))
    assert all(found.passed for found in checked(stage).values())
    assert outcome.facts["items without any triple"] == 3  # two by the triples, and the one that nobody took
    assert outcome.facts["other entities"] == 4  # three genres and the entity that is called like an item
    near = table.row(by_predicate=pl.col("relation_name") == "near", named=True)
    assert near["head_name"] == "i00" and near["head"] > ITEMS
    assert near["tail_name"] == "i01" and near["tail"] < ITEMS
    assert str(KNOWLEDGE_GRAPH) not in stale(stage)
    (folder / "shop.link").write_text("item_id:token\tentity_id:token\ni01\tm.1\n")
    assert str(KNOWLEDGE_GRAPH) in stale(stage)
