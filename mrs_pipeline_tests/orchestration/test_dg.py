"""Dagster's own command line, `dg`, in a home that `mrs init` made."""

import subprocess
import sys
from pathlib import Path

import pytest

from mrs_pipeline.storage.home import Home
from mrs_pipeline_tests.orchestration import homes


def _dg(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    dg = Path(sys.executable).with_name("dg")
    if not dg.is_file():
        pytest.skip("dg is not installed")
    return subprocess.run(
        [str(dg), *arguments],
        cwd=home.root,
        env={**homes.environment(home), "DAGSTER_HOME": str(home.root)},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_dg_checks_a_home_and_names_what_is_wrong(tmp_path: Path) -> None:
    home = homes.make(tmp_path / "home", homes.BARE)
    good = _dg(home, "check", "yaml")
    assert good.returncode == 0, good.stderr
    assert "validated successfully" in good.stdout + good.stderr
    path = homes.describe(home.root, {**homes.BARE, "modles": {}})
    wrong = _dg(home, "check", "yaml")
    assert wrong.returncode == 1
    assert str(path) in wrong.stdout + wrong.stderr and "modles" in wrong.stdout + wrong.stderr


@pytest.mark.slow
def test_dg_lists_and_loads_what_a_home_defines(tmp_path: Path) -> None:
    home = homes.make(tmp_path / "home", homes.BARE)
    listed = _dg(home, "list", "defs", "--json")
    assert listed.returncode == 0, listed.stderr
    assert '"tiny/metrics/most_pop_metrics"' in listed.stdout
    assert "tiny_pipeline" in listed.stdout
    loaded = _dg(home, "check", "defs")
    assert loaded.returncode == 0 and "loaded successfully" in loaded.stdout + loaded.stderr
