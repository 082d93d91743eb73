"""A window that goes on from the one before: what is read then, when it is due, and what is said where it cannot."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.stored import earlier as earlier_window
from mrs_pipeline.stored.earlier import compared_windows
from mrs_pipeline.stored.features import read_features
from mrs_pipeline.stored.training_data import interactions, training_data
from mrs_pipeline.tasks.currency import provenance_of, upstream, why_stale
from mrs_pipeline.tasks.node import Kind, Node
from mrs_pipeline.tasks.places import record, store_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.tasks.tracing import trace
from mrs_pipeline_tests.stages.working import WINDOW, copied, perform, stage_of, task_of

BEFORE = "2024-05"
SETTINGS: dict[str, Any] = {
    "features": [{"modality": "image", "encoder": "color_gradient"}],
    "models": {"bpr_mf": {"embedding_size": 8}, "vbpr": {"embedding_size": 8}, "ease": None},
    "training": {"epochs": 2, "patience": 2, "warm_start": True},
}
TABLES = ["core/tables", "core/splits", "features/image_color_gradient"]
TRAINED = [f"trained/{name}" for name in SETTINGS["models"]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two windows in a row, the second from the first."""
    stage = stage_of(tmp_path_factory.mktemp("warm") / "home", **SETTINGS)
    perform(stage, ["raw/interactions", "raw/items"], run="raw")
    perform(stage.at(BEFORE), [*TABLES, *TRAINED], run="first")
    perform(stage, TABLES, run="tables")
    return stage.home.root


@pytest.fixture
def stage(root: Path, tmp_path: Path) -> Stage:
    return stage_of(copied(root, tmp_path / "home"), **SETTINGS)


def _ids(stage: Stage, table: str) -> list[str]:
    return stage.lake.read(stage.table("core", f"{table}s"))[f"{table}_id"].to_list()


def _seen(stage: Stage, table: str) -> set[str]:
    rows, ids = interactions(stage, "train"), _ids(stage, table)
    return {ids[number] for number in np.unique(rows.users if table == "user" else rows.items)}


def test_it_begins_from_the_window_before_and_says_so(stage: Stage) -> None:
    made = perform(stage, [*TRAINED, "final/vbpr"], run="second")
    for name in ("trained/bpr_mf", "trained/vbpr", "final/vbpr"):
        facts = made[name].facts
        assert facts["began from"] == f"window {BEFORE}" and facts["tensors begun afresh"] == "none"
        read = record(stage, Node.parse(name))[1].upstream
        start = str(Node(Kind.TRAINED, name.partition("/")[2], BEFORE))
        assert {start, f"core/users@{BEFORE}", f"core/items@{BEFORE}", f"core/splits@{BEFORE}"} <= set(read)
        assert read[start] == record(stage.at(BEFORE), Node.parse(start).asset)[0]
    facts = made["trained/vbpr"].facts
    for table in ("user", "item"):
        new = _seen(stage, table) - _seen(stage.at(BEFORE), table)
        assert facts[f"new rows of {table}s"] == len(new) > 0
    assert facts["new rows of items from content"] == facts["new rows of items"]
    assert made["trained/bpr_mf"].facts["new rows of items from content"] == 0
    assert "began from" not in task_of(stage, "trained/ease").settings
    assert made["trained/ease"].facts["began from"] == "scratch: ease is solved in closed form"
    origin = trace(stage.lake, "tiny", "trained/vbpr", WINDOW)
    (earlier,) = [each for each in origin.inputs if each.name == "trained/vbpr"]
    assert earlier.made is not None and (earlier.made.window, earlier.made.run) == (BEFORE, "first")


def test_it_is_due_when_the_window_before_changes_and_only_then(stage: Stage) -> None:
    task, earlier = task_of(stage, "trained/bpr_mf"), stage.at(BEFORE)
    perform(stage, ["trained/bpr_mf"], run="second")
    assert why_stale(stage, task) == []
    perform(earlier, ["trained/bpr_mf"], run="again")  # the same bits
    assert why_stale(stage, task) == []
    store, keys = store_of(earlier, Node(Kind.TRAINED, "bpr_mf"))
    with store.writing(*keys, provenance=store.read(*keys).provenance, facts={}) as folder:
        (folder / "other").write_text("weights")
    assert why_stale(stage, task) == [f"its input trained/bpr_mf@{BEFORE} changed"]
    store.discard(*keys)
    assert f"its input trained/bpr_mf@{BEFORE} is gone" in why_stale(stage, task)


