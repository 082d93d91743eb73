"""A few items of a real pack, with all that was said about them and their media."""

import shutil
from pathlib import Path
from typing import Any

import polars as pl

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.task import CheckOutcome, Stage
from mrs_pipeline_tests.stages.working import task_of


def reduce_pack(pack: Path, into: Path, medium: str, n_items: int) -> Path:
    """Copy the `n_items` items with the most interactions among those that have the medium."""
    interactions = pl.read_csv(pack / "interactions.csv")
    items = pl.read_csv(pack / "items.csv", infer_schema_length=None)
    counts = interactions.group_by("item_id").len()
    chosen = (
        items.filter(pl.col(medium).is_not_null() & pl.col("description").is_not_null())
        .join(counts, on="item_id")
        .sort("len", "item_id", descending=[True, False])
        .head(n_items)
        .drop("len")
    )
    into.mkdir()
    chosen.write_csv(into / "items.csv")
    interactions.join(chosen.select("item_id"), on="item_id").write_csv(into / "interactions.csv")
    for path in chosen[medium]:
        (into / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pack / path, into / path)
    return into


def stage_for(root: Path, source: Path, **settings: Any) -> Stage:
    """A dataset without windows on a reduced pack."""
    shared = {
        "name": "reduced",
        "source": {"path": str(source)},
        "interactions": {"min_rating": 4, "k_core": 2},
        "split": {"strategy": "random", "valid": 0.1, "test": 0.1, "seed": 1},
        "training": {"epochs": 2, "patience": 2},
    }
    return Stage(DatasetConfig.model_validate({**shared, **settings}), Home(root))


def checked(stage: Stage, name: str) -> dict[str, CheckOutcome]:
    """The outcomes of a task's checks by name."""
    task = task_of(stage, name)
    assert task.check is not None
    return {outcome.name: outcome for outcome in task.check(stage, task)}
