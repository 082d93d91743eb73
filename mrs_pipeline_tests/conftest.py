"""Fixtures that more than one room uses. Fixtures of one room live in that room's conftest."""

import gc
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")  # a loaded machine is no failure, and what fails once fails again

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MRS_CACHE", str(Path(__file__).parent.parent / ".pytest_cache" / "mrs"))
os.environ["COLUMNS"] = "140"  # tables are printed alike, whatever terminal or runner the tests have


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long first, so that no process is left with one when the others are done."""
    weights: Counter[Path] = Counter()
    for item in items:
        weights[item.path] += 50 if item.get_closest_marker("slow") else 1
    items.sort(key=lambda item: -weights[item.path])


def pytest_collection_finish() -> None:
    """Leave what collection made out of every later garbage collection, which the memory meter of a fit asks for."""
    gc.collect()
    gc.freeze()


DRAWN = ("/reporting/", "/test_packs.py", "/test_plots", "/test_site.py")
"""Tests that look at plots: their folders or files."""


@pytest.fixture(scope="session", autouse=True)
def _plots_where_they_are_looked_at() -> Iterator[None]:
    """A plot takes half a second to draw, and a report holds a dozen: other tests do without."""
    from mrs_pipeline.reporting import drawing

    draw = drawing.svg

    def svg(figure: "Figure", name: str) -> str:
        test = os.environ.get("PYTEST_CURRENT_TEST", "")
        return draw(figure, name) if any(part in test for part in DRAWN) else "<svg></svg>"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "svg", svg)
        yield


PROJECT_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def packs() -> Path:
    """The folder of real data packs; a test that asks for it skips where the packs are absent."""
    root = Path(os.environ.get("MRS_DATA_ROOT", PROJECT_ROOT.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"real data packs not found at {root}; set MRS_DATA_ROOT to their folder")
    return root
