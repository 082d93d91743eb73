"""Each stage's check, run on what the stage left (it passes) and on a planted fault (it fails and says why)."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file

from mrs_pipeline.encoders.store import MATRIX
from mrs_pipeline.plan import plan
from mrs_pipeline.storage.lake import Table
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import CheckOutcome, Stage
from mrs_pipeline_tests.stages.working import perform, stage_of, task_of

Fault = Callable[[pl.DataFrame], pl.DataFrame]


def _checked(stage: Stage, name: str) -> dict[tuple[str, str], CheckOutcome]:
    task = task_of(stage, name)
    assert task.check is not None
    place = stage if task.windowed else Stage(stage.config, stage.home)
    return {(str(found.output), found.name): found for found in task.check(place, task)}


def _tamper(stage: Stage, table: Table, fault: Fault) -> None:
    """Put a faulty table in a good one's place, with its provenance."""
    manifest = stage.lake.manifest(table)
    stage.lake.write_frame(table, fault(stage.lake.read(table)), manifest.provenance)


def _first(column: str, value: object) -> Fault:
    """The first row's value becomes another."""

    def fault(frame: pl.DataFrame) -> pl.DataFrame:
        kind = frame.schema[column]
        chosen = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(value, dtype=kind)).otherwise(column)
        return frame.with_columns(chosen.alias(column))

    return fault


def _every(column: str, value: object) -> Fault:
    """All rows get one value."""
    return lambda frame: frame.with_columns(pl.lit(value, dtype=frame.schema[column]).alias(column))


def _twice(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame.head(1), frame])


def _not_a_number(frame: pl.DataFrame) -> pl.DataFrame:
    broken = pl.Series([[float("nan")] * len(frame["vector"].drop_nulls()[0])], dtype=pl.List(pl.Float32))
    return frame.with_columns(vector=pl.when("present").then(broken.first()).otherwise(None))


def test_what_the_stages_leave_passes_every_blocking_check(worked_stage: Stage) -> None:
    outcomes = [
        found
        for task in plan(worked_stage.config)
        if task.check is not None
        for found in _checked(worked_stage, task.name).values()
    ]
    assert [found.description for found in outcomes if found.blocking and not found.passed] == []
    assert {found.output for found in outcomes} == {
        spec.output for task in plan(worked_stage.config) for spec in task.check_specs
    }


@pytest.fixture
def worked_stage(worked: Path) -> Stage:
    return stage_of(worked)


@pytest.mark.parametrize(
    ("task", "output", "fault", "sentence"),
    [
        ("raw/interactions", "raw/interactions", _every("timestamp", datetime(1969, 1, 1)), "after 1970"),
        ("raw/interactions", "raw/interactions", _every("timestamp", datetime(2999, 1, 1)), "in the past"),
        ("raw/interactions", "raw/interactions", _first("rating", 1e13), "ordinary numbers"),
        ("raw/items", "raw/items", _twice, "item"),
        ("core/tables", "core/users", _twice, "user"),
        ("core/tables", "core/items", _first("item_id", None), "item"),
        ("core/tables", "core/interactions", _twice, "no user has an item twice"),
        ("core/tables", "core/interactions", _first("rating", 1.0), "every rating counts as liking"),
        ("core/tables", "core/quarantine", lambda frame: frame.tail(frame.height - 1), "every raw row"),
        ("core/splits", "core/splits", _first("split", "tset"), "labels are train, valid or test"),
        ("core/splits", "core/splits", _twice, ""),
        ("recommendations/bpr_mf", "recommendations/bpr_mf", _first("item", 10_000), "item"),
        (
            "metrics/bpr_mf",
            "metrics/bpr_mf",
            _first("value", 1.5),
            "every metric lies in its range: 1 of 70 rows, e.g. recall = 1.5",
        ),
        (
            "eval/leaderboard",
            "eval/leaderboard",
            lambda frame: frame.with_columns(rank=pl.col("rank").reverse()),
            "no model stands above a better one",
        ),
        ("features/text_tfidf_svd", "features/text_tfidf_svd", _not_a_number, "finite"),
    ],
)
def test_a_planted_fault_is_found(stage: Stage, task: str, output: str, fault: Fault, sentence: str) -> None:
    place = stage if task_of(stage, task).windowed else Stage(stage.config, stage.home)
    table = (
        stage.table("features", output.partition("/")[2])
        if output.startswith("features/")
        else table_of(place, Node.parse(output))
    )
    _tamper(place, table, fault)
    found = _checked(stage, task)[output, "expectations"]
    assert not found.passed
    assert found.blocking
    assert found.description.startswith("broken: ")
    assert sentence in found.description


