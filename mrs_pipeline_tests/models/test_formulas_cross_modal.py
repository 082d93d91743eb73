"""Models in which modalities attend to one another, against their equations in dense NumPy."""

import numpy as np
import pytest
import torch

from mrs_pipeline.models.layers.co_attention import CoAttendedSide, co_attended
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    N_ITEMS,
    RATINGS,
    affine,
    bpr,
    losses,
    projected,
    scores,
    weights,
    with_biases,
)
from mrs_pipeline_tests.toy import build

SIZE = 16


def normed(state, name, x):
    centred = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return centred * state[f"{name}.weight"] + state[f"{name}.bias"]


def attended(state, name, x, y, n_heads):
    """Of one item: x [T, D] looks at y [S, D]."""
    width, mixed = SIZE // n_heads, np.zeros_like(x)
    query, key, value = (
        affine(state, f"{name}.{part}", rows) for part, rows in (("query", x), ("key", y), ("value", y))
    )
    for head in range(n_heads):
        own = slice(head * width, (head + 1) * width)
        share = np.exp(query[:, own] @ key[:, own].T / np.sqrt(width))
        mixed[:, own] = share / share.sum(1, keepdims=True) @ value[:, own]
    return affine(state, f"{name}.output", mixed)


def fed(state, name, x):
    inner = np.maximum(affine(state, f"{name}.inner", x), 0)
    return normed(state, f"{name}.norm", affine(state, f"{name}.outer", inner) + x)


def block(state, name, x, n_heads):
    y = normed(state, f"{name}.norm", x + attended(state, f"{name}.attention", x, x, n_heads))
    return fed(state, f"{name}.feed", y)


@pytest.mark.parametrize("n_blocks", [1, 2])
def test_cmbf(n_blocks):
    model = with_biases(build("cmbf", DATA, n_blocks=n_blocks, n_tokens=3, n_heads=2, reg_weight=0.1)[0])
    state = weights(model)
    items = np.zeros((N_ITEMS, SIZE))
    for item in range(N_ITEMS):
        tokens = {
            name: block(
                state,
                f"own.{name}",
                projected(state, name, "tokens", unit_features=True)[item].reshape(3, SIZE),
                2,
            )
            for name in DATA.features
        }
        for number in range(n_blocks):
            crossed = {}
            for name, other in (("image", "text"), ("text", "image")):
                p = f"crossings.{number}.{name}"
                c = attended(state, f"{p}.cross", tokens[name], tokens[other], 2)
                crossed[name] = block(state, f"{p}.block", c, 2)
            tokens = crossed
        pooled = np.concatenate([tokens[name].mean(0) for name in DATA.features])
        content = affine(state, "output", np.maximum(affine(state, "hidden", pooled), 0))
        items[item] = state["item_embedding"][item] + content
    users = state["user_embedding"]
    assert np.allclose(scores(model), users @ items.T, atol=1e-4)
    rows = (users[BATCH.users], items[BATCH.positives], items[BATCH.negatives])
    expected = {
        "bpr": bpr(users, items),
        "reg": 0.1 * sum((each**2).sum() for each in rows) / 2 / len(BATCH.users),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-4)


# UVCAN-style


def uvcan_sides(w):
    """Vectors of users [U, M, D] and of items [I, M, D]."""
    items = [w["item_embedding"], *(projected(w, name, "item_content", True) for name in ("image", "text"))]
    means = RATINGS / RATINGS.sum(1, keepdims=True)
    users = [projected(w, name, "user_content", True) for name in ("image", "text")]
    return np.stack([w["user_embedding"], *(means @ rows for rows in users)], 1), np.stack(items, 1)


def uvcan_pair(w, own, others, n_hops):
    """<s, v> of one user's vectors and one item's."""

    def shares(tokens, lead, side, other, hop):
        keys = affine(w, f"{side}.own.{hop}", tokens) + affine(w, f"{other}.other.{hop}", lead)
        powers = np.exp(np.tanh(keys) @ w[f"{side}.weight"][hop])
        return powers / powers.sum()

    s, v = own.mean(0), others.mean(0)
    for hop in range(n_hops):
        of_user = shares(own, v, "user_side", "item_side", hop)
        of_item = shares(others, s, "item_side", "user_side", hop)
        s, v = s + of_user @ own, v + of_item @ others
    return s @ v


def test_uvcan():
    model, _ = build("uvcan", DATA, embedding_size=4, attention_size=3, n_hops=2, reg_weight=0.3)
    with_biases(model)
    w = weights(model)
    users, items = uvcan_sides(w)
    expected = np.array([[uvcan_pair(w, user, item, 2) for item in items] for user in users])
    assert np.allclose(scores(model), expected, atol=1e-5)
    found = losses(model)
    rows = np.arange(len(BATCH.users)), BATCH.users.numpy()
    gaps = expected[rows[1], BATCH.positives] - expected[rows[1], BATCH.negatives]
    assert found["bpr"] == pytest.approx(np.log1p(np.exp(-gaps)).mean(), abs=1e-5)
    used = [w["user_embedding"][BATCH.users]]
    used += [w["item_embedding"][each] for each in (BATCH.positives, BATCH.negatives)]
    norm = sum((rows**2).sum() for rows in used) / (2 * len(BATCH.users))
    assert found["reg"] == pytest.approx(0.3 * norm, abs=1e-5)


def test_a_side_of_one_vector_is_added_once_a_hop():
    """With nothing to choose from, three hops give four times the vector, whatever leads."""
    sides = [CoAttendedSide(4, 3, 2, torch.Generator().manual_seed(seed)) for seed in range(2)]
    users, items = (side.tokens(torch.randn(5, 1, 4)) for side in sides)
    for shares in co_attended(users, items, (sides[0].weight, sides[1].weight)):
        assert torch.allclose(shares, torch.full((5, 1), 4.0))


def test_a_ranking_in_blocks_is_one_ranking(monkeypatch):
    model, _ = build("uvcan", DATA, embedding_size=4)
    whole = scores(model)
    monkeypatch.setattr("mrs_pipeline.models.fusion.uvcan._UNITS_AT_ONCE", 1)
    assert np.allclose(scores(model), whole, atol=1e-6)
