"""Precision, compilation and the most steps of an epoch: what they change, and that they decide results."""

import logging

import pytest
import torch

from mrs_pipeline.deciding import deciding
from mrs_pipeline.errors import InputError
from mrs_pipeline.fitting import fit
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import BatchKind
from mrs_pipeline.training import step
from mrs_pipeline.training.loop import train
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.training.step import step_loss
from mrs_pipeline.training.workload import Workload, require_memory
from mrs_pipeline_tests.toy import build, first_batch, prepared, small_config, toy_market, trained

BY_GRADIENT = [name for name in sorted(MODELS.own) if MODELS[name].spec.batches is not BatchKind.NONE]
ROUNDED = TrainingOptions(precision="bfloat16")


@pytest.fixture(scope="module")
def market():
    return toy_market()


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_a_step_in_bfloat16_is_near_one_in_float32(name, market):
    losses = []
    for options in (TrainingOptions(), ROUNDED):
        model, inputs = build(name, market.data)
        terms = step_loss(model, options)(first_batch(model, inputs))
        assert {term.dtype for term in terms.values()} == {torch.float32}
        total = torch.stack(list(terms.values())).sum()
        total.backward()
        assert all(each.grad is None or each.grad.isfinite().all() for each in model.parameters())
        assert {each.dtype for each in model.parameters()} == {torch.float32}
        losses.append(total.item())
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_products_are_rounded_where_it_is_asked_for(market):
    plain, rounded = (
        fit(
            prepared("vbpr", market.data),
            "vbpr",
            small_config("vbpr"),
            training=TrainingOptions(epochs=8, batch_size=64, patience=99, precision=precision),
        ).result
        for precision in ("float32", "bfloat16")
    )
    assert rounded.history[-1].losses != plain.history[-1].losses
    assert rounded.best_score == pytest.approx(plain.best_score, abs=0.02)


def test_a_compiled_step_gives_the_same_losses(market, monkeypatch):
    """With torch's tracing backend, which needs no compiler."""
    compiled = []

    def traced(function, **settings):
        compiled.append(function)
        return torch_compile(function, backend="aot_eager", **settings)

    torch_compile = torch.compile
    monkeypatch.setattr(step.torch, "compile", traced)
    options = TrainingOptions(epochs=2, batch_size=64, patience=99)
    data = prepared("bpr_mf", market.data)
    plain, other = (
        fit(
            data, "bpr_mf", small_config("bpr_mf"), training=options.model_copy(update={"compile": wanted})
        ).result
        for wanted in (False, True)
    )
    assert len(compiled) == 1
    for one, two in zip(plain.history, other.history, strict=True):
        assert two.losses == pytest.approx(one.losses, rel=1e-5)


@pytest.mark.parametrize("changed", [{"precision": "bfloat16"}, {"compile": True}, {"max_steps": 3}])
def test_they_decide_results(changed):
    assert deciding(TrainingOptions(**changed)) != deciding(TrainingOptions())
    assert deciding(TrainingOptions(device="cpu", threads=3)) == deciding(TrainingOptions())


@pytest.mark.parametrize(
    ("rows", "most", "batch", "factor"),
    [(1000, None, 100, 1), (1000, 10, 100, 1), (1000, 5, 200, 2**0.5), (901, 3, 301, 3.01**0.5)],
)
def test_batches_grow_until_steps_are_few_enough(rows, most, batch, factor):
    options = TrainingOptions(batch_size=100, max_steps=most)
    assert options.batch_for(rows) == batch
    assert options.step_factor(rows) == pytest.approx(factor)
    assert most is None or -(-rows // batch) <= most


def test_a_run_takes_no_more_steps_and_larger_ones(market, monkeypatch):
    steps, rates = [], []
    inner = torch.optim.Adam

    class Counting(inner):
        def step(self, *args, **kwargs):
            steps.append(1)
            rates.append([group["lr"] for group in self.param_groups])
            return super().step(*args, **kwargs)

    monkeypatch.setattr(torch.optim, "Adam", Counting)
    model, inputs = build("end_to_end", market.data)
    options = TrainingOptions(epochs=1, batch_size=16, max_steps=4, checkpoint_every=0)
    train(model, inputs, options, None)
    assert len(steps) == 4
    grown = options.step_factor(len(inputs.users))
    assert grown > 2
    assert rates[0] == pytest.approx([0.03 * grown, 0.01 * grown])  # that of the encoders among them


def workload(steps: int, entries: int) -> Workload:
    return Workload("some", rows=7_000_000, steps=steps, parameters=77_000_000, entries=entries, epochs=1000)


def test_thousands_of_propagations_are_warned_of_and_nothing_else():
    said = workload(3400, 14_000_000).warning()
    assert said is not None
    assert "3,400 steps" in said
    assert "max_steps: 300" in said
    assert workload(3400, 0).warning() is None
    assert workload(300, 14_000_000).warning() is None


def test_what_cannot_fit_is_refused_before_anything_is_made(market, monkeypatch):
    require_memory("some", 1000, 64, free=1_280_000)
    with pytest.raises(
        InputError, match=r"model 'some' needs at least 0\.0 GB .* lower its embedding_size \(now 64\)"
    ):
        require_memory("some", 1000, 64, free=1_279_999)
    monkeypatch.setattr("mrs_pipeline.fitting.free_bytes", lambda device: 10_000.0)
    monkeypatch.setattr("mrs_pipeline.fitting._build", None)
    with pytest.raises(InputError, match="model 'bpr_mf' needs at least"):
        trained("bpr_mf", market.data)


def test_what_a_run_will_take_is_said_where_it_is_long():
    assert workload(30, 0).estimate() is None
    assert "about 1,540 MB" in workload(3400, 0).estimate()
    assert (
        workload(3400, 0)
        .estimate(0.5)
        .endswith("an epoch takes about 28.3 min, 1000 of them at most 472.2 h")
    )


@pytest.mark.parametrize(
    ("name", "propagates"),
    [("lightgcn", True), ("kgat", True), ("grcn", True), ("bpr_mf", False), ("vbpr", False)],
)
def test_models_that_propagate_over_the_graph_are_known(name, propagates, market):
    model, inputs = build(name, market.data)
    found = Workload.of(model, name, len(inputs.users), 5, 1)
    assert (found.entries >= len(inputs.users)) == propagates
    assert found.parameters == sum(each.numel() for each in model.parameters())


def test_the_estimate_comes_after_the_first_steps(market, caplog):
    caplog.set_level(logging.INFO, logger="mrs_pipeline")
    options = TrainingOptions(epochs=1, batch_size=3, checkpoint_every=0)
    model, inputs = build("bpr_mf", market.data)
    train(model, inputs, options, None)
    lines = [record.message for record in caplog.records]
    assert len(lines) == 2
    assert "an epoch takes about" not in lines[0]
    assert "an epoch takes about" in lines[1]
    caplog.clear()
    trained("bpr_mf", market.data, epochs=1)
    assert not caplog.records
