"""`mrs init` and `mrs run --models most_pop,ease` on a folder, in this process and without Dagster."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.ingest.inspection import Inspection, Overrides, inspect_folder
from mrs_pipeline.stages.base import Stage
from mrs_pipeline.stages.nodes import RAW_INTERACTIONS, RAW_ITEMS, expand
from mrs_pipeline.stages.plan import plan
from mrs_pipeline.storage.home import Home
from mrs_pipeline.windows import scored_keys

MODELS = ("most_pop", "ease")
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
        window = "full" if path == RAW_ITEMS else None
        table = self.stage.table(*path.split("/"), **keys, **({"window": window} if window else {}))
        return self.stage.lake.read(table)


def run(found: Inspection, home: Path, *, checked: bool = False) -> Ran:
    """Every task up to the metrics of two models, perhaps each with its checks.

    Raises:
        AssertionError: a blocking check fails.
    """
    settings = {**found.settings, "models": {model: {} for model in MODELS}, "features": []}
    config = DatasetConfig.model_validate(settings)
    stage = Stage(config, Home(home), scored_keys(config.window, datetime.now(UTC))[-1])
    wanted = [task for task in plan(config) if task.group != "report" and not task.name.startswith("report")]
    for task in wanted:
        if not task.windowed:
            places = [Stage(config, stage.home)]
        elif task.name == RAW_INTERACTIONS:
            core = next(each for each in wanted if each.name == "core/tables")
            places = [stage.at(node.partition("@")[2]) for node in expand(stage, core, RAW_INTERACTIONS)]
        else:
            places = [stage]
        for place in places:
            task.run(place, task)
            outcomes = task.check(place, task) if checked and task.check else []
            failed = [outcome.description for outcome in outcomes if outcome.blocking and not outcome.passed]
            assert not failed, (task.name, failed)
    return Ran(stage)
