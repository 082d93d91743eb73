"""What a training takes in memory is its own: planted sizes are found, whatever was held or trained before."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere the kernel keeps no high-water mark"
)

MARKET = """
import json, sys
import numpy as np, torch
torch.set_num_threads(1)
from mrs_pipeline.fitting import fit
from mrs_pipeline.training.held_memory import MemoryMeter
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.types import Interactions, TrainingData

U, I = 20_000, 2_000

def rows(n):
    users, items = np.random.default_rng(n).integers(0, (U, I), (n, 2)).T
    order = np.lexsort((items, users))
    return Interactions(users[order], items[order], U, I)

def taken(model, **settings):
    options = TrainingOptions(epochs=1, device="cpu", checkpoint_every=0)
    return fit(DATA, model, settings, training=options).result.peak_memory_mb

DATA = TrainingData(rows(30_000), rows(2_000))
WIDE = dict(embedding_size=512)  # parameters of 45 MB, with gradients and Adam's two moments 180
"""
ORDERS = """
found = {name: taken(name, **(WIDE if name == "bpr_mf" else {})) for name in sys.argv[1:]}
print(json.dumps(found))
"""
BALLAST = """
ballast = bytearray(400_000_000)
ballast[::4096] = b"x" * len(ballast[::4096])
first = taken("bpr_mf", **WIDE)
del ballast
print(json.dumps([first, taken("bpr_mf", **WIDE)]))
"""
FREED = """
meter = MemoryMeter(torch.device("cpu"))
block = torch.ones(50_000_000)  # 191 MB
del block
print(json.dumps([meter.megabytes(), MemoryMeter(torch.device("cpu")).megabytes()]))
"""


def told(script: str, *args: str) -> dict[str, float] | list[float]:
    done = subprocess.run(
        [sys.executable, "-c", MARKET + script, *args], capture_output=True, text=True, check=True
    )
    found: dict[str, float] | list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def alike(one: float, other: float) -> bool:
    """Two runs in fresh processes differ by as much: when a gradient is freed is the threads' affair."""
    return abs(one - other) < 20 + 0.2 * max(one, other)


def test_the_order_of_training_changes_it_by_little() -> None:
    names = ["most_pop", "ease", "bpr_mf"]
    one, other = (told(ORDERS, *order) for order in (names, names[::-1]))
    assert isinstance(one, dict) and isinstance(other, dict)
    assert one["bpr_mf"] > 150 and one["ease"] > 40 and one["most_pop"] < 80
    for name in names:
        assert alike(one[name], other[name]), (name, one, other)


def test_what_a_process_held_before_is_not_the_model_s() -> None:
    beside, alone = told(BALLAST)
    assert 150 < alone < 350
    assert alike(beside, alone)


def test_what_was_freed_again_counts_for_its_own_time_only() -> None:
    during, after = told(FREED)
    assert 180 < during < 220
    assert after < 10
