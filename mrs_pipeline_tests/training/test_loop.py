"""The loop: gradients cleared, best weights kept, interruptions without a trace, divergence named."""

import math

import pytest
import torch
from torch import nn

from mrs_pipeline.errors import NonFiniteLossError
from mrs_pipeline.models.base import Recommender
from mrs_pipeline.models.config import GradientConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import ModelSpec
from mrs_pipeline.taxonomy import Cell
from mrs_pipeline.training import loop
from mrs_pipeline.training.checkpoint import CheckpointFile
from mrs_pipeline.training.loop import train
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline_tests.toy import build

OPTIONS = TrainingOptions(epochs=6, batch_size=64, patience=1000, checkpoint_every=2)
EVERYONE = torch.arange(60)


class Probe(Recommender):
    """A model whose loss terms a test can steer."""

    spec = ModelSpec("probe", "Probe", "-", "-", frozenset({Cell.BASELINE}), "-")
    Config = GradientConfig

    def __init__(self, inputs: ModelInputs, terms=None, learning_rate: float = 0.1) -> None:
        super().__init__(
            GradientConfig(learning_rate=learning_rate), inputs, torch.Generator().manual_seed(0)
        )
        self.weight = nn.Parameter(torch.ones(2))
        self.terms = terms or (lambda step: {"main": self.weight.sum()})
        self.steps = 0

    def loss(self, batch):
        self.steps += 1
        return self.terms(self.steps)

    def representations(self):
        return self.weight[:1].expand(60, 1), self.weight[1:].expand(40, 1)


@pytest.fixture
def inputs(market) -> ModelInputs:
    return ModelInputs.from_data(market.data)


def test_gradients_do_not_pile_up(inputs):
    """Without steps, the gradient after many batches is that of the last alone."""
    model = Probe(inputs, learning_rate=1e-30)
    train(model, inputs, replace_options(epochs=1), lambda _: 0.0)
    assert model.steps > 1
    assert torch.equal(model.weight.grad, torch.ones(2))


def replace_options(**changes) -> TrainingOptions:
    return OPTIONS.model_copy(update=changes)


def test_all_terms_are_summed_and_averaged_by_name(inputs):
    model = Probe(inputs, learning_rate=1e-30)
    model.terms = lambda step: {"a": model.weight.sum() * 0 + step, "b": -2 * model.weight.sum()}
    result = train(model, inputs, replace_options(epochs=1), lambda _: 0.0)
    assert result.history[0].losses == {"a": (model.steps + 1) / 2, "b": -4.0}
    assert torch.equal(model.weight.grad, torch.full((2,), -2.0))


def test_ends_with_the_weights_of_the_best_epoch(inputs):
    model, seen = Probe(inputs), []

    def validate(current):
        seen.append(current.weight.detach().clone())
        return [0.1, 0.5, 0.2, 0.3, 0.4][len(seen) - 1]

    result = train(model, inputs, replace_options(epochs=50, patience=3), validate)
    assert len(seen) == len(result.history) == 5
    assert (result.best_epoch, result.best_score) == (2, 0.5)
    assert torch.equal(model.weight, seen[1])
    assert not torch.equal(model.weight, seen[-1])


def test_validates_every_so_many_epochs_and_at_the_end(inputs):
    result = train(Probe(inputs), inputs, replace_options(epochs=5, eval_every=2), lambda _: 0.0)
    assert [record.epoch for record in result.history if record.score is not None] == [2, 4, 5]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_named(inputs, value):
    model = Probe(inputs)
    model.terms = lambda step: {
        "good": model.weight.sum(),
        "bad": model.weight.sum() * (value if step == 9 else 1),
    }
    with pytest.raises(NonFiniteLossError, match=r"'probe': loss term 'bad' is (nan|inf) at epoch 2, step 3"):
        train(model, inputs, OPTIONS, lambda _: 0.0)


def test_a_validation_score_that_is_not_finite_is_refused(inputs):
    with pytest.raises(NonFiniteLossError, match="validation score is nan at epoch 1"):
        train(Probe(inputs), inputs, OPTIONS, lambda _: float("nan"))


class KilledError(Exception):
    pass


