"""A wave of changes stops where the content is as it was; force makes everything."""

from pathlib import Path

import pytest

from mrs_pipeline.storage.catalogue import query
from mrs_pipeline.storage.home import Home
from mrs_pipeline_tests.orchestration import homes

SETTINGS = {**homes.BARE, "models": {"most_pop": None, "ease": None}}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = homes.make(tmp_path / "home", SETTINGS)
    homes.run(made)
    return made


def _makings(home: Home) -> dict[str, int]:
    """Asset -> how often it was made at the window, or above the windows."""
    rows = query(
        home,
        "SELECT asset, count(*) FROM lineage.materializations "
        f"WHERE \"window\" IN ('{homes.WINDOW}', 'full') GROUP BY asset",
    )
    return dict(rows.iter_rows())


def test_equal_content_stops_the_wave(home: Home) -> None:
    """Ratings are whole numbers: a lowest rating of 2.5 keeps what 3 keeps, and only the core tables are made again."""
    before = _makings(home)
    assert set(before.values()) == {1}
    homes.describe(home.root, {**SETTINGS, "interactions": {"min_rating": 2.5, "k_core": 2}})
    line = homes.run(home)[-1]
    assert "1 of " in line and "below them may follow" in line
    again = {asset for asset, times in _makings(home).items() if times > 1}
    assert again == {"core/users", "core/items", "core/interactions", "core/quarantine"}
    assert homes.run(home)[-1].endswith("steps are due") and " 0 of " in homes.run(home)[-1]


def test_force_makes_everything(home: Home) -> None:
    homes.run(home, force=True)
    assert set(_makings(home).values()) == {2}
