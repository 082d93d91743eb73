"""The code location that Dagster loads: every `defs.yaml` of this home, and how steps are executed. No logic."""

import sys

import dagster as dg

from mrs_pipeline.orchestration.executors import executor
from mrs_pipeline.orchestration.loading import definitions_of, tree_of
from mrs_pipeline.orchestration.notifications import failure_sensors
from mrs_pipeline.orchestration.settings_files import require_settings
from mrs_pipeline.storage.home import find_home
from mrs_pipeline.threads import yield_while_waiting

_PRELOADED = [
    "mrs_pipeline.definitions",
    "mrs_pipeline.orchestration.assets",
    "mrs_pipeline.orchestration.automation",
    "mrs_pipeline.orchestration.verification",
    "torch",
    "polars",
    "duckdb",
    "great_expectations",
]
"""Imported once by the server that steps are forked from, so that a step does not pay for them."""


@dg.definitions
def defs() -> dg.Definitions:
    """All datasets of the home that the environment or the working directory names."""
    yield_while_waiting()  # before torch is loaded, here and in the steps, which inherit the environment
    home = find_home()
    require_settings(home.root)
    sys.path.insert(0, str(home.root))  # a home's `defs` folder is imported as a package
    chosen = executor({"max_concurrent": 2, "start_method": {"forkserver": {"preload_modules": _PRELOADED}}})
    return dg.Definitions.merge(
        definitions_of(tree_of(home.root)),
        dg.Definitions(executor=chosen, sensors=failure_sensors(home)),
    )
