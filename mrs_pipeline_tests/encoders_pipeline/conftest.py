"""Reduced real data and tiny pretrained models for the way from raw media to a trained model."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mrs_pipeline.reporting import drawing
from mrs_pipeline_tests.encoders.pretrained.conftest import MAKERS


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots cost seconds to draw; what is on them is tested in `reporting`."""
    monkeypatch.setattr(drawing, "svg", lambda figure, name: "<svg></svg>")


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Saves a tiny model with random weights in the real file layout; its folder."""

    def _saved(kind: str, seed: int = 0) -> Path:
        folder = tmp_path / "models" / kind
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(seed)
        MAKERS[kind](folder).eval().save_pretrained(folder)
        return folder

    return _saved
