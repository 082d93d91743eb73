"""The UI as somebody with a browser sees it: the opened graph, a backfill of three windows, a fault that blocks one.

`MRS_SCREENSHOTS=docs/images` keeps the pictures that docs/dagster.md shows.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from PIL import Image

from mrs_pipeline.storage.home import Home
from mrs_pipeline_tests.orchestration import homes

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MADE = ("2024-06", "2024-07", "2024-08", "2024-09")
"""Windows of `tiny`, made by the command line: all that it offers."""
LAST = MADE[-1]
WINDOWS, FAULTY = ("2024-06", "2024-07", "2024-08"), "2024-07"
"""Windows of `rows`, launched by hand: all that it offers."""
TINY = {
    **homes.BARE,
    "models": {"ease": None},
    "window": {**homes.BARE["window"], "score_from": MADE[0], "end": LAST},
}
ROWS = {**TINY, "name": "rows", "models": {}, "window": {**TINY["window"], "end": WINDOWS[-1]}}
"""The same files without a model, so that a run of a window is quick."""
GROUPS = ("1_raw", "2_core", "5_baselines", "6_report")
PATIENCE = 900
"""Seconds that anything may take on a loaded machine; each is far quicker on a free one."""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")]
playwright = pytest.importorskip("playwright.sync_api")


@dataclass
class Browser:
    """A page of the UI of a home."""

    page: Any
    address: str
    shots: Path

    def open(self, path: str, sees: str) -> None:
        """Go somewhere, and wait for a text."""
        self.page.goto(self.address + path)
        self.sees(sees)

    def sees(self, text: str) -> None:
        """Wait until the page shows a text."""
        self.page.get_by_text(text).first.wait_for(timeout=1000 * PATIENCE)

    def launch(self, windows: str) -> None:
        """Materialise what is open for some windows, by the dialog."""
        self.page.get_by_role("button", name="Materialize").first.click()
        field = self.page.get_by_placeholder("ex: ")
        field.fill(windows)
        field.press("Enter")
        self.page.get_by_role("button", name="Launch").last.click()

    def shot(self, name: str, height: int = 860) -> Path:
        """Keep what the page shows, to a height in pixels, once it has stopped moving."""
        self.page.set_viewport_size({"width": 1400, "height": height})
        time.sleep(2)
        png, path = self.shots / f"{name}.png", self.shots / f"dagster_{name}.webp"
        self.page.screenshot(path=str(png))
        with Image.open(png) as picture:
            picture.convert("RGB").save(path, quality=80)
        png.unlink()
        return path


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the windows of a model, and a dataset of which nothing has been made."""
    home = homes.make(tmp_path_factory.mktemp("browser") / "home", TINY, ROWS)
    homes.run(home, MADE)
    return home


@pytest.fixture(scope="module")
def browser(played: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The UI of the home in a headless Chromium."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-c",
        "from mrs_pipeline.cli.app import main; main()",
        "ui",
        "--port",
        str(port),
    ]
    address = f"http://127.0.0.1:{port}"
    shots = Path(os.environ.get("MRS_SCREENSHOTS") or tmp_path_factory.mktemp("shots")).resolve()
    with (played.root / "ui.log").open("w") as log:
        server = subprocess.Popen(
            command,
            cwd=played.root,
            env=homes.environment(played),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait(lambda: server.poll() is not None or _answers(address), "the UI to answer")
        assert server.poll() is None, (played.root / "ui.log").read_text()
        assert (played.root / "ui.log").read_text().startswith(f"the UI opens on {address} ")
        with playwright.sync_playwright() as driver:
            opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            page = opened.new_page(viewport={"width": 1400, "height": 860})
            yield Browser(page, address, shots)
            opened.close()
    finally:
        os.killpg(server.pid, signal.SIGINT)
        try:
            server.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _wait(done: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.5)


def _plant(home: Home) -> None:
    """Ratings that no shop has, in the raw file of one window."""
    path = home.root / "data/raw/demo/interactions" / f"{FAULTY}.parquet"
    pl.read_parquet(path).with_columns(rating=pl.lit(1e13)).write_parquet(path)


def test_the_guard_stands_before_the_server(browser: Browser) -> None:
    """What Dagster's own server answers (docs/security.md)."""
    mutation = 'mutation { logTelemetry(action: "x", metadata: "{}", clientTime: "1", clientId: "1") { __typename } }'
    foreign = {"Host": "evil.example", "Origin": "http://evil.example"}
    query = urllib.parse.urlencode({"query": mutation})
    request = urllib.request.Request(f"{browser.address}/graphql?{query}", headers=foreign)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=60)


