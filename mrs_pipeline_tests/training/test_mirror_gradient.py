"""Mirror Gradient: the update rule by hand, and that it leaves no trace beyond a run."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from mrs_pipeline.fitting import fit
from mrs_pipeline.models.base import Recommender
from mrs_pipeline.models.config import GradientConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.spec import ModelSpec
from mrs_pipeline.taxonomy import Cell
from mrs_pipeline.training.checkpoint import CheckpointFile
from mrs_pipeline.training.loop import train
from mrs_pipeline.training.options import MirrorGradientOptions, TrainingOptions
from mrs_pipeline_tests.toy import build, small_config

MIRROR = MirrorGradientOptions(every=3, descent=0.8, ascent=0.3)
OPTIONS = TrainingOptions(epochs=6, batch_size=64, patience=1000, checkpoint_every=2, mirror_gradient=MIRROR)
RATE = 0.05


class Bowl(Recommender):
    """A quadratic loss, so that gradients are known: 1/2 sum a_k w_k^2, in two terms."""

    spec = ModelSpec("bowl", "Bowl", "-", "-", frozenset({Cell.BASELINE}), "-")
    Config = GradientConfig
    steepness = torch.tensor([1.0, 4.0])

    def __init__(self, inputs: ModelInputs) -> None:
        super().__init__(GradientConfig(learning_rate=RATE), inputs, torch.Generator().manual_seed(0))
        self.weight = nn.Parameter(torch.tensor([1.0, -2.0]))
        self.calls = 0

    def loss(self, batch):
        self.calls += 1
        parts = 0.5 * self.steepness * self.weight**2
        return {"first": parts[0], "second": parts[1]}

    def representations(self):
        return self.weight[:1].expand(60, 1), self.weight[1:].expand(40, 1)


def gradient(weight: np.ndarray) -> np.ndarray:
    return np.array([1.0, 4.0]) * weight


class Adam:
    """Kingma & Ba, ICLR 2015, algorithm 1."""

    def __init__(self) -> None:
        self.first = self.second = np.zeros(2)
        self.step = 0

    def __call__(self, weight: np.ndarray, slope: np.ndarray) -> np.ndarray:
        self.step += 1
        self.first = 0.9 * self.first + 0.1 * slope
        self.second = 0.999 * self.second + 0.001 * slope**2
        mean, square = self.first / (1 - 0.9**self.step), self.second / (1 - 0.999**self.step)
        return weight - RATE * mean / (np.sqrt(square) + 1e-8)


def descent(weight: np.ndarray, slope: np.ndarray) -> np.ndarray:
    return weight - RATE * slope


def by_hand(step, n_steps: int, epochs: int, mirror: MirrorGradientOptions | None) -> np.ndarray:
    """The weight after all steps; the first of an epoch, and then every so many, goes down and up again."""
    weight = np.array([1.0, -2.0])
    for _ in range(epochs):
        for number in range(n_steps):
            if mirror is not None and number % mirror.every == 0:
                weight = step(weight, mirror.descent * gradient(weight))
                weight = step(weight, -mirror.ascent * gradient(weight))
            else:
                weight = step(weight, gradient(weight))
    return weight


@pytest.fixture
def inputs(market) -> ModelInputs:
    return ModelInputs.from_data(market.data)


def plain_descent(parameters, lr, fused):
    return torch.optim.SGD(parameters, lr=lr)


@pytest.mark.parametrize("mirror", [None, MIRROR, MirrorGradientOptions(every=1)])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_update_rule(inputs, mirror, optimiser, monkeypatch):
    if optimiser == "sgd":
        monkeypatch.setattr(torch.optim, "Adam", plain_descent)
    model = Bowl(inputs)
    options = OPTIONS.model_copy(update={"epochs": 2, "mirror_gradient": mirror})
    result = train(model, inputs, options, lambda current: float(current.calls))
    n_steps = -(-len(inputs.users) // 64)
    mirrored = 0 if mirror is None else -(-n_steps // mirror.every)
    assert n_steps > 4
    assert model.calls == 2 * (n_steps + mirrored)
    step = descent if optimiser == "sgd" else Adam()
    assert np.allclose(model.weight.detach().numpy(), by_hand(step, n_steps, 2, mirror), atol=1e-5)
    assert set(result.history[0].losses) == {"first", "second"}


def test_losses_on_record_are_those_of_the_way_down(inputs):
    """The term as the model gives it: neither scaled nor taken after the step."""
    model = Bowl(inputs)
    options = OPTIONS.model_copy(
        update={"epochs": 1, "batch_size": 10**6, "mirror_gradient": MirrorGradientOptions(every=1)}
    )
    result = train(model, inputs, options, lambda _: 0.0)
    assert result.history[0].losses == {"first": 0.5, "second": 8.0}


class KilledError(Exception):
    pass


@pytest.mark.parametrize("name", ["freedom", "dropoutnet"])
def test_an_interrupted_run_ends_bit_equal(name, market, tmp_path):
    def score(model) -> float:
        return -abs(float(model.score(torch.arange(60)).std()) - 0.6)

    calls = []

    def killed(model) -> float:
        calls.append(1)
        if len(calls) == 4:
            raise KilledError
        return score(model)

    model, inputs = build(name, market.data)
    whole = train(model, inputs, OPTIONS, score)
    file = CheckpointFile(tmp_path, "same")
    with pytest.raises(KilledError):
        train(build(name, market.data)[0], inputs, OPTIONS, killed, file)
    resumed, _ = build(name, market.data)
    again = train(resumed, inputs, OPTIONS, score, file)
    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in model.state_dict().items())
    assert [record.losses for record in again.history] == [record.losses for record in whole.history]


def test_a_checkpoint_of_plain_steps_is_not_gone_on_with(market, tmp_path):
    plain = OPTIONS.model_copy(update={"mirror_gradient": None})
    config = small_config("bpr_mf")
    fit(market.data, "bpr_mf", config, training=plain, checkpoints=tmp_path)
    mirrored = fit(market.data, "bpr_mf", config, training=OPTIONS, checkpoints=tmp_path)
    fresh = fit(market.data, "bpr_mf", config, training=OPTIONS)
    everyone = torch.arange(60)
    assert torch.equal(mirrored.model.score(everyone), fresh.model.score(everyone))


def test_settings_are_bounded():
    assert TrainingOptions().mirror_gradient is None
    assert MirrorGradientOptions() == MirrorGradientOptions(every=3, descent=1.0, ascent=0.2)
    for wrong in ({"every": 0}, {"ascent": 0}, {"descent": -1}, {"beta": 3}):
        with pytest.raises(ValidationError):
            TrainingOptions(mirror_gradient=wrong)
