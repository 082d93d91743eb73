"""The files of a tiny year, made once, and a home that they can land in."""

from pathlib import Path

import pytest

from mrs_pipeline.simulation.feeding import Stock, land_history, stock_up
from mrs_pipeline.simulation.scratch import make_scratch, scratch_settings
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.simulation.fed import MODELS, MONTHS, tiny


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """Two months, and the one before them."""
    root = tmp_path_factory.mktemp("year")
    return stock_up(tiny(), Home(root), MONTHS, root / "files")


@pytest.fixture
def fed(stock: Stock, tmp_path: Path) -> Stage:
    """A home in which the history has landed."""
    settings = scratch_settings(tiny(), MONTHS, MODELS)
    home = make_scratch(settings, tmp_path / "home", tmp_path)
    land_history(stock, home)
    return Stage(settings, home, MONTHS[-1])
