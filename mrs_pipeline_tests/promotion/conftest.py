"""A home with three models of one window, trained and measured, to be promoted."""

from pathlib import Path

import pytest
import torch

from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import copied, perform, stage_of

SETTINGS = {
    "source": {"reader": "demo", "demo": {"users": 80, "items": 80}},
    "features": [{"modality": "text", "encoder": "tfidf_svd", "dimensions": 8}],
    "models": {"most_pop": None, "ease": None, "knn_fusion": None},
    "promotion": {"beats_popularity": False},
}
"""Closed forms only; so few users tell no model from popularity."""


@pytest.fixture(scope="session")
def market_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Only to be read."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("promotion") / "home"
    perform(stage_of(root, **SETTINGS))
    return root


@pytest.fixture
def market(market_root: Path, tmp_path: Path) -> Stage:
    """A copy, to be changed."""
    return stage_of(copied(market_root, tmp_path / "home"), **SETTINGS)
