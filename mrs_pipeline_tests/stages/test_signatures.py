"""Each signature of a failed training is quiet on a sound one and tripped by the fault that it is named for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import load_file, save_file

from mrs_pipeline.models.fusion.vbpr import Vbpr
from mrs_pipeline.stages.checks.signatures import check_signatures, check_unseen, signature_specs
from mrs_pipeline.storage.lake import Table
from mrs_pipeline.tasks.task import CheckOutcome, Stage
from mrs_pipeline_tests.stages.working import copied, perform, stage_of

SETTINGS = {
    "models": {"most_pop": None, "vbpr": {"embedding_size": 8, "learning_rate": 0.01}},
    "training": {"epochs": 6, "patience": 6},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("signatures") / "home"
    stage = stage_of(root, **SETTINGS)
    made = ["features/text_tfidf_svd", "features/image_color_gradient", "trained/most_pop", "trained/vbpr"]
    perform(
        stage,
        ["raw/interactions", "raw/items", "core/tables", "core/splits", *made, "final/vbpr", "metrics/vbpr"],
    )
    return root


@pytest.fixture
def stage(root: Path, tmp_path: Path) -> Stage:
    return stage_of(copied(root, tmp_path / "home"), **SETTINGS)


def _checked(stage: Stage, name: str = "vbpr") -> dict[str, CheckOutcome]:
    return {each.name: each for each in check_signatures(stage, name, sound=True)}


def _broken(stage: Stage) -> list[str]:
    return [name for name, found in _checked(stage).items() if not found.passed]


def _tamper(stage: Stage, table: Table, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    stage.lake.write_frame(table, change(stage.lake.read(table)), stage.lake.manifest(table).provenance)


def _retrained(stage: Stage, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    """Put other weights in the place of the trained ones."""
    keys = ("tiny", stage.window, "vbpr")
    before = stage.models.read(*keys)
    (path,) = before.directory.glob("seed=*/*.safetensors")
    tensors = load_file(path)
    config = (path.parent / "config.json").read_bytes()
    change(tensors)
    with stage.models.writing(*keys, provenance=before.provenance, facts={}) as folder:
        (folder / path.parent.name).mkdir()
        save_file(tensors, folder / path.parent.name / path.name)
        (folder / path.parent.name / "config.json").write_bytes(config)


def test_a_sound_training_has_none(stage: Stage) -> None:
    found = _checked(stage)
    assert set(found) == {"parts_ways", "collapsed", "modalities", "conflicting_losses"}
    assert found["conflicting_losses"].description.startswith("not applicable")
    assert _broken(stage) == [] and not any(each.blocking for each in found.values())
    shares = dict(found["modalities"].facts)
    assert set(shares) == {"id", "text", "image"} and sum(shares.values()) == pytest.approx(1)
    assert signature_specs("most_pop") == ()


def test_validation_that_falls_while_the_loss_falls(stage: Stage) -> None:
    def overfitted(history: pl.DataFrame) -> pl.DataFrame:
        falls = (
            pl.when(measure="validation_score").then(0.5 - 0.08 * pl.col("epoch")).otherwise(-pl.col("epoch"))
        )
        return history.with_columns(value=falls.cast(pl.Float64))

    _tamper(stage, stage.table("models", "history", model="vbpr"), overfitted)
    assert _broken(stage) == ["parts_ways"]
    assert "of validation was lost" in _checked(stage)["parts_ways"].description


def test_vectors_of_one_direction(stage: Stage) -> None:
    def collapse(tensors: dict[str, np.ndarray]) -> None:
        for name, values in tensors.items():
            if name == "item_embedding":
                values[:] = np.arange(len(values))[:, None] * 10.0
            elif name.startswith("projection"):
                values[:] = 0

    _retrained(stage, collapse)
    found = _checked(stage)
    assert not found["collapsed"].passed
    assert found["collapsed"].facts["effective rank"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("scale", "sentence"), [(0.0, "image changes nothing"), (1e4, "image outweighs the others")]
)
def test_a_modality_that_is_dead_or_alone(stage: Stage, scale: float, sentence: str) -> None:
    def scaled(tensors: dict[str, np.ndarray]) -> None:
        own = [name for name in tensors if "image" in name]
        assert own
        for name in own:
            tensors[name] *= scale

    _retrained(stage, scaled)
    found = _checked(stage)["modalities"]
    assert not found.passed and sentence in found.description


@pytest.mark.parametrize(("weight", "passed"), [(-0.5, False), (0.5, True)])
def test_terms_of_a_loss_that_undo_each_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, weight: float, passed: bool
) -> None:
    """The second term pulls where the first one pushes, or the same way."""
    plain = Vbpr.loss
    monkeypatch.setattr(
        Vbpr, "loss", lambda self, batch: {**(own := plain(self, batch)), "second": weight * own["bpr"]}
    )
    found = _checked(stage)["conflicting_losses"]
    assert found.passed is passed and not found.blocking
    assert found.facts["bpr against second"] == pytest.approx(1 if passed else -1)
    assert ("bpr against second undo each other" in found.description) is not passed


def test_unseen_items_at_chance(stage: Stage) -> None:
    table = stage.table("eval", "metrics", model="vbpr")
    rows = stage.lake.read(table).filter(slice="all")
    warm, cold = (rows.with_columns(slice=pl.lit(name), chance=pl.lit(0.1)) for name in ("warm", "cold"))

    def with_cold(value: float, warm_low: float) -> Callable[[pl.DataFrame], pl.DataFrame]:
        seen = warm.with_columns(value=pl.lit(0.5), ci_low=pl.lit(warm_low))
        return lambda _: pl.concat([seen, cold.with_columns(value=pl.lit(value))])

    for value, warm_low, passed in ((0.3, 0.4, True), (0.09, 0.4, False), (0.09, 0.05, True)):
        _tamper(stage, table, with_cold(value, warm_low))
        found = check_unseen(stage, "vbpr")
        assert found.passed is passed and "on unseen items" in found.description
    _tamper(stage, table, lambda _: warm)
    assert check_unseen(stage, "vbpr").passed
