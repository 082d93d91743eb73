"""No model makes the host of a GPU wait in a training step; on a second device it computes what it does on the CPU.

There need be no GPU: `pretend_device` notes what would wait there. What a GPU itself says of an epoch, `torch.cuda`'s
debug mode, is in `mrs bench gpu`.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mrs_pipeline.errors import InputError
from mrs_pipeline.models import inputs as inputs_module
from mrs_pipeline.models.base import PairBatch, Recommender
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.registry import MODELS, model_class
from mrs_pipeline.models.spec import BatchKind
from mrs_pipeline.training.batches import batch_source
from mrs_pipeline.training.loop import train
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline_tests.models.golden import VARIANTS, differences_elsewhere
from mrs_pipeline_tests.pretend_device import (
    ELSEWHERE,
    DevicesMixedError,
    PretendDevice,
    pretend_device,
    values,
)
from mrs_pipeline_tests.toy import N_USERS, prepared, small_config, toy_market

BY_GRADIENT = [name for name in sorted(MODELS.own) if MODELS[name].spec.batches is not BatchKind.NONE]
CASES = [
    *((name, {}) for name in BY_GRADIENT),
    *((name, settings) for name in BY_GRADIENT for settings in VARIANTS.get(name, ())),
]
AT_START = {"lattice": 3, "micro": 2, "mmgcl": 2, "mmssl": 6, "sgl augmentation=node": 2}
"""Waits when an epoch starts, before its first step: how many edges a newly built graph has, the device knows."""
AN_EPOCH = {"sequences": 1, "user_rows": 1}
"""Waits of a source of batches, an epoch: the sizes of all its batches are read at once."""


def label(case: tuple[str, dict[str, object]]) -> str:
    return " ".join([case[0], *(f"{key}={value}" for key, value in case[1].items())])


def model_on(
    device: torch.device | str, name: str, settings: dict[str, object]
) -> tuple[Recommender, ModelInputs]:
    inputs = ModelInputs.from_data(prepared(name, toy_market().data, **settings), device)
    generator = torch.Generator(device)
    generator.manual_seed(3)
    return model_class(name)(small_config(name, **settings), inputs, generator), inputs


def step(model: Recommender, batch: Any) -> dict[str, Tensor]:
    terms = model.loss(batch)
    torch.stack(list(terms.values())).sum().backward()
    return terms


def moved(batch: Any) -> Any:
    """A batch of the CPU on the other device."""
    if isinstance(batch, Tensor):
        return batch.to(ELSEWHERE)
    if is_dataclass(batch):
        return type(batch)(**{field.name: moved(getattr(batch, field.name)) for field in fields(batch)})
    return batch


@pytest.mark.parametrize("case", CASES, ids=label)
def test_no_step_waits(case):
    name, settings = case
    with pretend_device() as seen:
        model, inputs = model_on(ELSEWHERE, name, settings)
        source = batch_source(model, inputs, 64)
        model.train()
        seen.forget()
        model.start_epoch()
        assert len(seen.waits) <= AT_START.get(label(case), 0), seen.waits
        seen.forget()
        batches = source.epoch(model.generator)
        for number in range(min(3, source.n_batches)):
            batch = next(batches)
            assert len(seen.waits) == (0 if number else AN_EPOCH.get(str(model.spec.batches), 0)), seen.waits
            seen.forget()
            step(model, batch)
            assert seen.waits == []


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_step_is_the_same_on_the_other_device(case):
    """What stands there for its size alone changes neither a loss nor a gradient. Draws are left out."""
    name, settings = case
    config = model_class(name).Config
    if name != "dropoutnet" and "dropout" in config.model_fields:
        settings = {**settings, "dropout": 0.0}
    here, inputs = model_on("cpu", name, settings)
    here.train()
    here.start_epoch()
    batch = next(batch_source(here, inputs, 64).epoch(torch.Generator().manual_seed(5)))
    here.generator.manual_seed(7)
    wanted = step(here, batch)
    with pretend_device():
        there, _ = model_on(ELSEWHERE, name, settings)
        there.train()
        there.start_epoch()
        sent = moved(batch)
        there.generator.manual_seed(7)
        found = step(there, sent)
    assert found.keys() == wanted.keys()
    for term, value in wanted.items():
        torch.testing.assert_close(values(found[term].detach()), value.detach(), rtol=2e-5, atol=2e-6)
    for (parameter, one), (_, other) in zip(here.named_parameters(), there.named_parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), parameter
        if one.grad is not None and other.grad is not None:
            scale = float(one.grad.abs().max())
            gap = float((values(other.grad) - one.grad).abs().max())
            assert gap <= 1e-4 * scale + 1e-7, (parameter, gap, scale)


@pytest.mark.parametrize("name", ["vbpr", "sasrec", "macridvae", "freedom"])
def test_an_epoch_waits_as_often_whatever_its_steps_are(name, monkeypatch):
    monkeypatch.setattr(torch.optim, "Adam", plain_adam)

    def waits(batch_size: int) -> list[str]:
        with pretend_device() as seen:
            model, inputs = model_on(ELSEWHERE, name, {})
            seen.forget()
            options = TrainingOptions(epochs=1, batch_size=batch_size, checkpoint_every=0)
            train(model, inputs, options, None)
            return list(seen.waits)

    few, many = waits(512), waits(16)
    assert few == many
    assert len([wait for wait in few if "training/loop.py" in wait]) >= 1, "the losses are read once"


def plain_adam(groups: Any, lr: float = 1e-3, **_: Any) -> torch.optim.Optimizer:
    """The fused step is refused on a device that torch does not know."""
    return ADAM(groups, lr=lr, fused=False, foreach=True, capturable=False)


ADAM = torch.optim.Adam


def faulty(kind: str, table: nn.Parameter, batch: PairBatch) -> Tensor:
    rows = table[batch.users]
    if kind == "a value":
        return rows.sum() * rows.sum().item()
    if kind == "a question":
        return rows.sum() if (rows > 0).all() else rows.mean()
    if kind == "a filter":
        return rows[batch.positives > 3].sum()
    if kind == "distinct rows":
        return table[torch.unique(batch.users)].sum()
    if kind == "a list":
        return (rows * torch.tensor([1.0] * rows.shape[1], device=rows.device)).sum()
    if kind == "a count":
        return rows.sum() * torch.bincount(batch.users).sum()
    return rows[rows.detach().norm(dim=1).nonzero().flatten()].sum()


@pytest.mark.parametrize(
    "kind", ["a value", "a question", "a filter", "distinct rows", "a list", "a count", "nonzero"]
)
def test_a_wait_is_found(kind):
    with pretend_device() as seen:
        table = nn.Parameter(torch.ones(9, 4, device=ELSEWHERE))
        batch = PairBatch(*(torch.arange(8, device=ELSEWHERE) for _ in range(3)))
        seen.forget()
        faulty(kind, table, batch).backward()
        assert seen.waits


def test_tensors_of_two_devices_do_not_mix():
    with pretend_device(), pytest.raises(DevicesMixedError, match="on the CPU"):
        torch.ones(3, device=ELSEWHERE) + torch.ones(3)


@pytest.fixture
def device() -> Iterator[PretendDevice]:
    with pretend_device() as seen:
        yield seen


@pytest.mark.parametrize("name", sorted(MODELS.own))
def test_scores_are_the_same_on_the_other_device(name, device):
    """And every tensor of the model, be it a parameter or derived from the data, is there."""
    users = torch.arange(N_USERS)
    here, _ = model_on("cpu", name, {})
    there, _ = model_on(ELSEWHERE, name, {})
    if here.spec.batches is BatchKind.NONE:
        here.fit_closed_form()
        there.fit_closed_form()
    assert left_behind(there) == []
    expected, found = here.score(users), values(there.score(users.to(ELSEWHERE)))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def left_behind(thing: Any, path: str = "", met: set[int] | None = None) -> list[str]:
    """Where in a model's attributes there are tensors of the CPU."""
    met = set() if met is None else met
    if id(thing) in met or isinstance(thing, torch.Generator | torch.dtype):
        return []
    met.add(id(thing))
    if isinstance(thing, Tensor):
        return [path] if thing.device != ELSEWHERE else []
    if isinstance(thing, dict):
        parts = [(str(key), value) for key, value in thing.items()]
    elif isinstance(thing, list | tuple):
        parts = [(str(number), value) for number, value in enumerate(thing)]
    elif type(thing).__module__.startswith(("mrs_pipeline", "torch.nn")) and hasattr(thing, "__dict__"):
        parts = list(vars(thing).items())
    else:
        return []
    return [place for name, part in parts for place in left_behind(part, f"{path}.{name}", met)]


