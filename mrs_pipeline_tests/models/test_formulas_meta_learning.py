"""MML against its equations in dense NumPy: a user's own steps by differences, the fusion, the generated items."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mrs_pipeline.models.layers.adaptation import adapted
from mrs_pipeline.types import FeatureMatrix
from mrs_pipeline_tests.models.small import DATA, EVERYONE, N_ITEMS, N_USERS, PAIRS, projected, weights
from mrs_pipeline_tests.toy import build, first_batch, interactions, prepared, trained

TIMES = np.random.default_rng(3).permutation(N_USERS * N_ITEMS).reshape(N_USERS, N_ITEMS)
TIMED = replace(DATA, train=interactions(PAIRS, N_USERS, N_ITEMS, times=TIMES))
HISTORIES = [
    sorted((i for u, i in PAIRS if u == user), key=lambda i: TIMES[user, i]) for user in range(N_USERS)
]
SIZE, COLD = 4, 5
SMALL = {"embedding_size": SIZE, "n_layers": 1, "dropout": 0.0, "knn_k": 3, "inner_rate": 0.5}


def fresh(**overrides):
    model, _ = build("mml", TIMED, **{**SMALL, **overrides})
    with torch.no_grad():  # zeros and ones would hide a bias or a norm that is in the wrong place
        for parameter in model.parameters():
            if not torch.equal(parameter, model.item_embedding):
                parameter.add_(torch.randn(parameter.shape, generator=model.generator), alpha=0.3)
    return model, weights(model)


def norm(x, w, prefix):
    centred = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return centred * w[f"{prefix}.weight"] + w[f"{prefix}.bias"]


def linear(x, w, prefix):
    return x @ w[f"{prefix}.weight"].T + w.get(f"{prefix}.bias", 0)


def stream(w, x):
    """States of one user's tokens [K, D] by the weights of a stream of one block and one head."""
    x = x * SIZE**0.5 + w["positions"][-len(x) :]
    p = "trunk.blocks.0"
    normed = norm(x, w, f"{p}.attention_norm")
    query, key, value = (
        linear(normed, w, f"{p}.attention.{name}") for name in ("queries.0", "keys.0", "values")
    )
    share = np.where(np.tril(np.ones((len(x), len(x)))) > 0, np.exp(query @ key.T / SIZE**0.5), 0)
    x = x + linear(share / share.sum(1, keepdims=True) @ value, w, f"{p}.attention.output")
    inner = np.maximum(linear(norm(x, w, f"{p}.feed_norm"), w, f"{p}.feed.inner"), 0)
    return norm(x + linear(inner, w, f"{p}.feed.outer"), w, "trunk.norm")


def own_weights(w, x, vectors, history, rate=0.5, step=1e-5):
    """A user's weights after one step, its slope taken by differences."""
    gaps = vectors[history] - vectors[:COLD].mean(0)

    def loss():
        return np.log1p(np.exp(-(stream(w, x)[: len(history)] * gaps).sum(1))).mean()

    moved = {}
    for name, values in w.items():
        slopes = np.zeros_like(values)
        for place in np.ndindex(values.shape):
            here = values[place]
            values[place] = here + step
            above = loss()
            values[place] = here - step
            slopes[place] = (above - loss()) / (2 * step)
            values[place] = here
        moved[name] = values - rate * slopes
    return moved


def generated(w) -> np.ndarray:
    """g_i [I, D]."""
    total, count = np.zeros((N_ITEMS, SIZE)), np.zeros(N_ITEMS)
    for name, matrix in DATA.features.items():
        values, there = matrix.values.astype(float), np.flatnonzero(matrix.present)
        standard = (values - values[there].mean(0)) / values[there].std(0)
        hidden = standard @ w[f"generated.layers.{name}.weight"].T
        unit = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
        for i in there:
            near = [j for j in sorted(there, key=lambda j: -(unit[i] @ unit[j])) if j != i][:2]
            share = np.exp(hidden[near] @ w[f"generated.queries.{name}.weight"][0])
            total[i] += np.maximum(hidden[i] + share @ hidden[near] / share.sum(), 0)
        count += matrix.present
    return total / np.maximum(count, 1)[:, None]


def item_vectors(w) -> dict[str, np.ndarray]:
    identifiers = w["item_embedding"].copy()
    identifiers[COLD] = generated(w)[COLD]
    return {"id": identifiers, **{name: projected(w, name) for name in DATA.features}}


@pytest.mark.parametrize("steps", [0, 1])
def test_scores(steps):
    model, w = fresh(inner_steps=steps)
    parts = item_vectors(w)
    found = model.score(EVERYONE).numpy()
    users = EVERYONE if steps == 0 else [1]
    for user in users:
        history = HISTORIES[user]
        states = {}
        for name, vectors in parts.items():
            own = {
                key.removeprefix(f"streams.{name}."): value
                for key, value in w.items()
                if key.startswith(f"streams.{name}.")
            }
            x = np.vstack([w[f"start.{name}"], vectors[history]])
            own = own_weights(own, x, vectors, history) if steps else own
            states[name] = stream(own, x)[-1]
        logits = {
            name: (
                np.maximum(linear(norm(state, w, "fusion.norm"), w, "fusion.hidden"), 0)
                @ w["fusion.output.weight"].T
            )[0]
            for name, state in states.items()
        }
        shares = {name: np.exp(value) / sum(map(np.exp, logits.values())) for name, value in logits.items()}
        expected = np.zeros(N_ITEMS)
        for name, vectors in parts.items():
            raw = vectors @ states[name]
            expected += w["fusion.gain"] * shares[name] * raw / np.sqrt(raw[:COLD].var() + 1e-8)
        assert np.allclose(found[user], expected, atol=1e-4)


