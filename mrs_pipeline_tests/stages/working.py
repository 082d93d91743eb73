"""The stages at work without Dagster: a plan's tasks run in their order, on a home that is only a folder."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.plan import on_request, plan
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.currency import is_current, keep_version, provenance_of, refuse_stale
from mrs_pipeline.tasks.lineage import record_outcomes
from mrs_pipeline.tasks.node import RAW_INTERACTIONS, REPORT
from mrs_pipeline.tasks.places import expand
from mrs_pipeline.tasks.task import Outcome, Stage, Task

WINDOW = "2024-06"

TINY: Mapping[str, Any] = {
    "name": "tiny",
    "source": {"reader": "demo", "demo": {"users": 60, "items": 60}},
    "window": {"every": "month", "start": "2024-01", "end": "2025-02", "score_from": "2024-05"},
    "interactions": {"min_rating": 3, "k_core": 2},
    "features": [
        {"modality": "text", "encoder": "tfidf_svd", "dimensions": 8},
        {"modality": "image", "encoder": "color_gradient"},
    ],
    "models": {"most_pop": None, "bpr_mf": None, "freedom": None},
    "training": {"epochs": 2, "patience": 2},
}
"""Sixty listeners and sixty records; two windows after the last row."""


def stage_of(root: Path, at: str = WINDOW, /, **changed: Any) -> Stage:
    """The tiny dataset below a folder, perhaps with other settings."""
    return Stage(DatasetConfig.model_validate({**TINY, **changed}), Home(root), at)


def task_of(stage: Stage, name: str) -> Task:
    """One task of the stage's plan, or of what is made on request."""
    tasks = [*plan(stage.config), *on_request(stage.config)]
    return next(task for task in tasks if task.name == name)


def perform(stage: Stage, names: Sequence[str] | None = None, run: str | None = None) -> dict[str, Outcome]:
    """Run tasks of the plan (all if None) in its order, raw interactions for the whole history; output -> outcome.

    With the name of a run, lineage is recorded too.
    The report is left to the tests that go through Dagster: it shows checks, which nobody has run here.
    """
    tasks = [task for task in plan(stage.config) if REPORT not in task.outputs]
    tasks += [task for task in on_request(stage.config) if names is not None and task.name in names]
    by_output = {output: task for task in tasks for output in task.outputs}
    done: dict[str, Outcome] = {}
    for task in tasks:
        if names is not None and task.name not in names:
            continue
        for place in _stages(stage, task):
            if task.windowed:
                refuse_stale(place, task, by_output)
            keep_version(place, task)
            made = task.run(place, task, provenance_of(place, task))
            if run is not None:
                record_outcomes(place, task, list(made), run)
            shown = task.show(place, task) if task.show else {}
            done |= {
                str(outcome.node.asset): replace(outcome, facts={**outcome.facts, **shown})
                for outcome in made
            }
    return done


def stale(stage: Stage) -> set[str]:
    """Names of the tasks whose results are not what they would be made from now."""
    return {
        task.name
        for task in plan(stage.config)
        if REPORT not in task.outputs and not all(is_current(place, task) for place in _stages(stage, task))
    }


def copied(root: Path, to: Path) -> Path:
    """A home elsewhere, with the times of its files."""
    shutil.copytree(root, to)
    return to


def _stages(stage: Stage, task: Task) -> list[Stage]:
    if not task.windowed:
        return [Stage(stage.config, stage.home)]
    if RAW_INTERACTIONS not in task.outputs:
        return [stage]
    nodes = expand(stage, task_of(stage, "core/tables"), RAW_INTERACTIONS)
    return [stage.at(str(node.window)) for node in nodes]