GOLDEN = [(name, settings) for name in sorted(MODELS.own) for settings in ({}, *VARIANTS.get(name, ()))]


@pytest.mark.parametrize("case", GOLDEN, ids=label)
def test_the_way_of_a_gpu_gives_the_golden_values(case, device):
    assert differences_elsewhere(*case, ELSEWHERE) == []


def test_what_is_left_behind_is_found(device):
    model, _ = model_on(ELSEWHERE, "bpr_mf", {})
    model.forgotten = [torch.zeros(2)]
    assert left_behind(model) == [".forgotten.0"]


@pytest.mark.parametrize("name", ["end_to_end", "end_to_end_sasrec"])
@pytest.mark.parametrize("at_once", [7, 256])
def test_content_that_is_too_large_stays_with_the_host_and_trains_the_same(name, at_once, monkeypatch):
    settings = {"dropout": 0.0} if name == "end_to_end_sasrec" else {}
    settings = {**settings, "items_at_once": at_once}
    here, inputs = model_on("cpu", name, settings)
    batch = next(batch_source(here, inputs, 64).epoch(torch.Generator().manual_seed(5)))
    here.train()
    wanted = step(here, batch)
    size = max(raw.values.numel() * raw.values.element_size() for raw in inputs.raw.values())
    monkeypatch.setattr(inputs_module, "memory_of", lambda device: 4 * size - 1)
    with pretend_device() as seen:
        there, inputs = model_on(ELSEWHERE, name, settings)
        assert {raw.values.device.type for raw in inputs.raw.values()} == {"cpu", "meta"}
        there.train()
        sent = moved(batch)
        seen.forget()
        found = step(there, sent)
        assert len([wait for wait in seen.waits if wait.startswith("copy to the host")]) == 1, seen.waits
    for term, value in wanted.items():
        torch.testing.assert_close(values(found[term].detach()), value.detach(), rtol=1e-4, atol=1e-6)
    for one, other in zip(here.parameters(), there.parameters(), strict=True):
        if one.grad is not None and other.grad is not None:
            torch.testing.assert_close(values(other.grad), one.grad, rtol=1e-3, atol=1e-6)


def test_features_that_no_memory_holds_are_refused_with_their_size(monkeypatch):
    monkeypatch.setattr(inputs_module, "memory_of", lambda device: 100.0)
    with pytest.raises(InputError, match=r"'image' takes 0.0 GB, the GPU has 0.0 GB: set `training: .*cpu"):
        ModelInputs.from_data(toy_market().data)
