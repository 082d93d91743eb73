"""Ctrl-C in a real process: one line and exit code 130, soon; the same command goes on."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from mrs_pipeline.cli.interruption import CODE, farewell
from mrs_pipeline_tests.cli.shops import PROJECT, Mrs, in_a_process, make_home, replace

USERS, ITEMS, ROWS = 1000, 400, 300_000
SETTINGS = """\
type: mrs_pipeline.orchestration.Dataset
attributes:
  name: large
  source: {path: raw}
  interactions: {k_core: 2}
  split: {strategy: leave_one_out}
  features:
    - {modality: image, encoder: color_gradient, size: 224}
  models:
    bpr_mf:
  training: {epochs: 500, patience: 500, threads: 1}
"""


@pytest.fixture
def large(tmp_path: Path) -> Mrs:
    """One dataset whose ingestion, extraction and training each take more than a moment."""
    mrs = make_home(tmp_path / "home")
    raw, rng = mrs.root / "raw", np.random.default_rng(5)
    (raw / "images").mkdir(parents=True)
    columns = {
        "user_id": rng.integers(0, USERS, ROWS),
        "item_id": rng.integers(0, ITEMS, ROWS),
        "timestamp": 1_600_000_000 + np.arange(ROWS),
    }
    pl.DataFrame(columns).write_csv(raw / "interactions.csv")
    pl.DataFrame({"item_id": range(ITEMS), "title": [f"thing {n}" for n in range(ITEMS)]}).write_csv(
        raw / "items.csv"
    )
    noise = rng.integers(0, 128, (600, 600, 3), dtype=np.uint8)
    for item in range(ITEMS):
        picture = Image.fromarray(noise + rng.integers(0, 128, 3, dtype=np.uint8))
        picture.save(raw / "images" / f"{item}.jpg", quality=60)
    (mrs.root / "defs" / "large").mkdir()
    (mrs.root / "defs" / "large" / "defs.yaml").write_text(SETTINGS)
    return mrs


@pytest.mark.slow
def test_ingestion_extraction_and_training_and_then_it_goes_on(large: Mrs) -> None:
    _stops(large, lambda said: ": step 1 of " in said)
    _stops(large, lambda said: "image_color_gradient:" in said)
    _stops(
        large,
        lambda _: bool(list(large.root.glob("models/large/*/bpr_mf/resume/seed=*/checkpoint.safetensors"))),
    )
    replace(large.root / "defs" / "large" / "defs.yaml", "epochs: 500", "epochs: 1")
    on = in_a_process(large.root, "run", "large")
    assert on.code == 0, on.err
    assert "large full trained/bpr_mf" in on.err
    assert not [stage for stage in ("raw/", "core/", "features/") if f"large full {stage}" in on.err], on.err


def _stops(mrs: Mrs, ready: Callable[[str], bool]) -> None:
    """Run, wait until it is in the middle of the stage, press Ctrl-C, and look at how it ends."""
    environment = os.environ | {
        "PYTHONPATH": str(PROJECT),
        "MRS_HOME": str(mrs.root),
        "DAGSTER_HOME": str(mrs.root),
    }
    command = [sys.executable, "-c", "from mrs_pipeline.cli.app import main; main()", "run", "large"]
    process = subprocess.Popen(
        command,
        cwd=mrs.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    said, reader = _follow(process)
    deadline = time.monotonic() + 180
    while not ready(bytes(said).decode(errors="replace")):
        assert process.poll() is None and time.monotonic() < deadline, bytes(said).decode(errors="replace")
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the process and to its workers
    assert process.wait(timeout=30) == CODE
    reader.join(timeout=10)
    text = bytes(said).decode(errors="replace")
    assert text.rstrip().endswith("stopped; `mrs run large` goes on"), text
    assert "Traceback" not in text and "Aborted" not in text
    assert _last_state(environment) == "CANCELED"  # not "started" until somebody runs it again


def _last_state(environment: dict[str, str]) -> str:
    """How Dagster shows the latest run of the home."""
    asked = (
        "import dagster as dg; print(dg.DagsterInstance.get().get_runs(limit=1)[0].status.value, flush=True)"
    )
    told = subprocess.run(
        [sys.executable, "-c", asked],
        env=environment,
        cwd=environment["MRS_HOME"],
        capture_output=True,
        text=True,
    )
    return told.stdout.strip()


def _follow(process: subprocess.Popen[bytes]) -> tuple[bytearray, threading.Thread]:
    """What the process has said on stderr, as it grows."""
    said = bytearray()

    def read() -> None:
        assert process.stderr is not None
        while block := os.read(process.stderr.fileno(), 4096):
            said.extend(block)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return said, thread


def test_what_is_said() -> None:
    assert (
        farewell(["run", "shop", "--force", "--window", "2024-01"])
        == "stopped; `mrs run shop --window 2024-01` goes on"
    )
    assert farewell(["tune", "shop", "ease"]) == "stopped; `mrs tune shop ease` goes on"
    assert farewell(["query", "SELECT 1"]) == "stopped"
    assert farewell([]) == "stopped"
