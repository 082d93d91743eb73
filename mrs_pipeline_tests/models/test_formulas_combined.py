"""Sequence models that weigh items and modalities together, against their equations in dense NumPy."""

import numpy as np
import pytest
import torch

from mrs_pipeline_tests.models.small import DATA, EVERYONE, N_ITEMS, N_USERS, unit, weights
from mrs_pipeline_tests.models.test_formulas_sequence import (
    HISTORIES,
    SEEN,
    TIMED,
    affine,
    blocks,
    fresh,
    parts_of,
    sigmoid,
    whole_batch,
)
from mrs_pipeline_tests.toy import build

FEATURES = ("image", "text")


def guided(w, name, rows, guide):
    hidden = np.tanh(affine(rows, w, f"{name}.of_rows") + affine(guide, w, f"{name}.of_guide"))
    powers = np.exp(sigmoid(affine(hidden, w, f"{name}.weight"))[:, 0])
    return powers / powers.sum() @ rows


def marank(w, tokens, parts, n_latest=6):
    states = []
    whole = sum(rows[tokens] for rows in parts.values())
    for t in range(len(tokens)):
        user = whole[: t + 1].mean(0)
        latest = tokens[max(0, t + 1 - n_latest) : t + 1]
        items = np.array([rows[token] for token in latest for rows in parts.values()])
        guide, orders = user, []
        for depth in range(3):
            if depth:
                guide = np.maximum(affine(guide, w, f"user_layers.{depth - 1}") + guide, 0)
                items = np.maximum(affine(items, w, f"item_layers.{depth - 1}") + items, 0)
            orders.append(guided(w, "attention", items, guide))
        orders[0] = orders[0] + whole[t]
        g = guided(w, "order_attention", np.array(orders), user)
        states.append(np.maximum(affine(g, w, "output"), 0) + g + user)
    return np.array(states)


def marank_of_two(w, tokens, parts):
    return marank(w, tokens, parts, n_latest=2)


def vlsnr(w, tokens, parts):
    x = sum(rows[tokens] for rows in parts.values()) + w["positions"][-len(tokens) :]
    x = blocks(w, x, lambda layer, normed: [normed], 1)
    h, hidden = np.zeros(16), []
    for row in x:
        of_x, of_h = np.split(affine(row, w, "unit.of_input"), 3), np.split(affine(h, w, "unit.of_state"), 3)
        reset, update = sigmoid(of_x[0] + of_h[0]), sigmoid(of_x[1] + of_h[1])
        h = (1 - update) * np.tanh(of_x[2] + reset * of_h[2]) + update * h
        hidden.append(h)
    hidden = np.array(hidden)
    users = []
    for t in range(len(hidden)):
        powers = np.exp(affine(hidden[t], w, "attention") @ hidden[: t + 1].T / 4)
        users.append(powers / powers.sum() @ hidden[: t + 1])
    return np.array(users)


def vlsnr_parts(w):
    """Identifier and joined content, and those of the start token."""
    views = [rows[:-1] for name, rows in parts_of(w | starts(w), features=True).items() if name != "id"]
    content = affine(np.hstack([*views, np.prod(views, axis=0)]), w, "joined")
    return {
        "id": np.vstack([w["item_embedding"], w["start.id"]]),
        "content": np.vstack([content, w["start.content"]]),
    }


def starts(w):
    """Of parts that the model has no start token of."""
    return {f"start.{name}": np.zeros(16) for name in FEATURES if f"start.{name}" not in w}


def unisrec_parts(w, features):
    tables = {"id": np.vstack([w["item_embedding"], w["start.id"]])} if "start.id" in w else {}
    for name, matrix in DATA.features.items():
        x = unit(matrix.values.astype(float))
        gates = np.exp(x @ w[f"adapters.{name}.gate"])
        gates /= gates.sum(1, keepdims=True)
        rows = sum(
            gates[:, [e]] * affine(x - w[f"adapters.{name}.centres"][e], w, f"adapters.{name}.experts.{e}")
            for e in range(gates.shape[1])
        )
        tables[name] = np.vstack([rows * matrix.present[:, None], w[f"start.{name}"]])
    return tables


def unisrec(w, tokens, parts):
    x = sum(rows[tokens] for rows in parts.values()) + w["positions"][-len(tokens) :]
    return unit(blocks(w, x, lambda layer, normed: [normed], 1)) / 0.07


@pytest.mark.parametrize("identifiers", [True, False])
def test_unisrec(identifiers):
    model, _ = build("unisrec", TIMED, dropout=0.0, n_experts=3, identifiers=identifiers)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=model.generator), alpha=0.3)
    w = weights(model)
    parts = unisrec_parts(w, features=True)
    vectors = unit(sum(parts.values())[:-1])
    states = np.stack([unisrec(w, [N_ITEMS, *history], parts)[-1] for history in HISTORIES])
    assert np.allclose(model.score(EVERYONE), states @ vectors.T, atol=1e-4)
    assert ("item_embedding" in w) == identifiers
    model.train()
    noisy = [model.loss(whole_batch())["next_item"].item() for _ in range(2)]
    assert noisy[0] != noisy[1], "the gate has noise in training"
    with torch.no_grad():
        total = torch.stack(list(model.eval().item_paths().values())).sum(0).numpy()
    assert np.allclose(total, vectors, atol=1e-5)


CASES = [
    ("marank", {}, marank, parts_of),
    ("marank", {"n_latest": 2}, marank_of_two, parts_of),
    ("vlsnr", {}, vlsnr, lambda w, features: vlsnr_parts(w)),
]


@pytest.mark.parametrize(("name", "settings", "formula", "parts_by"), CASES)
def test_scores_and_loss_of(name, settings, formula, parts_by):
    model, w = fresh(name, **settings)
    parts = parts_by(w, features=True)
    vectors = sum(parts.values())[:-1]
    states = [formula(w, [N_ITEMS, *history], parts) for history in HISTORIES]
    assert np.allclose(model.score(EVERYONE), np.stack([s[-1] @ vectors.T for s in states]), atol=1e-4)
    nll = []
    for history in HISTORIES:
        logits = formula(w, [N_ITEMS, *history[:-1]], parts) @ vectors[SEEN].T
        nll += list(np.log(np.exp(logits).sum(1)) - logits[np.arange(len(history)), history])
    assert model.loss(whole_batch())["next_item"].item() == pytest.approx(np.mean(nll), abs=1e-4)


@pytest.mark.parametrize("name", ["marank", "vlsnr"])
def test_what_comes_later_does_not_matter(name):
    model, _ = fresh(name)
    batch = whole_batch()
    parts = model.item_parts()
    items = torch.arange(N_ITEMS)
    with torch.no_grad():
        states = model.states(model.parts_of_tokens(parts, items, batch.tokens), batch.tokens != -1)
        changed = batch.tokens.clone()
        changed[:, -1] = 4
        other = model.states(model.parts_of_tokens(parts, items, changed), changed != -1)
    assert torch.allclose(states[:, :-1], other[:, :-1], atol=1e-6)
    assert not torch.allclose(states[:, -1], other[:, -1], atol=1e-3)
    assert len(states) == N_USERS
