"""The script for a GPU runs where little is installed, says what failed and what there was no time for."""

import csv
import subprocess
import sys

import pytest
import torch

from mrs_pipeline.bench import gpu, gpu_checks
from mrs_pipeline.bench.gpu import Bench, GpuRow, append, gpu_rows
from mrs_pipeline.bench.gpu_market import market
from mrs_pipeline.bench.gpu_times import product_bytes
from mrs_pipeline.bench.hardware import Limits
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.baselines.bpr_mf import BprMf

CPU = torch.device("cpu")
RATES = Limits(bytes_per_second=1e9, flops=1e10, bfloat16_flops=2e10)
BARE_MACHINE = """
import sys
for name in ("polars", "duckdb", "dagster", "pandas", "pyarrow", "typer", "transformers", "sklearn"):
    sys.modules[name] = None
from mrs_pipeline.bench import gpu, gpu_checks, gpu_times
from mrs_pipeline.models.registry import MODELS, model_class
for name in MODELS.own:
    model_class(name)
print("loaded")
"""


@pytest.fixture(autouse=True)
def _rates(monkeypatch):
    monkeypatch.setattr(gpu, "measured_limits", lambda device: RATES)


def test_it_loads_with_torch_and_little_else():
    done = subprocess.run([sys.executable, "-c", BARE_MACHINE], capture_output=True, text=True)
    assert done.stdout.strip() == "loaded", done.stderr[-500:]


def test_without_time_every_part_is_named():
    found = list(gpu_rows(CPU, 0.0))
    assert [each.part for each in found[3:]] == [
        "checks",
        "epochs",
        "evaluation",
        "neighbours",
        "extraction",
        "kernels",
    ]
    assert {each.note for each in found[3:]} == {"not begun: the time was up"}
    assert found[0].note.startswith("1.0 GB/s")


@pytest.mark.parametrize("name", ["vbpr", "sasrec", "ease"])
def test_a_model_is_checked(name):
    assert gpu_checks._checked(name, market(60, 48, 6, 8), CPU).startswith("scores within 0.0e+00")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("scores", "scores differ from the CPU's by"),
        ("loss", "the loss is not finite"),
    ],
)
def test_a_fault_is_a_failed_check(fault, said, monkeypatch):
    calls = []
    if fault == "scores":
        inner = BprMf.score

        def score(self, users):
            calls.append(1)
            return inner(self, users) + (0.5 if len(calls) == 2 else 0)

        monkeypatch.setattr(BprMf, "score", score)
    else:
        inner = BprMf.loss
        monkeypatch.setattr(
            BprMf,
            "loss",
            lambda self, batch: {name: term * torch.nan for name, term in inner(self, batch).items()},
        )
    monkeypatch.setattr(gpu_checks, "market", lambda *_, **__: market(60, 48, 6, 8))
    monkeypatch.setattr(gpu_checks, "MODELS", type("Registry", (), {"own": ("bpr_mf",)}))
    (found,) = gpu_checks.checks(Bench(CPU, ends=float("inf")))
    assert found.note.startswith("FAILED")
    assert said in found.note


def test_rows_are_added_with_their_ratios(tmp_path):
    path = tmp_path / "new" / "gpu.csv"
    append(path, GpuRow("epochs", "lightgcn", 3.0, 2.0, 1.5, "11 steps"), CPU)
    append(path, GpuRow("checks", "vbpr", note="FAILED: no"), CPU)
    with path.open() as file:
        first, second = csv.DictReader(file)
    assert (first["ratio"], first["share"], first["bare"]) == ("1.5", "0.5", "2")
    assert first["card"].startswith("cpu")
    assert (second["seconds"], second["note"]) == ("", "FAILED: no")


def test_bytes_of_a_product_are_counted():
    graph = Csr.from_pairs(torch.tensor([0, 2]), torch.tensor([1, 3]), torch.ones(2), (3, 4))
    assert product_bytes(graph.tensor(), 8) == 2 * 8 + 4 * 8 * 7
    assert RATES.seconds(2e9, 1e10) == 2


def test_the_market_is_what_models_need():
    data = market(50, 32, 6, 8, raw=True)
    assert len(data.train) > 5 * len(data.valid) > 0
    assert data.train.items.max() < 32
    assert not data.features["text"].values[~data.features["text"].present].any()
    assert (data.raw["text"].values < 64).all()
