"""What `mrs bench startup` measures: seconds until a command answers, to load definitions, and that a step costs.

Each is the median of processes that are started one after another; a step's is what a run of trivial steps takes
above nothing, in a store of its own.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from mrs_pipeline.storage.home import HOME_VARIABLE, Home

_HELP: Final = ("-c", "from mrs_pipeline.cli.app import main; main()", "--help")
_LOCATION: Final = ("-c", "from mrs_pipeline.definitions import defs; defs()")
_NOTHING: Final = ("-c", "pass")
_STEPS: Final = 20
_RUN: Final = f"""
import time, sys, dagster as dg
made = [dg.asset(name=f"step{{n}}")(lambda: None) for n in range({_STEPS})]
job = dg.Definitions(assets=made, jobs=[dg.define_asset_job("all")]).resolve_job_def("all")
with dg.DagsterInstance.local_temp(sys.argv[1], overrides={{"telemetry": {{"enabled": False}}}}) as instance:
    config = {{"loggers": {{"console": {{"config": {{"log_level": "CRITICAL"}}}}}}}}
    started = time.perf_counter()
    assert job.execute_in_process(instance=instance, run_config=config).success
    print((time.perf_counter() - started) / {_STEPS})
"""


def startup(home: Home, repeats: int) -> pl.DataFrame:
    """Columns what, seconds, most: the median, and the slowest."""
    found = {
        "python itself": _repeated(lambda: _seconds(home, _NOTHING), repeats),
        "mrs --help": _repeated(lambda: _seconds(home, _HELP), repeats),
        "code location": _repeated(lambda: _seconds(home, _LOCATION), repeats),
        "a step of Dagster": _repeated(lambda: _step(home), repeats),
    }
    rows = [
        {"what": what, "seconds": statistics.median(each), "most": max(each)} for what, each in found.items()
    ]
    return pl.DataFrame(rows)


def _repeated(work: Callable[[], float], repeats: int) -> list[float]:
    return [work() for _ in range(repeats)]


def _seconds(home: Home, arguments: Sequence[str]) -> float:
    started = time.perf_counter()
    _process(home, arguments)
    return time.perf_counter() - started


def _step(home: Home) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return float(_process(home, ("-c", _RUN, folder)).splitlines()[-1])


def _process(home: Home, arguments: Sequence[str]) -> str:
    root = str(Path(home.root))
    variables = os.environ | {HOME_VARIABLE: root, "DAGSTER_HOME": root}
    done = subprocess.run(  # noqa: S603 - this interpreter, and texts of this file
        [sys.executable, *arguments], env=variables, cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout
