"""A lake in a temporary project, with few threads as the machine is shared."""

from pathlib import Path

import pytest

from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake


@pytest.fixture(autouse=True)
def few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRS_DUCKDB_THREADS", "1")
    monkeypatch.setenv("MRS_DUCKDB_MEMORY", "1GB")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def lake(home: Home) -> Lake:
    return Lake(home.lake)
