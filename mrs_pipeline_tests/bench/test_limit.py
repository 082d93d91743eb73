"""Counted bytes against what can be counted by hand; the tables of `mrs bench limit` and `mrs bench startup`."""

import numpy as np
import pytest
import torch

from mrs_pipeline.bench import startup as startup_bench
from mrs_pipeline.bench.counted import Counting
from mrs_pipeline.bench.limit import GROWN, growth, growth_plot, shares
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.storage.home import Home


def counted(work) -> Counting:
    with Counting() as found:
        work()
    return found


TABLE = torch.rand(100, 8)


@pytest.mark.parametrize(
    ("work", "dense"),
    [
        (lambda: TABLE + TABLE[:50].sum(), 3200 + 4 + 3200 + 1600 + 4),
        (lambda: TABLE.t().reshape(8, 100)[2:], 0),
        (lambda: TABLE.index_select(0, torch.tensor([3, 4])), 2 * 64 + 16),
        (lambda: torch.rand(4, 4).add_(1.0), 64 + 128),
        (lambda: TABLE[:1].expand(100, 8).sum(), 32 + 4),
    ],
)
def test_bytes_of_dense_operations(work, dense):
    assert counted(work).dense_bytes == pytest.approx(dense, abs=16)


def test_products_are_counted_with_their_operations():
    found = counted(lambda: TABLE @ torch.ones(8, 3))
    assert found.flops == 2 * 100 * 8 * 3


def test_a_sparse_product_reads_its_entries_and_a_row_for_each():
    rows, columns = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 2])
    matrix = Csr.from_pairs(rows, columns, torch.ones(4), (3, 100)).tensor()
    found = counted(lambda: matrix @ TABLE)
    assert found.sparse_bytes == (4 + 4 + 4) * 4 + 4 * 8 * 4 + 3 * 8 * 4
    assert found.flops == 2 * 4 * 8


def test_backward_and_optimiser_are_seen():
    table = torch.nn.Parameter(TABLE.clone())
    optimiser = torch.optim.Adam([table], fused=True)

    def step() -> None:
        table.square().sum().backward()
        optimiser.step()

    step()
    table.grad = None
    forward = counted(lambda: table.square().sum())
    assert counted(step).bytes > forward.bytes + 7 * 3200


def test_shares_lie_between_nothing_and_little_above_the_limit():
    table = shares(["bpr_mf", "lightgcn"], 500, 300, 5)
    assert table["model"].to_list() == ["bpr_mf", "lightgcn"]
    sparse = dict(zip(table["model"], table["sparse_mb"], strict=True))
    assert sparse["bpr_mf"] == 0 < sparse["lightgcn"]
    assert (table["share"] > 0).all() and np.isfinite(table["share"].to_numpy()).all()
    assert (table["share"] - table["limit_ms"] / table["step_ms"]).abs().max() < 1e-12


def test_growth_has_each_size_doubled():
    table = growth(100, 60, 5, doublings=1)
    kinds = {f"{name} {'solved' if name == 'item_knn' else 'epoch'}" for name in GROWN} | {"evaluation"}
    assert set(table["what"]) == kinds
    assert set(table["grows"]) == {"rows", "users", "items", "modalities"}
    second = table.filter(factor=2)
    assert table.filter(factor=1)["exponent"].null_count() == len(second) == len(table) / 2
    pair = table.filter(what="lightgcn epoch", grows="rows").sort("factor")["cpu_seconds"].to_list()
    (found,) = second.filter(what="lightgcn epoch", grows="rows")["exponent"].to_list()
    assert found == pytest.approx(np.log2(pair[1] / pair[0]))
    picture = growth_plot(table).decode()
    assert picture.count("lightgcn epoch") and "modalities, times" in picture


def test_startup_says_all_it_measures(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        startup_bench, "_process", lambda home, arguments: asked.append(arguments) or "0.25\n"
    )
    table = startup_bench.startup(Home(tmp_path), repeats=2)
    assert table["what"].to_list() == ["python itself", "mrs --help", "code location", "a step of Dagster"]
    assert table["seconds"].to_list()[-1] == 0.25 and len(asked) == 8


def test_a_step_of_dagster_is_really_run(tmp_path):
    assert 0 < startup_bench._step(Home(tmp_path)) < 60
