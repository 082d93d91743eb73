"""What a stage is made of: where it works (`Stage`), what it does (`Task`), what it leaves (`Outcome`).

A task is one materialisation described as data: what it reads, what it makes, which code and settings decide the
result. Dagster's assets, the freshness rule and lineage all derive from the same description, so nothing is listed
twice. No Dagster here (that is `orchestration`), and no work: each stage's own file does that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.schema import FULL_WINDOW
from mrs_pipeline.storage.artifacts import ArtifactStore
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake, Table


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
    def models(self) -> ArtifactStore:
        """Trained weights."""
        return ArtifactStore(self.home.models)

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
        node: its name, e.g. `core/items` or `raw/interactions@2015`.
        digest: digest of the content, the data version.
        facts: what a person wants to know: numbers, sentences, Polars frames (shown as tables), PNG bytes (shown as
            pictures).
        columns: column -> DuckDB type, for tables.
    """

    node: str
    digest: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckSpec:
    """A check that guards an output. A blocking one stops all that is downstream."""

    name: str
    output: str
    description: str
    blocking: bool = True


@dataclass(frozen=True)
class CheckOutcome:
    """How a check ended, with the rows or numbers that show why."""

    name: str
    output: str
    passed: bool
    blocking: bool
    description: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """One materialisation as data.

    Attributes:
        name: unique in a dataset, `<stage>/<what>`.
        outputs: names of what it makes; each is an asset.
        inputs: names of what it reads; each is an output of another task.
        files: what it reads outside the stores: `source`, `media/<modality>`, `matrix/<name>`,
            `triples/<file>`, `model/<feature set>` or `network/<modality>`.
        run: does the work for one window; `version` is what it stamps on its outputs.
        code: modules (below `mrs_pipeline`) whose source decides the result.
        settings: the part of the dataset's settings that decides the result, as JSON.
        group: box in the asset graph.
        description: a sentence or two for the UI.
        windowed: whether it has one result a window; otherwise one for the dataset.
        check_specs / check: the guards of its outputs.
        keep: whether what a killed run made, but could not record, is kept by the run that goes on, since making it is
            dear. Such an output must be the last thing that `run` writes.
    """

    name: str
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    run: Callable[["Stage", "Task"], Sequence[Outcome]]
    code: tuple[str, ...]
    settings: str
    group: str
    description: str
    files: tuple[str, ...] = ()
    windowed: bool = True
    tags: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    pool: str | None = None
    check_specs: tuple[CheckSpec, ...] = ()
    check: Callable[["Stage", "Task"], Sequence[CheckOutcome]] | None = None
    keep: bool = False
