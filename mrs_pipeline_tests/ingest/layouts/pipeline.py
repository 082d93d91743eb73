"""`mrs init` and `mrs run --models most_pop,ease` on a folder, in this process and without Dagster."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.ingest.inspection import Inspection, Overrides, inspect_folder
from mrs_pipeline.plan import plan
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.node import Kind
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.windows import scored_keys
from mrs_pipeline_tests.stages.working import perform

MODELS = ("most_pop", "ease")
UP_TO_METRICS = {Kind.RAW, Kind.CORE, Kind.TRAINED, Kind.METRICS}
ASKED = {"triples": Overrides(reader="triples")}
"""What has to be said where a layout leaves a choice."""


def inspected(folder: Path, layout: str, home: Path | None = None) -> Inspection:
    """What `mrs init` says, with an option only where the layout has no signature of its own."""
    return inspect_folder(folder, ASKED.get(layout), home)


@dataclass(frozen=True)
class Ran:
    """A dataset that was run to its metrics: the tables of its last window."""

    stage: Stage

    def table(self, path: str, **keys: str) -> pl.DataFrame:
        schema, name = path.split("/")
        return self.stage.lake.read(self.stage.table(schema, name, **keys))


def run(found: Inspection, home: Path) -> Ran:
    """What the metrics of two models are made from, on no features, as `mrs run --models most_pop,ease` makes it."""
    settings = {**found.settings, "models": {model: {} for model in MODELS}, "features": []}
    config = DatasetConfig.model_validate(settings)
    stage = Stage(config, Home(home), scored_keys(config.window, datetime.now(UTC))[-1])
    perform(stage, [t.name for t in plan(config) if {node.kind for node in t.outputs} <= UP_TO_METRICS])
    return Ran(stage)