def kill_at(epoch: int, score):
    calls = iter(range(1, 1000))

    def validate(model):
        if next(calls) == epoch:
            raise KilledError
        return score(model)

    return validate


def wobbly(model) -> float:
    """A validation score that is best somewhere in the middle, from the model alone."""
    return -abs(float(model.score(EVERYONE).std()) - 0.6)


@pytest.mark.parametrize(
    "name", sorted(name for name in MODELS if issubclass(MODELS[name].Config, GradientConfig))
)
def test_an_interrupted_run_ends_bit_equal_to_an_uninterrupted_one(name, market, tmp_path):
    model, inputs = build(name, market.data)
    whole = train(model, inputs, OPTIONS, wobbly)

    file = CheckpointFile(tmp_path, "same")
    # in epoch 1, before any checkpoint; in epoch 3; after the checkpoint of epoch 2, in epoch 6
    for validations in (1, 3, 4):
        with pytest.raises(KilledError):
            train(build(name, market.data)[0], inputs, OPTIONS, kill_at(validations, wobbly), file)
    resumed, _ = build(name, market.data)
    result = train(resumed, inputs, OPTIONS, wobbly, file)

    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in model.state_dict().items())
    assert torch.equal(model.generator.get_state(), resumed.generator.get_state())
    assert (result.best_epoch, result.best_score) == (whole.best_epoch, whole.best_score)
    assert [r.losses for r in result.history] == [r.losses for r in whole.history]


def test_a_finished_run_is_not_trained_again(inputs, tmp_path):
    file = CheckpointFile(tmp_path, "same")
    train(Probe(inputs), inputs, OPTIONS, lambda _: 0.0, file)
    model = Probe(inputs)
    assert len(train(model, inputs, OPTIONS, lambda _: 0.0, file).history) == 6
    assert model.steps == 0


def test_without_validation_it_runs_to_its_last_epoch(inputs):
    model = Probe(inputs)
    result = train(model, inputs, OPTIONS, None)
    assert (len(result.history), result.best_epoch) == (6, 6)
    assert math.isnan(result.best_score)
    assert all(record.score is None for record in result.history)
    assert torch.allclose(model.weight, torch.full((2,), 1 - 0.1 * model.steps), atol=1e-3)


@pytest.mark.parametrize("killed_at", [2, 4])
def test_without_validation_it_goes_on_bit_equal(killed_at, market, tmp_path, monkeypatch):
    model, inputs = build("bm3", market.data)
    train(model, inputs, OPTIONS, None)
    file, steps = CheckpointFile(tmp_path, "same"), loop._Run._steps

    def dying(self, epoch):
        if epoch == killed_at + 1:
            raise KilledError
        return steps(self, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "_steps", dying)
        with pytest.raises(KilledError):
            train(build("bm3", market.data)[0], inputs, OPTIONS, None, file)
    resumed, _ = build("bm3", market.data)
    result = train(resumed, inputs, OPTIONS, None, file)
    assert [record.epoch for record in result.history] == [1, 2, 3, 4, 5, 6]
    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in model.state_dict().items())


def test_patience_may_be_raised_for_a_run_that_goes_on(inputs, tmp_path):
    file = CheckpointFile(tmp_path, "same")
    first = train(Probe(inputs), inputs, replace_options(patience=2, checkpoint_every=1), lambda _: 0.0, file)
    longer = train(
        Probe(inputs), inputs, replace_options(patience=4, checkpoint_every=1), lambda _: 0.0, file
    )
    assert (len(first.history), len(longer.history)) == (3, 5)


def test_closed_form_takes_one_step(market):
    model, inputs = build("ease", market.data)
    result = train(model, inputs, OPTIONS, lambda _: 0.25)
    assert len(result.history) == 1
    assert (result.best_score, result.history[0].losses) == (0.25, {})
    assert result.peak_memory_mb > 0


def test_features_of_the_run_are_untouched(market):
    """The loop trains parameters only."""
    model, inputs = build("freedom", market.data)
    before = {name: tensor.clone() for name, tensor in inputs.features.items()}
    train(model, inputs, replace_options(epochs=1), lambda _: 0.0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in inputs.features.items())
