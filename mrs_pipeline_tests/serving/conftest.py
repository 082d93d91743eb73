"""A small home whose final models are served."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mrs_pipeline.serving.bundle import Bundle, load_bundle
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import copied, perform, stage_of

MODELS = {
    "most_pop": None,
    "vbpr": {"embedding_size": 16, "learning_rate": 0.01},
    "knn_fusion": None,
    "freedom": {"embedding_size": 16},
}
SETTINGS = {
    "source": {"reader": "demo", "demo": {"users": 80, "items": 80}},
    "models": MODELS,
    "training": {"epochs": 12, "patience": 12},
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shop_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a home where all has been made for one window. Only to be read."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("serving") / "home"
    perform(stage_of(root, **SETTINGS), run="first")
    return root


@pytest.fixture(scope="session")
def shop(shop_root: Path) -> Stage:
    """The window that has been run. Only to be read."""
    return stage_of(shop_root, **SETTINGS)


@pytest.fixture
def own_shop(shop_root: Path, tmp_path: Path) -> Stage:
    """A copy, to be changed."""
    return stage_of(copied(shop_root, tmp_path / "home"), **SETTINGS)


@pytest.fixture(scope="session")
def vbpr(shop: Stage) -> Bundle:
    return load_bundle(shop, "vbpr")


@pytest.fixture(scope="session")
def knn(shop: Stage) -> Bundle:
    return load_bundle(shop, "knn_fusion")


@pytest.fixture
def closed() -> Iterator[list[object]]:
    """Holders to be closed after the test."""
    holders: list[object] = []
    yield holders
    for each in holders:
        each.close()  # type: ignore[attr-defined]
