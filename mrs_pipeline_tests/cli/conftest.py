"""Homes: one with a healthy dataset, one in which it has been run to the end, and a folder that is no home."""

from pathlib import Path

import pytest

from mrs_pipeline_tests.cli.shops import STRAY, Mrs, Shop, add_shop, make_home


@pytest.fixture
def home(tmp_path: Path) -> Mrs:
    return make_home(tmp_path / "home")


@pytest.fixture
def shop(home: Mrs) -> Shop:
    return add_shop(home.root)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Mrs:
    """A home in which `shop`, with one row of an item that is not in its catalogue, has been run to the end.

    For tests that only look at results.
    """
    mrs = make_home(tmp_path_factory.mktemp("finished") / "home")
    with (add_shop(mrs.root).folder / "interactions.csv").open("a") as file:
        file.write(STRAY)
    ran = mrs("run", "shop")
    assert ran.code == 0, ran.err
    return mrs


@pytest.fixture
def empty(tmp_path: Path) -> Mrs:
    """An empty folder that is no home."""
    (tmp_path / "empty").mkdir()
    return Mrs(tmp_path / "empty")
