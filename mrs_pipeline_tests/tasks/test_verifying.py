"""What is stored and no longer what was written is named, refused before training, and made again."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.storage.artifacts import MANIFEST
from mrs_pipeline.storage.pages import write_page
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.trained import load_trained
from mrs_pipeline.stored.training_data import training_data
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.tasks.verifying import Verified, verify
from mrs_pipeline.training.checkpoint import CHECKPOINT, CheckpointFile, RunState
from mrs_pipeline_tests.stages.working import perform, stale


def _verify(stage: Stage, *, discard: bool = False) -> Verified:
    return verify(stage.home, {"tiny": stage.config}, discard=discard)


def _flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def _part(stage: Stage, table: str) -> Path:
    return next(
        path for path in stage.home.lake.glob(f"{table}/**/part.parquet") if stage.window in str(path)
    )


def _matrix(stage: Stage) -> Path:
    return next(stage.home.features.glob("tiny/*/text_tfidf_svd/*/matrix.npy"))


def _weights(stage: Stage) -> Path:
    return next(stage.home.models.glob("tiny/*/bpr_mf/*/seed=1/*.safetensors"))


def test_what_has_just_been_made_is_what_was_written(stage: Stage) -> None:
    found = _verify(stage)
    assert found.faults == ()
    assert found.looked_at > 30
    assert verify(stage.home, {}, "another").looked_at == 0


def test_every_flipped_byte_of_a_table_is_found(stage: Stage) -> None:
    """Anywhere in the file, its manifest included: none of sixty is read as other data without a word."""
    path = _part(stage, "core/splits")
    content = path.read_bytes()
    chance = random.Random(7)
    for place in chance.sample(range(len(content)), 60):
        _flip(path, place)
        faults = _verify(stage).faults
        assert [(fault.dataset, fault.window) for fault in faults] == [("tiny", stage.window)], place
        assert "core/splits" in faults[0].what
        assert faults[0].remedy == f"mrs run tiny --window {stage.window}"
        path.write_bytes(content)


@pytest.mark.parametrize("place", [100, -50])
def test_damaged_arrays_and_weights_are_found(stage: Stage, place: int) -> None:
    _flip(_matrix(stage), place)
    _flip(_weights(stage), place)
    assert {fault.what for fault in _verify(stage).faults} == {"features/text_tfidf_svd", "models/bpr_mf"}


def test_what_is_cut_short_or_gone_is_found(stage: Stage) -> None:
    _matrix(stage).write_bytes(_matrix(stage).read_bytes()[:200])
    _weights(stage).unlink()
    manifest = next(stage.home.graphs.glob(f"tiny/*/image_color_gradient/{MANIFEST}"))
    manifest.write_text("{")
    found = {fault.what: fault.reason for fault in _verify(stage).faults}
    assert found["features/text_tfidf_svd"] == "is not what was written"
    assert found["models/bpr_mf"] == "is not what was written"
    assert found["graphs/image_color_gradient"].startswith("has no readable manifest")


def test_pages_and_checkpoints_are_looked_at(stage: Stage) -> None:
    page = stage.home.reports / "tiny" / "report.html"
    write_page(page, "<html>", Provenance("v"))
    folder, other = (
        root / "tiny" / stage.window / "bpr_mf" / "resume" / "seed=1"
        for root in (stage.home.models, stage.home.final)
    )
    state = RunState(
        {"w": torch.ones(3)}, {"w": torch.ones(3)}, {}, torch.Generator().get_state(), {"epoch": 1}
    )
    CheckpointFile(folder, "f").write(state)
    CheckpointFile(other, "f").write(state)
    assert _verify(stage).faults == ()
    page.write_text("<html><body>")
    _flip(folder / CHECKPOINT, -4)
    _flip(other / CHECKPOINT, -4)
    found = {fault.what: fault.reason for fault in _verify(stage).faults}
    assert found == {
        "page report.html": "is not what was written",
        "checkpoint of models/bpr_mf, seed=1": "is not what was written",
        "checkpoint of final/bpr_mf, seed=1": "is not what was written",
    }
    assert CheckpointFile(folder, "f").read(torch.device("cpu")) is None


def test_discarding_leaves_the_damaged_due_and_nothing_else(stage: Stage) -> None:
    _flip(_matrix(stage), -50)
    _flip(_part(stage, "core/splits"), 400)
    assert stale(stage) == set()  # recorded digests are as they were
    assert len(_verify(stage, discard=True).faults) == 2
    before = json.loads(next(stage.home.graphs.glob(f"tiny/*/text_tfidf_svd/{MANIFEST}")).read_text())
    assert {"features/text_tfidf_svd", "core/splits"} <= stale(stage)
    perform(stage, ["features/text_tfidf_svd", "core/splits"])
    assert stale(stage) == set()  # the same content again: nothing below is due
    assert _verify(stage).faults == ()
    assert json.loads(next(stage.home.graphs.glob(f"tiny/*/text_tfidf_svd/{MANIFEST}")).read_text()) == before


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda stage: _flip(_part(stage, "core/splits"), 400), "core/splits"),
        (lambda stage: _flip(_matrix(stage), -50), "features/text_tfidf_svd"),
    ],
)
def test_nothing_is_trained_on_damaged_inputs(stage: Stage, damage: object, named: str) -> None:
    damage(stage)  # type: ignore[operator]
    with pytest.raises(
        InputError, match=f"{named} of tiny .* run `mrs verify tiny --discard`, then `mrs run tiny"
    ):
        training_data(stage, MODELS["freedom"].spec)


def test_damaged_weights_are_refused_by_name(stage: Stage) -> None:
    data = training_data(stage, MODELS["bpr_mf"].spec)
    load_trained(stage, "bpr_mf", 1, data)
    _flip(_weights(stage), -50)
    with pytest.raises(InputError, match="trained/bpr_mf of tiny .* is not what was written"):
        load_trained(stage, "bpr_mf", 1, data)


def test_a_damaged_matrix_is_made_again_and_none_of_its_rows_taken_over(stage: Stage) -> None:
    """What `--force` does: the task runs although a truncated matrix is stored in its place."""
    whole = np.load(_matrix(stage), allow_pickle=False)
    _matrix(stage).write_bytes(_matrix(stage).read_bytes()[:200])
    made = perform(stage, ["features/text_tfidf_svd"])["features/text_tfidf_svd"]
    assert made.facts["taken over unchanged"] == 0
    assert np.array_equal(np.load(_matrix(stage), allow_pickle=False), whole)
