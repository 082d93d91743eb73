"""Strong generalisation through the stages: users held out whole are ranked for from their histories, above chance."""

from pathlib import Path

import polars as pl
import torch

from mrs_pipeline.plan import plan
from mrs_pipeline.tasks.node import Kind
from mrs_pipeline_tests.stages.working import perform, stage_of, task_of

KINDS = {Kind.RAW, Kind.CORE, Kind.TRAINED, Kind.METRICS}


def test_held_out_users_are_a_slice_ranked_by_their_histories(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    stage = stage_of(
        tmp_path,
        "2024-10",
        source={"reader": "demo", "demo": {"users": 200, "items": 120}},
        features=[],
        models={"ease": None, "bpr_mf": {"embedding_size": 16, "learning_rate": 0.01}, "most_pop": None},
        training={"epochs": 20, "patience": 20},
        split={"held_out_users": 0.3},
    )
    perform(stage, [task.name for task in plan(stage.config) if task.outputs[0].kind in KINDS])
    splits = task_of(stage, "core/splits")
    assert splits.check is not None
    assert all(check.passed for check in splits.check(stage, splits))
    found = {}
    for model in ("ease", "bpr_mf"):
        rows = stage.lake.read(stage.table("eval", "metrics", model=model))
        (row,) = rows.filter(pl.col("slice") == "new users", metric="recall", k=20).to_dicts()
        assert row["ranked_by"] == "history" and row["users"] > 25
        assert row["value"] > row["chance"]
        found[model] = row["users"]
    assert found["ease"] == found["bpr_mf"]