def test_without_a_window_before_it_begins_from_scratch_and_is_due_when_there_is_one(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    earlier = stage.at(BEFORE)
    store, keys = store_of(earlier, Node(Kind.TRAINED, "bpr_mf"))
    store.discard(*keys)
    with caplog.at_level(logging.INFO, logger="mrs_pipeline"):
        made = perform(stage, ["trained/bpr_mf"], run="second")["trained/bpr_mf"]
    reason = f"scratch: trained/bpr_mf@{BEFORE} has not been made"
    assert made.facts["began from"] == reason
    assert sum("begins from scratch" in line for line in caplog.messages) == 1
    plain = stage_of(stage.home.root, **{**SETTINGS, "training": {"epochs": 2, "patience": 2}})
    again = perform(plain, ["trained/bpr_mf"])["trained/bpr_mf"]
    assert again.digest == made.digest and "began from" not in again.facts
    perform(stage, ["trained/bpr_mf"], run="second")
    perform(earlier, ["trained/bpr_mf"], run="late")
    reasons = why_stale(stage, task_of(stage, "trained/bpr_mf"))
    assert f"its input trained/bpr_mf@{BEFORE} is new" in reasons


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"models": {"bpr_mf": {"embedding_size": 6}}}, "was made by other code or with other settings"),
        ({"seeds": [2]}, "was made by other code or with other settings"),
    ],
)
def test_other_settings_begin_from_scratch(stage: Stage, changed: dict[str, Any], reason: str) -> None:
    other = stage_of(stage.home.root, **{**SETTINGS, **changed})
    made = perform(other, ["trained/bpr_mf"])["trained/bpr_mf"]
    assert made.facts["began from"] == f"scratch: trained/bpr_mf@{BEFORE} {reason}"
    assert not any("@" in name for name in provenance_of(other, task_of(other, "trained/bpr_mf")).upstream)


def test_tables_of_the_window_before_that_changed_since_are_not_its_numbers(stage: Stage) -> None:
    earlier = stage.at(BEFORE)
    table = earlier.table("core", "users")
    rows = earlier.lake.read(table)
    earlier.lake.write_frame(
        table, rows.with_columns(pl.col("user_id").reverse()), earlier.lake.manifest(table).provenance
    )
    made = perform(stage, ["trained/bpr_mf"])["trained/bpr_mf"]
    assert made.facts["began from"] == (
        f"scratch: core/users of window {BEFORE} changed since trained/bpr_mf was made"
    )
    assert not any("@" in name for name in upstream(stage, task_of(stage, "trained/bpr_mf")))


def test_features_that_describe_the_same_items_otherwise_are_noticed(stage: Stage) -> None:
    earlier, spec = stage.at(BEFORE), MODELS["vbpr"].spec
    data = training_data(stage, spec)
    found = compared_windows(stage, earlier, spec, data)
    assert not isinstance(found, str)
    node = Node(Kind.FEATURES, "image_color_gradient")
    store, keys = store_of(earlier, node)
    before = store.read(*keys)
    files = {path.name: path.read_bytes() for path in before.directory.iterdir() if path.is_file()}
    values = np.array(read_features(earlier, node.name).values)
    with store.writing(*keys, provenance=before.provenance, facts=before.facts) as folder:
        for name, content in files.items():
            if name != "matrix.npy" and not name.startswith("artifact"):
                (folder / name).write_bytes(content)
        np.save(folder / "matrix.npy", values[:, ::-1])
    told = compared_windows(stage, earlier, spec, data)
    assert told == f"image_color_gradient describes the same items otherwise than in window {BEFORE}"
    assert not isinstance(
        compared_windows(stage, earlier, MODELS["bpr_mf"].spec, training_data(stage, MODELS["bpr_mf"].spec)),
        str,
    )


def test_validation_rows_that_the_start_has_learned_are_counted(stage: Stage) -> None:
    earlier, spec = stage.at(BEFORE), MODELS["bpr_mf"].spec
    data = training_data(stage, spec)
    plain = compared_windows(stage, earlier, spec, data)
    assert not isinstance(plain, str)
    table = earlier.table("core", "splits")
    rows, items, users = earlier.lake.read(table), _ids(earlier, "item"), _ids(earlier, "user")
    valid = data.valid
    pairs = {
        (users.index(_ids(stage, "user")[u]), items.index(_ids(stage, "item")[i]))
        for u, i in zip(valid.users.tolist(), valid.items.tolist(), strict=True)
        if _ids(stage, "user")[u] in users and _ids(stage, "item")[i] in items
    }
    learned = pl.DataFrame(sorted(pairs), schema=["user", "item"], orient="row").with_columns(
        pl.lit(rows["timestamp"].min()).alias("timestamp"), pl.lit("train").alias("split")
    )
    added = learned.select(rows.columns).cast(dict(rows.schema))
    earlier.lake.write_frame(table, pl.concat([rows, added]), earlier.lake.manifest(table).provenance)
    found = compared_windows(stage, earlier, spec, data)
    assert not isinstance(found, str)
    assert found.known_validation == len(pairs) > plain.known_validation


def test_it_needs_windows() -> None:
    settings = {"name": "flat", "source": {"reader": "demo"}, "training": {"warm_start": True}}
    with pytest.raises(ValueError, match="set window.every, or leave it out"):
        DatasetConfig.model_validate(settings)
    with pytest.raises(ValueError, match="set window.every, or leave it out"):
        DatasetConfig.model_validate(
            {**settings, "training": {}, "model_training": {"bpr_mf": {"warm_start": True}}}
        )


def test_as_many_users_as_items_cannot_be_told_apart(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier_window, "_former", lambda *_: np.arange(5))
    monkeypatch.setattr(earlier_window, "_trained", lambda *_: np.ones(5, np.bool_))
    monkeypatch.setattr(earlier_window, "_unlike", lambda *_: iter(()))
    made = perform(stage, ["trained/bpr_mf"])["trained/bpr_mf"]
    assert made.facts["began from"] == (
        "scratch: there are as many users as items in both windows, so that their rows cannot be told apart"
    )
