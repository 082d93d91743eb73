"""The pictures of the structure are drawn by right rules; whether the files are newest is for people to see."""

import importlib.util
from pathlib import Path
from types import ModuleType

import networkx as nx
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "draw_structure.py"


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_structure", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


IMPORTS = nx.DiGraph(
    [
        ("shop", "till"),
        ("till", "coins"),
        ("shop", "coins"),
        ("shop", "stock"),
        ("stock", "coins"),
        ("side", "coins"),
    ]
)


def test_layers_follow_the_longest_way_down(drawing):
    assert drawing.layers_of(IMPORTS) == [["coins"], ["stock", "till"], ["shop", "side"]]


def test_arrows_that_others_imply_are_left_out(drawing):
    kept = {("shop", "till"), ("till", "coins"), ("shop", "stock"), ("stock", "coins"), ("side", "coins")}
    assert set(drawing.drawn_arrows(IMPORTS).edges) == kept


def test_long_arrows_bend_at_every_layer_that_they_pass(drawing):
    arrows, layers = drawing.routed(drawing.drawn_arrows(IMPORTS), drawing.layers_of(IMPORTS))
    assert layers == [["coins"], ["stock", "till", "coins@1"], ["shop", "side"]]
    assert ("side", "coins@1") in arrows.edges
    assert ("coins@1", "coins") in arrows.edges
    assert ("side", "coins") not in arrows.edges


def test_a_circle_is_one_layer_and_all_its_arrows_are_drawn(drawing):
    circle = nx.DiGraph([("one", "two"), ("two", "one"), ("top", "one"), ("two", "ground")])
    assert drawing.layers_of(circle) == [["ground"], ["one", "two"], ["top"]]
    assert {("one", "two"), ("two", "one")} <= set(drawing.drawn_arrows(circle).edges)


def test_rooms_of_the_package_are_counted_and_form_no_circle(drawing):
    rooms, imports = drawing.structure(SCRIPT.parents[1])
    assert rooms["errors"].files == 1
    assert rooms["orchestration"].kind == "imports Dagster"
    assert rooms["models"].kind == "imports torch"
    assert ("stages", "storage") in imports.edges
    assert nx.is_directed_acyclic_graph(imports)
