"""IISAN: side networks beside frozen encoders, against its equations in dense NumPy and the encoders' own states."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.fitting import fit, load, save
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline_tests.models.small import affine, weights
from mrs_pipeline_tests.models.test_end_to_end import pretrained
from mrs_pipeline_tests.models.test_formulas_sequence import sigmoid
from mrs_pipeline_tests.toy import N_ITEMS, N_USERS, build, small_config

ITEMS = torch.arange(N_ITEMS)
EVERYONE = torch.arange(N_USERS)


@pytest.fixture(scope="module")
def networked(market):
    raw = {name: replace(content, network=pretrained(name)) for name, content in market.data.raw.items()}
    return replace(market.data, raw=raw)


def adapted(w, name, x):
    return x + affine(w, f"{name}.up", np.maximum(affine(w, f"{name}.down", x), 0))


def item_vectors(model):
    w, frozen = weights(model), model.frozen
    states, present = {}, {}
    for name in ("image", "text"):
        rows, there = frozen.rows(name, ITEMS)
        present[name] = there.numpy()
        states[name] = [
            affine(w, f"narrowed.{name}.{at}", row.double().numpy()) for at, row in enumerate(rows)
        ]
    ends = []
    for name, own in states.items():
        kept = np.zeros_like(own[0])
        for at, state in enumerate(own):
            gate = sigmoid(w[f"gates.{name}"][at] / 0.1)
            kept = adapted(w, f"own.{name}.{at}", gate * state + (1 - gate) * kept)
        ends.append(kept * present[name][:, None])
    having = np.stack(list(present.values()), axis=1)
    kept = np.zeros_like(ends[0])
    for at in range(frozen.count):
        powers = np.exp(w["mixture"][at] / 0.1) * having
        shares = powers / np.maximum(powers.sum(1, keepdims=True), 1e-30)
        mixed = sum(shares[:, [m]] * own[at] for m, own in enumerate(states.values()))
        kept = adapted(w, f"between.{at}", kept + mixed)
    return affine(w, "output", np.hstack([*ends, kept])) * having.any(1, keepdims=True)


@pytest.mark.parametrize("kind", ["scratch", "network"])
def test_item_vectors(kind, market, networked):
    model, _ = build("iisan", market.data if kind == "scratch" else networked)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=model.generator), alpha=0.1)
        found = model.item_parts()["content"].numpy()
    assert np.allclose(found, item_vectors(model), atol=1e-4)
    assert model.frozen.count == 2


def test_states_are_those_after_the_encoders_layers(networked):
    model, _ = build("iisan", networked)
    raw = networked.raw["text"]
    network = model.frozen.encoders["text"].network
    having = np.flatnonzero(raw.present)[:5]
    tokens = torch.from_numpy(raw.values[having].astype(np.int64))
    real = tokens >= 0
    with torch.no_grad():
        hidden = network(
            input_ids=tokens.clamp(min=0), attention_mask=real.long(), output_hidden_states=True
        ).hidden_states
    kept, there = model.frozen.rows("text", torch.from_numpy(having))
    assert there.all()
    for state, expected in zip(kept, hidden[1:], strict=True):
        mean = (expected * real.unsqueeze(2)).sum(1) / real.sum(1, keepdim=True)
        assert torch.allclose(state, mean, atol=1e-5)
    absent = torch.from_numpy(np.flatnonzero(~raw.present))
    rows, there = model.frozen.rows("text", absent)
    assert not there.any() and not any(row.any() for row in rows)


def test_encoders_are_saved_and_neither_trained_nor_counted(networked, tmp_path):
    model, _ = build("iisan", networked)
    assert not list(model.frozen.parameters())
    fitted = fit(networked, "iisan", small_config("iisan"), training=TrainingOptions(epochs=1))
    before = {name: value for name, value in model.state_dict().items() if name.startswith("frozen")}
    after = fitted.model.state_dict()
    assert before and all(torch.equal(after[name], value) for name, value in before.items())
    save(fitted, tmp_path)
    assert torch.equal(load(tmp_path, networked).score(EVERYONE), fitted.model.score(EVERYONE))


def test_an_open_gate_forgets_and_a_closed_one_hears_nothing(market):
    model, _ = build("iisan", market.data)
    states = torch.randn(2, 3, 16, generator=model.generator)
    adapter = model.own["image"]
    with torch.no_grad():
        model.gates["image"].fill_(100.0)
        assert torch.allclose(model._beside("image", states), adapter[1](states[1]), atol=1e-5)
        model.gates["image"].fill_(-100.0)
        assert torch.allclose(
            model._beside("image", states), adapter[1](adapter[0](torch.zeros(3, 16))), atol=1e-5
        )