def test_a_fault_elsewhere_is_not_blamed_on_the_other_tables(stage: Stage) -> None:
    _tamper(stage, stage.table("core", "users"), _twice)
    found = _checked(stage, "core/tables")
    assert not found["core/users", "expectations"].passed
    assert found["core/quarantine", "expectations"].passed


def test_weights_that_are_not_finite_are_warned_of(stage: Stage) -> None:
    path = next(stage.home.models.glob("tiny/*/bpr_mf/*/seed=1/*.safetensors"))
    tensors = load_file(path)
    name = sorted(tensors)[0]
    tensors[name].ravel()[3] = np.nan
    save_file(tensors, path)
    found = _checked(stage, "trained/bpr_mf")["trained/bpr_mf", "finite"]
    assert not found.passed
    assert not found.blocking
    assert f"not finite: seed=1/{name}" in found.description
    assert _checked(stage, "trained/most_pop")["trained/most_pop", "finite"].passed


def test_a_model_that_popularity_beats_is_warned_of(stage: Stage) -> None:
    table = stage.table("models", "runs", model="bpr_mf")
    for score, passed in ((0.0, False), (1.0, True)):
        _tamper(stage, table, lambda frame, score=score: frame.with_columns(best_score=pl.lit(score)))
        found = _checked(stage, "trained/bpr_mf")["trained/bpr_mf", "beats_popularity"]
        assert found.passed is passed
        assert not found.blocking
        assert found.facts["model"] == score
        assert 0 < found.facts["popularity"] < 1
    assert _checked(stage, "trained/most_pop")["trained/most_pop", "beats_popularity"].passed


def test_the_floor_is_what_popularity_scores(stage: Stage) -> None:
    """The check's own number agrees with the trained popularity model's."""
    runs = stage.lake.read(stage.table("models", "runs", model="most_pop"))
    found = _checked(stage, "trained/bpr_mf")["trained/bpr_mf", "beats_popularity"]
    assert found.facts["popularity"] == pytest.approx(runs["best_score"][0])


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (lambda values: np.repeat(values[:1], len(values), axis=0), "of the vectors repeat another"),
        (lambda values: np.outer(np.linalg.norm(values, axis=1), np.eye(values.shape[1])[0]), "dimensions"),
        (lambda values: np.vstack([values[:1] * 1e4, values[1:]]), "times the shortest"),
        (lambda values: values * 0.01 + 1.0, "any two items are alike"),
    ],
)
def test_weak_features_are_warned_of(
    stage: Stage, fault: Callable[[np.ndarray], np.ndarray], sentence: str
) -> None:
    directory = stage.features.read("tiny", stage.window, "text_tfidf_svd").directory
    values = np.load(directory / MATRIX, allow_pickle=False)
    np.save(directory / MATRIX, fault(values).astype(values.dtype), allow_pickle=False)
    found = _checked(stage, "features/text_tfidf_svd")["features/text_tfidf_svd", "signal"]
    assert not found.passed
    assert not found.blocking
    assert sentence in found.description


def test_good_features_are_not_warned_of(worked_stage: Stage) -> None:
    for name in ("text_tfidf_svd", "image_color_gradient"):
        assert _checked(worked_stage, f"features/{name}")[f"features/{name}", "signal"].passed


def test_failed_media_are_listed_with_their_reason(stage: Stage) -> None:
    images = sorted((stage.home.root / "data/raw/demo/images").glob("*.jpg"))
    items = stage.lake.read(stage.table("core", "items"))
    used = set(items["image"].drop_nulls())
    broken = next(image for image in images if f"images/{image.name}" in used)
    broken.write_bytes(b"no picture")
    perform(stage, ["features/image_color_gradient"])
    failed = stage.lake.read(stage.table("quality", "failed_media", feature_set="image_color_gradient"))
    assert failed.height == 1
    assert broken.stem in str(failed.row(0))
    assert not list(stage.home.features.rglob(".partial/*"))
