"""Threads of several processes share the cores: what the pipeline sets for OpenMP, and when."""

import os
import subprocess
import sys

import pytest

COMMAND_LINE = """
import os, sys
from mrs_pipeline.cli import app
app.app = lambda: print(os.environ["GOMP_SPINCOUNT"], "torch" in sys.modules)
app.main()
"""
CODE_LOCATION = """
import os, sys
from mrs_pipeline import definitions
def look():
    print(os.environ["GOMP_SPINCOUNT"], "torch" in sys.modules)
    sys.exit()
definitions.find_home = look
definitions.defs()
"""
IMPORTS = """
import os, pkgutil, importlib
before = dict(os.environ)
import mrs_pipeline
for module in pkgutil.walk_packages(mrs_pipeline.__path__, "mrs_pipeline."):
    if not module.name.startswith("mrs_pipeline.defs") and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
changed = {name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)}
print(sorted(changed - {"_RJEM_MALLOC_CONF"}))  # by which Polars sets up its own allocator
"""


def _output(code: str, **environment: str) -> str:
    plain = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=plain | environment, capture_output=True, text=True, check=True
    )
    return ran.stdout.strip()


@pytest.mark.parametrize("process", [COMMAND_LINE, CODE_LOCATION], ids=["mrs", "dagster"])
def test_waiting_threads_of_the_pipeline_give_the_core_back_unless_the_user_says_otherwise(process):
    assert _output(process) == "1000 False"
    assert _output(process, GOMP_SPINCOUNT="7") == "7 False"


def test_importing_the_package_leaves_the_environment_alone():
    assert _output(IMPORTS) == "[]"
