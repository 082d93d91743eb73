"""A checkpoint is resumed under the same code, data, masks and graphs only; else training starts afresh and says so."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrs_pipeline import fitting
from mrs_pipeline.code import Closure
from mrs_pipeline.fitting import fit, refit
from mrs_pipeline.training import loop
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.types import SparseGraph, TrainingData
from mrs_pipeline_tests.toy import prepared, small_config, toy_market


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return prepared("freedom", toy_market().data)


def _fit(data: TrainingData, folder: Path, epochs: int) -> list[int]:
    """Epochs that are trained now."""
    options = TrainingOptions(epochs=epochs, batch_size=64, patience=50, checkpoint_every=1)
    trained: list[int] = []
    steps = loop._Run._steps

    def noted(self: Any, epoch: int) -> dict[str, float]:
        trained.append(epoch)
        return steps(self, epoch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop._Run, "_steps", noted)
        fit(data, "freedom", small_config("freedom"), training=options, checkpoints=folder)
    return trained


def _other_masks(data: TrainingData) -> TrainingData:
    matrix = data.features["image"]
    present = matrix.present.copy()
    present[np.flatnonzero(present)[0]] = False
    return replace(data, features={**data.features, "image": replace(matrix, present=present)})


def _other_graph(data: TrainingData) -> TrainingData:
    graph = data.item_graphs["text"]
    weights = SparseGraph(graph.indptr, graph.indices, graph.weights * np.float32(0.5), graph.shape)
    return replace(data, item_graphs={**data.item_graphs, "text": weights})


def test_the_same_run_goes_on(data: TrainingData, tmp_path: Path) -> None:
    assert _fit(data, tmp_path, 2) == [1, 2]
    assert _fit(data, tmp_path, 4) == [3, 4]


@pytest.mark.parametrize("changed", [_other_masks, _other_graph])
def test_other_data_start_afresh(
    data: TrainingData, tmp_path: Path, caplog: pytest.LogCaptureFixture, changed: Any
) -> None:
    _fit(data, tmp_path, 2)
    with caplog.at_level(logging.WARNING, "mrs_pipeline"):
        assert _fit(changed(data), tmp_path, 4) == [1, 2, 3, 4]
    assert "training starts afresh" in caplog.text


def test_other_code_starts_afresh(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _fit(data, tmp_path, 2)
    found = fitting.closure

    def edited(*roots: Any) -> Closure:
        closure = found(*roots)
        assert any(key.endswith("freedom:Freedom") for key in closure.definitions)
        return Closure({**closure.definitions, "mrs_pipeline.models.filtration.freedom:Freedom": "edited"})

    monkeypatch.setattr(fitting, "closure", edited)
    with caplog.at_level(logging.WARNING, "mrs_pipeline"):
        assert _fit(data, tmp_path, 4) == [1, 2, 3, 4]
    assert "training starts afresh" in caplog.text


def test_a_refit_of_other_epochs_starts_afresh(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation has chosen fewer epochs since: a state that has gone beyond them is of no use."""
    options = TrainingOptions(batch_size=64, checkpoint_every=1)
    trained: list[int] = []
    steps = loop._Run._steps

    def noted(self: Any, epoch: int) -> dict[str, float]:
        trained.append(epoch)
        return steps(self, epoch)

    monkeypatch.setattr(loop._Run, "_steps", noted)
    for epochs in (3, 3, 2):
        fitted = refit(
            data,
            "freedom",
            small_config("freedom"),
            epochs=epochs,
            training=options,
            checkpoints=tmp_path,
        )
        assert fitted.result.best_epoch == epochs
    assert trained == [1, 2, 3, 1, 2]
