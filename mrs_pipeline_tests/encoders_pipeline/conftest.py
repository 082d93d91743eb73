"""Reduced real data and tiny pretrained models for the way from raw media to a trained model."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mrs_pipeline_tests.encoders.pretrained.conftest import MAKERS


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


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
