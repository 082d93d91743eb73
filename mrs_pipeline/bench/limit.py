"""What `mrs bench limit` measures: how near a training step is to what this machine's memory and arithmetic allow.

The limit of a step is its counted bytes (`counted`) over the bandwidth of copying a large table, or its products over
the rate of a large product, whichever is longer. Both rates are measured in the same run, before and after the steps,
with the same threads; the better ones count. A share above 1 means that caches served what memory would have.
"""

import io
import statistics
import time
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any, Final, NamedTuple

import polars as pl
import torch

from mrs_pipeline.bench.counted import Counting
from mrs_pipeline.bench.gpu_checks import built, with_needs
from mrs_pipeline.bench.gpu_market import market
from mrs_pipeline.bench.hardware import Limits, measured_limits
from mrs_pipeline.evaluation.evaluator import ranking_evidence, ranking_task
from mrs_pipeline.metrics.evidence import Background
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import BatchKind
from mrs_pipeline.training.batches import batch_source
from mrs_pipeline.types import TrainingData

MODELS_OF_LIMIT: Final = ("bpr_mf", "vbpr", "lightgcn", "freedom", "bm3", "mgcn", "pyg")
"""Models of the table where none are named."""
GROWN: Final = ("lightgcn", "vbpr", "item_knn")
"""Models whose growth is measured."""
_BATCH: Final = 2048
_STEPS: Final = 7
_CPU: Final = torch.device("cpu")


def shares(names: Sequence[str], users: int, items: int, per_user: int) -> pl.DataFrame:
    """A row a model: milliseconds of a step, its limit, and the share of the limit that is reached.

    Columns model, rows, step_ms, step_cpu_ms, sparse_mb, dense_mb, gflop, operations, limit_ms, share,
    bandwidth_gb_s, threads.
    """
    data = market(users, items, per_user)
    before = measured_limits(_CPU)
    steps = [(name, *_step_of(name, data)) for name in names]
    after = measured_limits(_CPU)
    limits = Limits(*map(max, zip(astuple(before), astuple(after), strict=True)))
    rows = []
    for name, taken, counted in steps:
        limit = limits.seconds(counted.bytes, counted.flops)
        rows.append(
            {
                "model": name,
                "rows": len(data.train),
                "step_ms": 1e3 * taken.clock,
                "step_cpu_ms": 1e3 * taken.cpu,
                "sparse_mb": counted.sparse_bytes / 1e6,
                "dense_mb": counted.dense_bytes / 1e6,
                "gflop": counted.flops / 1e9,
                "operations": counted.operations,
                "limit_ms": 1e3 * limit,
                "share": limit / taken.clock,
                "bandwidth_gb_s": limits.bytes_per_second / 1e9,
                "threads": torch.get_num_threads(),
            }
        )
    return pl.DataFrame(rows)


def growth(users: int, items: int, per_user: int, doublings: int) -> pl.DataFrame:
    """Seconds of an epoch of `GROWN` and of an evaluation as rows, users, items and modalities double.

    Columns what, grows, factor, cpu_seconds, which other programs disturb least; `exponent` is log2 of the growth of
    the last doubling: 1 is linear.
    """
    found: list[dict[str, str | int | float]] = []
    for grows in ("rows", "users", "items", "modalities"):
        for power in range(doublings + 1):
            factor = 2**power
            data = _grown(users, items, per_user, grows, factor)
            for what, seconds in _times(data).items():
                found.append({"what": what, "grows": grows, "factor": factor, "cpu_seconds": seconds})
    table = pl.DataFrame(found)
    before = pl.col("cpu_seconds").shift(1).over("what", "grows", order_by="factor")
    return table.with_columns(exponent=(pl.col("cpu_seconds") / before).log(2))


def _grown(users: int, items: int, per_user: int, grows: str, factor: int) -> TrainingData:
    """The market with one of its sizes multiplied; users bring their rows with them."""
    if grows == "modalities":
        data = market(users, items, per_user)
        features = {
            f"{name}{copy}": matrix for name, matrix in data.features.items() for copy in range(factor)
        }
        return TrainingData(data.train, data.valid, features, knowledge=data.knowledge)
    sizes = {"rows": (users, items, per_user * factor), "users": (users * factor, items, per_user)}
    return market(*sizes.get(grows, (users, items * factor, per_user)))


def _times(data: TrainingData) -> dict[str, float]:
    seconds = {}
    for name in GROWN:
        started = time.process_time()
        if MODELS[name].spec.batches is BatchKind.NONE:
            model, _ = built(name, with_needs(name, data), _CPU)
            model.fit_closed_form()
            seconds[f"{name} solved"] = time.process_time() - started
            continue
        step, _ = _step_of(name, data)
        seconds[f"{name} epoch"] = step.cpu * -(-len(data.train) // _BATCH)
        if name == "lightgcn":
            model, _ = built(name, with_needs(name, data), _CPU)
            started = time.process_time()
            ranking_evidence(model, ranking_task(data.valid, [data.train]), Background(data.train))
            seconds["evaluation"] = time.process_time() - started
    return seconds


class _Taken(NamedTuple):
    """Median seconds of a step, by the clock and of the processors."""

    clock: float
    cpu: float


def _step_of(name: str, data: TrainingData) -> tuple[_Taken, Counting]:
    """What a training step takes, and what one moves."""
    model, inputs = built(name, with_needs(name, data), _CPU)
    model.train()
    model.start_epoch()
    batch: Any = next(batch_source(model, inputs, _BATCH).epoch(model.generator))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(model.loss(batch).values())).sum().backward()
        optimiser.step()

    step()  # sets libraries up
    taken = []
    for _ in range(_STEPS):
        clock, cpu = time.perf_counter(), time.process_time()
        step()
        taken.append((time.perf_counter() - clock, time.process_time() - cpu))
    with Counting() as counted:
        step()
    return _Taken(*(statistics.median(each) for each in zip(*taken, strict=True))), counted


def growth_plot(table: pl.DataFrame) -> bytes:
    """A picture (SVG) of `growth`: a panel for what grows, both axes logarithmic, a line of slope 1 beside."""
    from matplotlib.figure import Figure

    kinds = table["grows"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(3.2 * len(kinds), 3.2), layout="constrained")
    for axes, kind in zip(figure.subplots(1, len(kinds), sharey=True), kinds, strict=True):
        rows = table.filter(grows=kind).sort("factor")
        for (what,), line in rows.group_by("what", maintain_order=True):
            axes.plot(line["factor"], line["cpu_seconds"], marker="o", label=what)
        factors = rows["factor"].unique().sort()
        least = rows["cpu_seconds"].min()
        axes.plot(factors, factors * least, color="grey", linestyle=":", label="linear")
        axes.set(xscale="log", yscale="log", xlabel=f"{kind}, times")
        axes.set_xticks(factors.to_list(), [str(each) for each in factors])
    figure.axes[0].set_ylabel("CPU seconds")
    figure.axes[-1].legend(fontsize="x-small")
    picture = io.BytesIO()
    figure.savefig(picture, format="svg", metadata={"Date": None})
    return picture.getvalue()
