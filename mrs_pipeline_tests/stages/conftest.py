"""Homes of the tests of stages."""

from pathlib import Path

import pytest
import torch

from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages import working


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a home where every task has been run for one window. Only to be read."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("worked") / "home"
    working.perform(working.stage_of(root))
    return root


@pytest.fixture
def root(worked: Path, tmp_path: Path) -> Path:
    """A copy of that home, to be changed."""
    return working.copied(worked, tmp_path / "home")


@pytest.fixture
def stage(root: Path) -> Stage:
    """The window that has been run, in the copy."""
    return working.stage_of(root)
