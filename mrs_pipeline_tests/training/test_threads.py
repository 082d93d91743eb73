"""Threads of several processes share the cores: what the package tells OpenMP before torch loads it."""

import os
import subprocess
import sys

import pytest

SHOW = "import os, mrs_pipeline; print(os.environ['GOMP_SPINCOUNT'])"


@pytest.mark.parametrize(("given", "used"), [(None, "1000"), ("7", "7")])
def test_waiting_threads_give_the_core_back_unless_the_user_says_otherwise(given, used):
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    if given:
        environment["GOMP_SPINCOUNT"] = given
    told = subprocess.run(
        [sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == used


def test_torch_is_not_loaded_before_the_setting():
    check = "import sys, mrs_pipeline; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)
