"""Datasets without windows: each split strategy from a folder of files, and what does not matter about the files."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.tasks.node import SPLITS, Node
from mrs_pipeline.tasks.places import record
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import perform, stage_of

USERS, ITEMS = 30, 60
TO_SPLITS = ["raw/items", "raw/interactions", "core/tables", "core/splits"]
SHOP: dict[str, Any] = {
    "source": {"path": "shop"},
    "window": {"every": "none"},
    "interactions": {},
    "features": [],
    "models": {"most_pop": None},
}


def _log(seed: int = 0) -> pl.DataFrame:
    """Every user with eight items; the given split tests the last, validates the one before."""
    rng = np.random.default_rng(seed)
    items = np.stack([rng.permutation(ITEMS)[:8] for _ in range(USERS)])
    return pl.DataFrame(
        {
            "user_id": [f"u{user:02}" for user in range(USERS) for _ in range(8)],
            "item_id": [f"i{item:02}" for item in items.ravel()],
            "timestamp": [1_700_000_000 + 86_400 * step + user for user in range(USERS) for step in range(8)],
            "split": [*["train"] * 6, "valid", "test"] * USERS,
        }
    )


def _shop(root: Path, log: pl.DataFrame, **changed: Any) -> Stage:
    folder = root / "shop"
    folder.mkdir(parents=True, exist_ok=True)
    log.write_csv(folder / "interactions.csv")
    pl.DataFrame({"item_id": [f"i{item:02}" for item in range(ITEMS)]}).write_csv(folder / "items.csv")
    return stage_of(root, "full", **{**SHOP, **changed})


def _splits(stage: Stage) -> pl.DataFrame:
    named = stage.lake.read(stage.table("core", "interactions")).select("user", "item", "user_id", "item_id")
    return stage.lake.read(stage.table("core", "splits")).join(named, on=["user", "item"])


def test_the_given_split_is_taken_as_it_is(tmp_path: Path) -> None:
    log = _log()
    stage = _shop(tmp_path, log, split={"strategy": "given"})
    perform(stage, TO_SPLITS)
    found = _splits(stage).select("user_id", "item_id", "split").sort("user_id", "item_id")
    assert found.equals(log.select("user_id", "item_id", "split").sort("user_id", "item_id"))


def test_a_given_split_must_be_given(tmp_path: Path) -> None:
    stage = _shop(tmp_path, _log().drop("split"), split={"strategy": "given"})
    with pytest.raises(InputError, match="strategy given needs a column 'split'"):
        perform(stage, TO_SPLITS)
    assert not stage.lake.exists(stage.table("core", "splits"))


def test_random_shares_of_each_user(tmp_path: Path) -> None:
    stage = _shop(tmp_path, _log(), split={"strategy": "random", "valid": 0.125, "test": 0.25})
    facts = perform(stage, TO_SPLITS)["core/splits"].facts
    counts = _splits(stage).group_by("user", "split").len()
    assert {split: set(part["len"]) for (split,), part in counts.group_by("split")} == {
        "train": {5},
        "valid": {1},
        "test": {2},
    }
    assert facts["realised ratios"] == {"train": 0.625, "valid": 0.125, "test": 0.25}


def test_another_seed_draws_another_split(tmp_path: Path) -> None:
    digests = set()
    for seed in (1, 1, 2):
        stage = _shop(tmp_path, _log(), split={"strategy": "random", "seed": seed})
        perform(stage, TO_SPLITS)
        digests.add(record(stage, SPLITS)[0])
    assert len(digests) == 2


def test_leave_one_out_tests_the_last_row(tmp_path: Path) -> None:
    stage = _shop(tmp_path, _log(), split={"strategy": "leave_one_out"})
    perform(stage, TO_SPLITS)
    ordered = _splits(stage).sort("user", "timestamp")
    assert all(
        part["split"].to_list() == [*["train"] * 6, "valid", "test"] for _, part in ordered.group_by("user")
    )


def test_global_time_cuts_at_moments(tmp_path: Path) -> None:
    stage = _shop(tmp_path, _log(), split={"strategy": "global_time", "valid": 0.1, "test": 0.2})
    perform(stage, TO_SPLITS)
    spans = {name: part["timestamp"] for (name,), part in _splits(stage).group_by("split")}
    assert spans["train"].max() < spans["valid"].min()
    assert spans["valid"].max() < spans["test"].min()


@pytest.mark.parametrize("strategy", ["random", "leave_one_out", "given"])
def test_the_order_of_the_source_does_not_matter(tmp_path: Path, strategy: str) -> None:
    stages = [
        _shop(tmp_path / name, log, split={"strategy": strategy})
        for name, log in (("a", _log()), ("b", _log().sample(fraction=1, shuffle=True, seed=3)))
    ]
    for stage in stages:
        perform(stage, TO_SPLITS)
    for node in ("core/users", "core/items", "core/splits"):
        assert record(stages[0], Node.parse(node))[0] == record(stages[1], Node.parse(node))[0], node


def test_strangers_are_quarantined_with_their_reason(tmp_path: Path) -> None:
    stranger = _log().head(1).with_columns(item_id=pl.lit("not in the catalogue"))
    stage = _shop(tmp_path, pl.concat([_log(), stranger]), split={"strategy": "random"})
    perform(stage, TO_SPLITS)
    rejected = stage.lake.read(stage.table("core", "quarantine"))
    assert rejected.select("item_id", "reason", "source_row").rows() == [
        ("not in the catalogue", "unknown item", USERS * 8 + 1)
    ]


def test_from_files_to_a_leaderboard(tmp_path: Path) -> None:
    stage = _shop(tmp_path, _log(), split={"strategy": "given"}, evaluation={"exclude": "train"})
    done = perform(stage)
    board = done["eval/leaderboard"].facts["leaderboard"]
    assert board["window"].to_list() == ["full"]
    metrics = stage.lake.read(stage.table("eval", "metrics", model="most_pop"))
    assert "excluded: train;" in metrics["protocol"][0]
    assert "split: given" in metrics["protocol"][0]
