"""Raw content from files to a model that trains on it, and what makes it stale."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from mrs_pipeline.plan import plan
from mrs_pipeline.stored.raw_content import read_raw_content
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import perform, stage_of, stale, task_of

RAW = [
    {"modality": "image", "encoder": "pixels", "size": 16},
    {"modality": "text", "encoder": "tokens", "length": 8, "vocabulary": 256},
]
SETTINGS = {
    "raw": RAW,
    "features": [],
    "models": {
        "end_to_end": {"encoder_width": 16},
        "end_to_end_sasrec": {"encoder_width": 16},
        "sasrec": None,
    },
    "training": {"epochs": 1},
}


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("raw") / "home"
    perform(stage_of(root, **SETTINGS))
    return root


@pytest.fixture
def raw_stage(done: Path) -> Stage:
    return stage_of(done, **SETTINGS)


def test_rows_are_those_of_the_items(raw_stage):
    items = raw_stage.lake.read(raw_stage.table("core", "items"))
    pictures, texts = (read_raw_content(raw_stage, modality) for modality in ("image", "text"))
    assert pictures.values.shape == (len(items), 3, 16, 16)
    assert texts.values.shape == (len(items), 8)
    assert (pictures.present | items["image"].is_null().to_numpy()).all()
    assert not (pictures.present & items["image"].is_null().to_numpy()).any()


def test_models_train_recommend_and_are_measured_on_it(raw_stage):
    for model in SETTINGS["models"]:
        metrics = raw_stage.lake.read(raw_stage.table("eval", "metrics", model=model))
        assert metrics.filter(pl.col("metric") == "recall").height
        assert raw_stage.lake.read(raw_stage.table("serving", "recommendations", model=model)).height
    assert Node.parse("raw_content/image") in task_of(raw_stage, "trained/end_to_end").inputs
    assert Node.parse("raw_content/image") not in task_of(raw_stage, "trained/sasrec").inputs


def test_checks_pass_and_trip(raw_stage, monkeypatch):
    from dataclasses import replace

    from mrs_pipeline.stages import raw_content

    task = task_of(raw_stage, "raw_content/text")
    (outcome,) = task.check(raw_stage, task)
    assert outcome.passed and outcome.blocking
    content = read_raw_content(raw_stage, "text")
    planted = {
        "no item has any content": replace(content, present=np.zeros_like(content.present)),
        "token numbers outside": replace(content, values=np.full_like(content.values, 256)),
        "rows for": replace(content, values=content.values[1:], present=content.present[1:]),
    }
    for told, broken in planted.items():
        monkeypatch.setattr(raw_content, "read_raw_content", lambda *_, broken=broken: broken)
        (outcome,) = task.check(raw_stage, task)
        assert not outcome.passed and told in outcome.description


def test_other_settings_make_it_and_its_models_stale(raw_stage, done):
    assert not stale(raw_stage)
    changed = stage_of(done, **{**SETTINGS, "raw": [{**RAW[0], "size": 8}, RAW[1]]})
    assert stale(changed) == {"raw_content/image"}  # what is below follows once it has been made again


def test_nothing_is_decoded_where_nothing_is_listed():
    assert not [
        task for task in plan(stage_of(Path("nowhere")).config) if task.name.startswith("raw_content")
    ]


def test_a_modality_twice_is_refused():
    with pytest.raises(ValidationError, match="raw: image is listed twice"):
        stage_of(Path("nowhere"), raw=[RAW[0], RAW[0]])
