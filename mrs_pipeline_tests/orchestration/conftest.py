"""Homes of the tests that go through Dagster."""

from pathlib import Path

import pytest
import torch

from mrs_pipeline.storage.home import Home
from mrs_pipeline_tests.orchestration import homes


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose window has been run from raw files to report. Only to be read; tests that write take a copy."""
    torch.set_num_threads(1)
    home = homes.make(tmp_path_factory.mktemp("finished") / "home", homes.TINY)
    homes.run(home)
    return home


@pytest.fixture
def home(finished: Home, tmp_path: Path) -> Home:
    """A copy of the finished home, to be changed."""
    return homes.copied(finished, tmp_path / "home")