def test_the_loss_of_the_streams_without_own_steps():
    """With the cut at the first place all targets are queries; what then is left is SASRec's loss of each stream."""
    model, w = fresh(inner_steps=0)
    batch = first_batch(model, build("mml", TIMED, **SMALL)[1])
    state = model.generator.get_state()
    terms = model.loss(batch)
    model.generator.set_state(state)
    counts = (batch.targets != -1).sum(1)
    cuts = torch.randint(2**62, counts.shape, generator=model.generator) % counts
    for name, vectors in item_vectors(w).items():
        own = {
            key.removeprefix(f"streams.{name}."): value
            for key, value in w.items()
            if key.startswith(f"streams.{name}.")
        }
        gaps = []
        for user, cut in zip(batch.users.tolist(), cuts.tolist(), strict=True):
            history = HISTORIES[user]
            states = stream(own, np.vstack([w[f"start.{name}"], vectors[history[:-1]]]))
            logits = states @ vectors[:COLD].T
            rows = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(history)), history]
            gaps += list(rows[cut:])
        assert terms[f"meta_{name}"].item() == pytest.approx(np.mean(gaps), abs=1e-4)


class Line(nn.Module):
    """y = w x, the weight drawn by nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def forward(self, x):
        return self.w * x


@pytest.mark.parametrize(("order", "through"), [("first", 1.0), ("second", 1 - 0.1 * 9.0)])
def test_own_steps_and_both_meta_gradients_by_hand(order, through):
    """Loss (w x - y)^2 / 2 at x = 3, y = 1: w' = w - rate x (w x - y), d w' / d w = 1 - rate x^2."""
    line = Line()
    x, y = torch.full((1,), 3.0, dtype=torch.float64), torch.full((1,), 1.0, dtype=torch.float64)

    def loss(output, target):
        return (output - target).square() / 2

    result = adapted(line, loss, (x,), (y,), steps=1, rate=0.1, order=order)
    assert result.item() == pytest.approx((2 - 0.1 * 3 * (2 * 3 - 1)) * 3)
    result.sum().backward()
    assert line.w.grad.item() == pytest.approx(3 * through)
    assert line.w.item() == 2.0


def test_tasks_do_not_see_one_another():
    line = Line()
    x, y = (
        torch.tensor([3.0, 1.0, -2.0], dtype=torch.float64),
        torch.tensor([1.0, 5.0, 0.5], dtype=torch.float64),
    )

    def run(rows):
        line.zero_grad()
        result = adapted(
            line,
            lambda output, target: (output - target).square(),
            (x[rows],),
            (y[rows],),
            steps=3,
            rate=0.05,
            order="second",
        )
        result.square().sum().backward()
        return result.detach(), line.w.grad.item()

    order = torch.tensor([2, 0, 1])
    straight, slope = run(torch.arange(3))
    turned, other = run(order)
    assert torch.equal(turned, straight[order])
    assert slope == pytest.approx(other)


def gradients_of(model, batch, order: str) -> dict[str, torch.Tensor]:
    state = model.generator.get_state()
    model.config = model.config.model_copy(update={"meta_gradient": order})
    model.zero_grad()
    sum(model.loss(batch).values()).backward()
    model.generator.set_state(state)
    return {name: value.grad.clone() for name, value in model.named_parameters()}


def test_the_two_meta_gradients_differ_in_proportion_to_the_step():
    gaps = []
    for rate in (1e-2, 1e-3):
        model, inputs = build("mml", TIMED, **{**SMALL, "inner_rate": rate})
        batch = first_batch(model, inputs)
        first, second = (gradients_of(model, batch, order) for order in ("first", "second"))
        name = "streams.text.trunk.blocks.0.feed.inner.weight"
        gaps.append(((first[name] - second[name]).norm() / first[name].norm()).item())
    assert gaps[0] == pytest.approx(10 * gaps[1], rel=0.2)


def test_generator_and_fusion_leave_the_meta_learner_alone():
    """What they are trained by moves nothing else, so that the two steps stay two."""
    model, inputs = build("mml", TIMED, **SMALL)
    terms = model.loss(first_batch(model, inputs))
    for term, own in (("fusion", "fusion"), ("generator", "generated")):
        model.zero_grad()
        terms[term].backward(retain_graph=True)
        moved = [
            name for name, value in model.named_parameters() if value.grad is not None and value.grad.any()
        ]
        assert {name.split(".")[0] for name in moved} == {own}


def test_cold_items_are_told_apart_by_content_and_warm_ones_keep_their_identifier(market):
    data = prepared("mml", market.data)
    model = trained("mml", data, epochs=1)
    before = model.score(torch.arange(60))
    with torch.no_grad():
        for parameter in model.generated.parameters():
            parameter.mul_(-1)
    after = model.score(torch.arange(60))
    assert torch.equal(before[:, :36], after[:, :36])
    assert not torch.allclose(before[:, 36:], after[:, 36:])


def test_an_item_without_content_is_generated_as_nothing():
    features = {
        name: FeatureMatrix(matrix.values, matrix.present & (np.arange(N_ITEMS) != COLD), name)
        for name, matrix in DATA.features.items()
    }
    model, _ = build("mml", replace(TIMED, features=features), **SMALL)
    assert not model.generated(torch.tensor([COLD])).any()
    assert not model.rankable[COLD]
