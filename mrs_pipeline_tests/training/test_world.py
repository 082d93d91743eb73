"""Two processes under torchrun (gloo, on the CPU) end with the weights of one, within 1e-4."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.training.world import World
from mrs_pipeline_tests.cli.shops import PROJECT
from mrs_pipeline_tests.training import joint_training


@pytest.mark.slow
def test_two_processes_are_one(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    joint_training.train_all(one)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *(str(Path(joint_training.__file__)), str(two)),
        ],
        env=os.environ | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for name in joint_training.MODELS:
        alone = load_file(one / f"{name}-0.safetensors")
        first, second = (load_file(two / f"{name}-{rank}.safetensors") for rank in range(2))
        for key, value in alone.items():
            assert torch.equal(first[key], second[key])
            assert (first[key] - value).abs().max() < 1e-4, (name, key)
        scores = [float((folder / f"{name}-0.txt").read_text()) for folder in (one, two)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-4)
        assert (two / f"{name}-1.txt").read_text() == (two / f"{name}-0.txt").read_text()
    assert "does not learn from pairs" in (two / "refused-1.txt").read_text()
    assert not (one / "refused-0.txt").exists()


@pytest.mark.parametrize("rows", [1, 2, 7, 8])
def test_parts_weigh_as_their_rows(rows: int) -> None:
    batch = PairBatch(torch.arange(rows), torch.arange(rows) + 10, torch.arange(rows) + 20)
    values = torch.rand(rows, generator=torch.Generator().manual_seed(1))
    total, seen = 0.0, []
    for rank in range(2):
        part, weight = World(rank, 2).part(batch)
        total += weight * float(values[part.users].mean()) / 2
        seen += part.users.tolist()
        assert torch.equal(part.negatives - 20, part.users)
    assert total == pytest.approx(float(values.mean()))
    assert set(seen) == set(range(rows))
    assert World().part(batch) == (batch, 1.0)
