"""What a stage is made of: where it works (`Stage`), what it does (`Task`), what it leaves (`Outcome`).

A task is one materialisation described as data: what it reads, what it makes, which code and settings decide the
result. Dagster's assets, the rule of currency and lineage all derive from the same description, so nothing is listed
twice. No Dagster here (that is `orchestration`), and no work: each stage's own file does that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mrs_pipeline.code import Root
from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.schema import FULL_WINDOW
from mrs_pipeline.storage.artifacts import ArtifactStore
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake, Table
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.tasks.node import External, Node


@dataclass(frozen=True)
class Stage:
    """One dataset and one window, and the stores that its results live in."""

    config: DatasetConfig
    home: Home
    window: str = FULL_WINDOW

    @cached_property
    def lake(self) -> Lake:
        """The Parquet tables."""
        return Lake(self.home.lake)

    @cached_property
    def features(self) -> ArtifactStore:
        """Feature matrices."""
        return ArtifactStore(self.home.features)

    @cached_property
    def graphs(self) -> ArtifactStore:
        """Graphs of items and of users."""
        return ArtifactStore(self.home.graphs)

    @cached_property
    def pretrained(self) -> ArtifactStore:
        """Item vectors of pretrainings."""
        return ArtifactStore(self.home.pretrained)

    @cached_property
    def raw_content(self) -> ArtifactStore:
        """Decoded pictures and tokens."""
        return ArtifactStore(self.home.raw_content)

    @cached_property
    def tokens(self) -> ArtifactStore:
        """Regions of pictures and words of texts."""
        return ArtifactStore(self.home.tokens)

    @cached_property
    def models(self) -> ArtifactStore:
        """Trained weights."""
        return ArtifactStore(self.home.models)

    @cached_property
    def final(self) -> ArtifactStore:
        """Weights of models trained again on all of the history."""
        return ArtifactStore(self.home.final)

    @cached_property
    def indexes(self) -> ArtifactStore:
        """Indexes of item vectors."""
        return ArtifactStore(self.home.indexes)

    def table(self, schema: str, name: str, *, window: str | None = None, **keys: str) -> Table:
        """The partition of a table that belongs to this dataset and window."""
        return Table.of(schema, name, dataset=self.config.name, window=window or self.window, **keys)

    def at(self, window: str) -> "Stage":
        """The same dataset at another window."""
        return Stage(self.config, self.home, window)


@dataclass(frozen=True)
class Outcome:
    """What one materialisation left behind.

    Attributes:
        node: what was made.
        digest: digest of the content, the data version.
        facts: what a person wants to know: numbers, sentences, Polars frames (shown as tables), PNG bytes (shown as
            pictures).
        columns: column -> DuckDB type, for tables.
        made: whether it was made now; False for what was current and left as it was.
    """

    node: Node
    digest: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    made: bool = True


@dataclass(frozen=True)
class CheckSpec:
    """A check that guards an output. A blocking one stops all that is downstream."""

    name: str
    output: Node
    description: str
    blocking: bool = True


@dataclass(frozen=True)
class CheckOutcome:
    """How a check ended, with the rows or numbers that show why."""

    name: str
    output: Node
    passed: bool
    blocking: bool
    description: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """One materialisation as data.

    Attributes:
        outputs: what it makes; each is an asset.
        inputs: what it reads; each is an output of another task.
        where_there: those of its inputs that it does without where they have not been made.
        goes_on_from: an output of the window before that it begins from, with what that was made of, where it was made
            by the same code and settings (`tasks.currency.why_afresh`); None where a window stands by itself.
        files: what it reads outside the stores.
        run: does the work for one window, and stamps the provenance that it is given on its outputs.
        uses: what `run` finds by name and not by import, such as the model's class: functions, classes or
            "module:Name". The code of a task is all that `run` and these reach (`tasks.currency`).
        settings: the part of the dataset's settings that decides the result, as JSON values by name.
        show: facts for people that are drawn from what is stored; its code decides no result.
        group: box in the asset graph.
        description: a sentence or two for the UI.
        windowed: whether it has one result a window; otherwise one for the dataset.
        check_specs / check: the guards of its outputs.
        keep: whether what a killed run made, but could not record, is kept by the run that goes on, since making it is
            dear. Such an output must be the last thing that `run` writes.
    """

    outputs: tuple[Node, ...]
    inputs: tuple[Node, ...]
    run: Callable[["Stage", "Task", Provenance], Sequence[Outcome]]
    settings: Mapping[str, Any]
    group: str
    description: str
    uses: tuple[Root, ...] = ()
    where_there: frozenset[Node] = frozenset()
    goes_on_from: Node | None = None
    files: tuple[External, ...] = ()
    show: Callable[["Stage", "Task"], Mapping[str, Any]] | None = None
    windowed: bool = True
    tags: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    pool: str | None = None
    check_specs: tuple[CheckSpec, ...] = ()
    check: Callable[["Stage", "Task"], Sequence[CheckOutcome]] | None = None
    keep: bool = False

    @property
    def name(self) -> str:
        """Unique in a dataset: its output's text, or `<kind>/tables` for several tables."""
        return str(self.outputs[0]) if len(self.outputs) == 1 else f"{self.outputs[0].kind}/tables"

    @property
    def subject(self) -> str:
        """What a task of its kind is about: the model, the feature set, the modality."""
        return self.outputs[0].name
