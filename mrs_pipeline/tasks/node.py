"""Names of what the pipeline makes: a kind, a name, and the window that it belongs to.

The text of a node is its asset's name in the UI, in SQL and in lineage: `core/items`, `raw/interactions@2024-01`.
It is composed and taken apart here only.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What sort of thing a node is; the first part of its text."""

    RAW = "raw"
    CORE = "core"
    FEATURES = "features"
    TOKENS = "tokens"
    QUALITY = "quality"
    GRAPHS = "graphs"
    PRETRAINED = "pretrained"
    RAW_CONTENT = "raw_content"
    TRAINED = "trained"
    FINAL = "final"
    VECTORS = "vectors"
    INDEX = "index"
    RECOMMENDATIONS = "recommendations"
    METRICS = "metrics"
    EXPERIMENTS = "experiments"
    EVAL = "eval"


@dataclass(frozen=True)
class Node:
    """Something that a task makes.

    Attributes:
        kind: what sort of thing it is.
        name: which one: a table, a feature set, a model.
        window: the window that it belongs to; None stands for the window of the stage that asks.
    """

    kind: Kind
    name: str
    window: str | None = None

    @property
    def asset(self) -> "Node":
        """The same without a window."""
        return self if self.window is None else replace(self, window=None)

    def at(self, window: str) -> "Node":
        """The same at a window."""
        return replace(self, window=window)

    def __str__(self) -> str:
        text = f"{self.kind}/{self.name}"
        return text if self.window is None else f"{text}@{self.window}"

    @classmethod
    def parse(cls, text: str) -> "Node":
        """The node of a text; ValueError where it is none."""
        asset, _, window = text.partition("@")
        kind, _, name = asset.partition("/")
        if not name:
            raise ValueError(f"{text!r} is no node: write kind/name or kind/name@window")
        return cls(Kind(kind), name, window or None)


class Files(StrEnum):
    """What a task may read outside the stores."""

    SOURCE = "source"
    """All files of interactions and items."""
    MEDIA = "media"
    """The media of one modality; without a name, only which media there are."""
    MATRIX = "matrix"
    """A ready matrix."""
    TRIPLES = "triples"
    """A file of triples."""
    WEIGHTS = "weights"
    """The pretrained weights of a feature set's encoder."""
    NETWORK = "network"
    """The pretrained weights of a network that is trained further, by modality."""


@dataclass(frozen=True)
class External:
    """Files that a task reads outside the stores.

    Attributes:
        kind: what sort of files.
        name: which: a modality, a matrix, a path, a feature set; empty for the source as a whole.
    """

    kind: Files
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}" if self.name else str(self.kind)


RAW_INTERACTIONS: Final = Node(Kind.RAW, "interactions")
RAW_ITEMS: Final = Node(Kind.RAW, "items")
CORE_USERS: Final = Node(Kind.CORE, "users")
CORE_ITEMS: Final = Node(Kind.CORE, "items")
CORE_INTERACTIONS: Final = Node(Kind.CORE, "interactions")
QUARANTINE: Final = Node(Kind.CORE, "quarantine")
CORE: Final = (CORE_USERS, CORE_ITEMS, CORE_INTERACTIONS, QUARANTINE)
SPLITS: Final = Node(Kind.CORE, "splits")
KNOWLEDGE_GRAPH: Final = Node(Kind.GRAPHS, "knowledge")
"""Kept as a table, `core.knowledge`, so that SQL can follow it; the other graphs are arrays."""
USER_GRAPH: Final = Node(Kind.GRAPHS, "users")
"""Beside the graphs of feature sets, whose names begin with a modality."""
LEADERBOARD: Final = Node(Kind.EVAL, "leaderboard")
REPORT: Final = Node(Kind.EVAL, "report")