def test_the_opened_graph_a_model_its_checks_and_its_metrics(played: Home, browser: Browser) -> None:
    expanded = ",".join(f"global@global:tiny__{group}" for group in GROUPS)
    browser.open(f"/asset-groups?expanded={expanded}", sees="ease_trained")
    for box in ("raw_interactions", "quarantine", "ease_metrics", "ease_lists"):
        browser.sees(box)
    browser.shot("graph")
    browser.open("/locations/mrs_pipeline/jobs/tiny_pipeline/runs", sees=MADE[0])  # what `mrs run` has done
    browser.open("/assets/tiny/metrics/ease_metrics", sees="recall@20")
    plots = browser.page.get_by_role("button", name="Plots")
    plots.click()
    browser.sees("ndcg@20")
    plots.evaluate("button => button.scrollIntoView({block: 'start'})")
    browser.shot("plot", 700)

    before = _runs(played, "tiny_pipeline") + _runs(played, "__ASSET_JOB")
    browser.open("/assets/tiny/trained/ease_trained", sees="Materialize")
    browser.launch(LAST)
    _wait(
        lambda: [
            run
            for run in _runs(played, "tiny_pipeline") + _runs(played, "__ASSET_JOB")
            if run not in before and run.status is dg.DagsterRunStatus.SUCCESS
        ],
        "the model's run",
    )
    browser.open("/assets/tiny/trained/ease_trained?view=checks", sees="beats_popularity")
    browser.sees("finite")


def test_a_backfill_of_three_windows_of_which_a_fault_blocks_one(played: Home, browser: Browser) -> None:
    _plant(played)
    browser.open("/locations/mrs_pipeline/jobs/rows_pipeline", sees="Materialize all")
    browser.launch(f"[{WINDOWS[0]}...{WINDOWS[-1]}]")

    def ended() -> dict[str, str]:
        runs = [run for run in _runs(played, "rows_pipeline") if run.is_finished]
        windows = {run.tags.get("dagster/partition", ""): run.status.value for run in runs}
        return {window: windows[window] for window in WINDOWS if window in windows}

    _wait(lambda: len(ended()) == len(WINDOWS), "the runs of the backfill")
    # the window after the faulty one would learn from its rows
    assert ended() == {WINDOWS[0]: "SUCCESS", FAULTY: "FAILURE", WINDOWS[2]: "FAILURE"}
    with homes.entered(played), dg.DagsterInstance.get() as instance:
        backfill = next(each for each in instance.get_backfills() if each.job_name == "rows_pipeline")
        made = instance.get_materialized_partitions(homes.key("core/splits", "rows"))
    assert made == {WINDOWS[0]}
    browser.open(f"/runs/b/{backfill.backfill_id}?tab=runs", sees=FAULTY)
    browser.sees("Failed")
    browser.sees("Failure")
    browser.shot("backfill", 580)
    browser.open("/assets/rows/raw/raw_interactions?view=checks", sees="expectations")
    browser.page.get_by_text("expectations").first.click()
    browser.shot("blocked", 610)


def _runs(home: Home, job: str) -> list[dg.DagsterRun]:
    with homes.entered(home), dg.DagsterInstance.get() as instance:
        return list(instance.get_runs(dg.RunsFilter(job_name=job)))
