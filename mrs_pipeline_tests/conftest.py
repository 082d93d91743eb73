"""Fixtures that more than one room uses. Fixtures of one room live in that room's conftest."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")  # a loaded machine is no failure, and what fails once fails again

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["COLUMNS"] = "140"  # tables are printed alike, whatever terminal or runner the tests have


def pytest_collection_finish() -> None:
    """Leave what collection made out of every later garbage collection, which the memory meter of a fit asks for."""
    gc.collect()
    gc.freeze()


PROJECT_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def packs() -> Path:
    """The folder of real data packs; a test that asks for it skips where the packs are absent."""
    root = Path(os.environ.get("MRS_DATA_ROOT", PROJECT_ROOT.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"real data packs not found at {root}; set MRS_DATA_ROOT to their folder")
    return root
