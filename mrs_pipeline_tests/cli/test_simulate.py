"""`mrs simulate`: what cannot be simulated is said; a difference ends with exit code 1 and is named."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mrs_pipeline.simulation import year as years
from mrs_pipeline_tests.cli.shops import PROJECT, Mrs
from mrs_pipeline_tests.orchestration import homes
from mrs_pipeline_tests.reporting.years import made_up_year, with_difference
from mrs_pipeline_tests.simulation.fed import TINY


def test_what_cannot_be_simulated_is_said_before_anything_is_done(home: Mrs) -> None:
    homes.describe(home.root, TINY)
    assert home("simulate", "tiny", "--months", "12").sentence == (
        "tiny has 11 windows with history, 2024-02 to 2024-12: give --months at most that."
    )
    assert home("simulate", "tiny", "--models", "eas", "--months", "4").sentence.startswith(
        "tiny does not list the model eas (did you mean 'ease'?)"
    )
    assert home("simulate", "tiny", "--folder", "defs").sentence == "defs is not empty: name a new folder."
    assert not (home.root / "data" / "lake").exists()


def test_a_dataset_without_windows_is_refused(home: Mrs, shop: object) -> None:
    assert home("simulate", "shop").sentence.startswith("shop is not cut in time: set `window:`")


@pytest.mark.parametrize("differs", [False, True])
def test_the_exit_code_says_whether_both_years_are_equal(
    home: Mrs, monkeypatch: pytest.MonkeyPatch, *, differs: bool
) -> None:
    homes.describe(home.root, TINY)
    played = with_difference(made_up_year()) if differs else made_up_year()
    folders: list[Path] = []
    monkeypatch.setattr(
        years, "simulate", lambda config, home, story, models, folder: folders.append(folder) or played
    )
    told = home("simulate", "tiny", "--months", "4")
    page = home.root / "data" / "reports" / "tiny" / "simulation.html"
    assert told.code == int(differs)
    assert f"shop: {6 - differs} of 6 outputs of both homes are equal" in told.out
    assert ("2024-03 core/items differs: 1 rows only in the first" in told.out) is differs
    assert str(page) in told.out and page.is_file()
    assert not folders[0].exists()
    facts = json.loads(home("simulate", "tiny", "--months", "4", "--json").out)
    assert facts["same"] is not differs and len(facts["compared"]) == 6


@pytest.mark.slow
def test_ctrl_c_ends_the_daemon_and_removes_both_homes(home: Mrs, tmp_path: Path) -> None:
    homes.describe(home.root, TINY)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    started = subprocess.Popen(
        [sys.executable, "-m", "mrs_pipeline.cli", "simulate", "tiny", "--models", "most_pop"],
        cwd=home.root,
        env={**os.environ, "MRS_HOME": str(home.root), "PYTHONPATH": str(PROJECT), "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
    )
    logs: list[Path] = []
    while not logs and started.poll() is None:
        time.sleep(0.2)
        logs = [log for log in scratch.glob("*/eventful/daemon.log") if log.stat().st_size]
    children = psutil.Process(started.pid).children(recursive=True)
    assert any("dagster._daemon" in child.cmdline() for child in children)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130 and "stopped" in said.decode()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert not list(scratch.glob("mrs-simulate-*"))
