"""RecBole's `.kg` and `.link` in `mrs init`: the knowledge graph of the dataset, where they speak of its items."""

from pathlib import Path

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.ingest.inspection import inspect_folder
from mrs_pipeline_tests.ingest.layouts.folders import ITEMS, recbole, write

KNOWLEDGE = {"triples": "tiny.kg", "links": "tiny.link"}
TOLD = f"knowledge graph: {ITEMS - 1} triples in tiny.kg, of {ITEMS - 1} items by tiny.link"


def test_both_files_are_the_knowledge_graph(tmp_path: Path) -> None:
    recbole(tmp_path)
    found = inspect_folder(tmp_path)
    assert found.settings["knowledge"] == KNOWLEDGE
    assert TOLD in found.findings and not any("left aside" in line for line in found.findings)
    config = DatasetConfig.model_validate(found.settings)
    assert config.knowledge is not None and config.knowledge.links == "tiny.link"


def test_a_folder_in_the_folder(tmp_path: Path) -> None:
    recbole(tmp_path / "tiny")
    assert inspect_folder(tmp_path).settings["knowledge"] == {
        name: f"tiny/{file}" for name, file in KNOWLEDGE.items()
    }


def test_a_graph_of_other_items_is_left_aside(tmp_path: Path) -> None:
    recbole(tmp_path)
    write(tmp_path, "tiny.link", "artist_id:token\tentity_id:token\nother\tm.1\n")
    found = inspect_folder(tmp_path)
    assert "knowledge" not in found.settings
    assert (
        f"knowledge graph: {ITEMS - 1} triples in tiny.kg, of 0 items by tiny.link; left aside, since it speaks of no "
        "item" in found.findings
    )


def test_a_graph_without_links_is_left_aside(tmp_path: Path) -> None:
    recbole(tmp_path)
    (tmp_path / "tiny.link").unlink()
    found = inspect_folder(tmp_path)
    assert "knowledge" not in found.settings and "left aside: tiny.kg" in found.findings
