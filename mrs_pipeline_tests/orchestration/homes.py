"""Small homes for tests: made in a temporary folder, entered as the command line enters one."""

import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import torch
import yaml

from mrs_pipeline.orchestration import assets
from mrs_pipeline.orchestration.home import make_home
from mrs_pipeline.orchestration.keys import asset_key, output_of
from mrs_pipeline.orchestration.launch import run_dataset
from mrs_pipeline.orchestration.project import Project, load_project
from mrs_pipeline.plan import plan
from mrs_pipeline.reporting import drawing
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.task import Outcome, Stage, Task
from mrs_pipeline.training.checkpoint import CheckpointFile, RunState

WINDOW = "2024-06"
"""The window that tests look at; five lie before it."""
HISTORY = tuple(f"2024-{month:02}" for month in range(1, 6))

TINY: Mapping[str, Any] = {
    "name": "tiny",
    "source": {"reader": "demo", "demo": {"users": 60, "items": 60}},
    "window": {"every": "month", "start": "2024-01", "end": "2024-12", "score_from": "2024-05"},
    "interactions": {"min_rating": 3, "k_core": 2},
    "features": [
        {"modality": "text", "encoder": "tfidf_svd", "dimensions": 8},
        {"modality": "image", "encoder": "color_gradient"},
    ],
    "models": {"most_pop": None, "ease": None, "bpr_mf": {}, "lightgcn": None, "freedom": None},
    "training": {"epochs": 2, "patience": 2},
}
"""Sixty listeners and sixty records, every stage of the pipeline, two epochs."""

BARE: Mapping[str, Any] = {**TINY, "features": [], "models": {"most_pop": None}}
"""The same data with the one model that needs neither features nor training."""


def make(root: Path, *datasets: Mapping[str, Any]) -> Home:
    """A home with these datasets and no other."""
    make_home(root)
    shutil.rmtree(root / "defs" / "demo")
    for attributes in datasets:
        describe(root, attributes)
    return Home(root.resolve())


def describe(root: Path, attributes: Mapping[str, Any]) -> Path:
    """Write one dataset's `defs.yaml`."""
    path = root / "defs" / attributes["name"] / "defs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    component = {"type": "mrs_pipeline.orchestration.Dataset", "attributes": dict(attributes)}
    path.write_text(yaml.safe_dump(component, sort_keys=False), encoding="utf-8")
    return path


def copied(home: Home, root: Path) -> Home:
    """The same home elsewhere, with the times of its files, so that what is current there is current here."""
    shutil.copytree(home.root, root)
    return Home(root.resolve())


@contextmanager
def entered(home: Home) -> Iterator[None]:
    """Work in a home. A process has one home for life; here what was imported from it is forgotten again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MRS_HOME", str(home.root))
        patch.setenv("DAGSTER_HOME", str(home.root))
        patch.chdir(home.root)  # dagster.yaml names its folders relative to the home
        patch.setattr(sys, "path", [str(home.root), *sys.path])
        _forget()
        try:
            yield
        finally:
            _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "defs"]:
        del sys.modules[name]


def run(
    home: Home,
    windows: Sequence[str] = (WINDOW,),
    *,
    dataset: str = "tiny",
    models: Sequence[str] | None = None,
    force: bool = False,
) -> list[str]:
    """Run a dataset as `mrs run` does; its lines."""
    with entered(home):
        return list(run_dataset(load_project(home), dataset, windows, models, force))


def process(home: Home, window: str, at: float = 0.0, dies_after: str | None = None) -> BaseProcess:
    """A process of its own that runs the dataset for a window, from the moment `at` on; not started yet.

    With `dies_after` it is killed (SIGKILL) when that task (`raw/interactions@2024-02`: at that window) has made its
    outputs, before lineage is told; `checkpoint/MODEL`: when the second checkpoint of its training is written. It is
    forked from a server that has imported the libraries once, as the steps of `dagster dev` are.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mrs_pipeline.orchestration.launch", "great_expectations", "matplotlib"])
    return context.Process(target=_work, args=(home.root, window, at, dies_after))


def _work(root: Path, window: str, at: float, dies_after: str | None) -> None:
    torch.set_num_threads(1)
    setattr(drawing, "svg", lambda figure, name: "<svg></svg>")  # noqa: B010 - drawing costs seconds, no part of this
    if dies_after is not None and dies_after.startswith("checkpoint/"):
        _die_after_checkpoint(dies_after.removeprefix("checkpoint/"), 2)
    elif dies_after is not None:
        assets.record_outcomes = unrecorded(dies_after, _die)
    time.sleep(max(0.0, at - time.time()))
    run(Home(root), [window])


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_after_checkpoint(model: str, number: int) -> None:
    """Kill this process when so many checkpoints of a model have been written."""
    write, written = CheckpointFile.write, 0

    def fatal(self: CheckpointFile, state: RunState) -> None:
        nonlocal written
        write(self, state)
        written += model in self.directory.parts
        if written == number:
            _die()

    setattr(CheckpointFile, "write", fatal)  # noqa: B010 - this process ends with it


def unrecorded(name: str, fault: Callable[[], None]) -> Callable[..., None]:
    """`record_outcomes` with a fault in its place after one task, whose outputs are stored by then."""
    record = assets.record_outcomes

    def faulty(stage: Stage, task: Task, outcomes: list[Outcome], run: str) -> None:
        if name in (task.name, f"{task.name}@{stage.window}"):
            fault()
        record(stage, task, outcomes, run)

    return faulty


def key(output: str, dataset: str = "tiny") -> dg.AssetKey:
    """What Dagster calls an output, such as `core/items`."""
    return asset_key(dataset, Node.parse(output))


def text(key: dg.AssetKey) -> str:
    """The dataset and the output of a key: `tiny/core/items`."""
    dataset, output = output_of(key)
    return f"{dataset}/{output}"


def load(home: Home) -> Project:
    """The home's datasets as the command line loads them, with their definitions, which belong to the home."""
    with entered(home):
        project = load_project(home)
        assert project.definitions
        return project


def stage_of(home: Home, window: str = WINDOW, dataset: str = "tiny") -> Stage:
    """A dataset of the home at a window."""
    with entered(home):
        return Stage(load_project(home).config(dataset), home, window)


def task_of(stage: Stage, name: str) -> Task:
    """One task of the stage's dataset."""
    return next(task for task in plan(stage.config) if task.name == name)


def environment(home: Home) -> dict[str, str]:
    """Environment of a process that works in the home, on one core."""
    package = Path(__file__).resolve().parents[2]
    paths = os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "MRS_HOME": str(home.root), "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
