"""Models in which modalities attend to one another, against their equations in dense NumPy."""

import numpy as np
import pytest

from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    N_ITEMS,
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
