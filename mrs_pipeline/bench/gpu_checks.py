"""What is checked of every model on a device: scores as on the CPU, a finite step, no wait for the host in an epoch."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import torch

from mrs_pipeline.bench.gpu import Bench, GpuRow
from mrs_pipeline.bench.gpu_market import market
from mrs_pipeline.functional.graphs import with_item_graphs
from mrs_pipeline.models.base import AnyRecommender, Batch, Recommender
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.registry import MODELS, model_class
from mrs_pipeline.models.spec import BatchKind
from mrs_pipeline.training.batches import batch_source
from mrs_pipeline.training.pretraining import with_pretrained
from mrs_pipeline.types import TrainingData

_TOLERANCE = 1e-3
"""Largest difference of scores as a share of the largest one: float32 sums in another order, and TF32 nowhere."""
_BATCH = 256


def checks(bench: Bench) -> Iterator[GpuRow]:
    """A row a model: how far its scores are from the CPU's, and how often an epoch's steps made the host wait."""
    data = market(300, 200, 12, raw=True)
    for name in sorted(MODELS.own):
        if bench.over:
            yield GpuRow("checks", name, note="not begun: the time was up")
            continue
        try:
            yield GpuRow("checks", name, note=_checked(name, data, bench.device))
        except ImportError as error:
            yield GpuRow("checks", name, note=f"left out: {error}")
        except (RuntimeError, AssertionError) as error:
            yield GpuRow("checks", name, note=f"FAILED: {' '.join(str(error).split())[:200]}")


def _checked(name: str, data: TrainingData, device: torch.device) -> str:
    data = with_needs(name, data)
    here, _ = built(name, data, torch.device("cpu"))
    there, inputs = built(name, data, device)
    by_steps = here.spec.batches is not BatchKind.NONE
    if by_steps:
        there.load_state_dict(here.state_dict())
    else:
        here.fit_closed_form()
        there.fit_closed_form()
    users = torch.arange(data.train.n_users)
    wanted, found = here.score(users), there.score(users.to(device)).cpu()
    gap = float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-12))
    if not gap <= _TOLERANCE:
        raise AssertionError(f"scores differ from the CPU's by {gap:.2g} of the largest")
    if not by_steps:
        return f"scores within {gap:.1e}; solved, no steps"
    waits = _waits(cast("Recommender[ModelConfig, Batch]", there), inputs)
    if waits:
        raise AssertionError(f"{len(waits)} waits for the host in an epoch's steps, first: {waits[0]}")
    asked = "no wait in an epoch's steps" if device.type == "cuda" else "waits are not seen on a CPU"
    return f"scores within {gap:.1e}; {asked}"


def _waits(model: Recommender[ModelConfig, Batch], inputs: ModelInputs) -> list[str]:
    """Warnings of `torch.cuda`'s debug mode in the steps of a second epoch; the first sets libraries up."""
    optimizer = torch.optim.Adam([dict(group) for group in model.parameter_groups()], fused=True)
    model.train()
    found: list[str] = []
    for number in range(2):
        model.start_epoch()
        for batch in list(batch_source(model, inputs, _BATCH).epoch(model.generator)):
            with _noted(found if number else [], inputs.device):
                optimizer.zero_grad(set_to_none=True)
                total = torch.stack(list(model.loss(batch).values())).sum()
                total.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        if not total.isfinite():
            raise AssertionError("the loss is not finite")
    return found


@contextmanager
def _noted(into: list[str], device: torch.device) -> Iterator[None]:
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
    into += [f"{each.filename}:{each.lineno}" for each in seen if "synchroniz" in str(each.message)]


def with_needs(name: str, data: TrainingData) -> TrainingData:
    """`data` with graphs and vectors that the model needs, as `fitting.prepare` makes them, without its libraries."""
    kind = model_class(name)
    config = kind.Config()
    if config.item_neighbours:
        data = with_item_graphs(data, config.item_neighbours.count)
    if config.user_neighbours:
        from mrs_pipeline.functional.user_graph import user_graph  # SciPy

        data = replace(data, user_graph=user_graph(data.train, config.user_neighbours.count))
    if kind.spec.pretraining:
        data = with_pretrained(data, kind.spec.pretraining, {"epochs": 1})
    return data


def built(
    name: str, data: TrainingData, device: torch.device, settings: Mapping[str, Any] | None = None
) -> tuple[AnyRecommender, ModelInputs]:
    """An untrained model on `device`."""
    inputs = ModelInputs.from_data(data, device)
    generator = torch.Generator(device)
    generator.manual_seed(1)
    kind = model_class(name)
    return kind(kind.Config(**(settings or {})), inputs, generator), inputs
