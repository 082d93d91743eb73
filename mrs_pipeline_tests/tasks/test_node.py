"""Nodes and the text that they are written as."""

import pytest

from mrs_pipeline.tasks.node import CORE_ITEMS, RAW_INTERACTIONS, External, Files, Kind, Node


@pytest.mark.parametrize(
    "text", ["core/items", "raw/interactions@2024-01", "trained/vbpr@full", "eval/report"]
)
def test_text_and_back(text: str) -> None:
    assert str(Node.parse(text)) == text


def test_parts() -> None:
    node = Node.parse("raw/interactions@2024-01")
    assert node == Node(Kind.RAW, "interactions", "2024-01") == RAW_INTERACTIONS.at("2024-01")
    assert node.asset == RAW_INTERACTIONS
    assert CORE_ITEMS.window is None


@pytest.mark.parametrize("text", ["items", "nothing/items", "core/"])
def test_what_is_no_node(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no node|is not a valid Kind"):
        Node.parse(text)


def test_files_outside_the_stores() -> None:
    assert str(External(Files.MEDIA, "image")) == "media/image"
    assert str(External(Files.SOURCE)) == "source"
