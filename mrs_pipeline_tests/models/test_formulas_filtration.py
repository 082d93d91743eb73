"""Models that filter content against their equations in dense NumPy."""

import numpy as np
import pytest
import torch

from mrs_pipeline.models.base import PairBatch
from mrs_pipeline_tests.models.small import (
    DATA,
    N_ITEMS,
    N_USERS,
    RATINGS,
    affine,
    losses,
    projected,
    scores,
    weights,
    with_biases,
)
from mrs_pipeline_tests.toy import build

TRIPLES = PairBatch(
    torch.tensor([0, 1, 3, 2]), torch.tensor([1, 2, 4, 3]), torch.tensor([[3, 2], [0, 4], [2, 0], [4, 1]])
)


def normed(state, name, x):
    centred = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return centred * state[f"{name}.weight"] + state[f"{name}.bias"]


def looped() -> np.ndarray:
    """A + I [N, N]."""
    return np.block([[np.eye(N_USERS), RATINGS], [RATINGS.T, np.eye(N_ITEMS)]])


def mcln_joint(state, tokens, others=None):
    """m of one item from its tokens [T, D], compared with another item's."""
    for number in range(2):
        p = f"blocks.{number}"

        def turned(name, x, p=p):
            return x @ state[f"{p}.maps.{name}.weight"].T

        def fed(x, logits, p=p):
            share = np.exp(logits / 4) / np.exp(logits / 4).sum(1, keepdims=True)
            y = normed(state, f"{p}.attention_norm", x + share @ turned("value", x))
            inner = np.maximum(affine(state, f"{p}.inner", y), 0)
            return normed(state, f"{p}.feed_norm", y + affine(state, f"{p}.outer", inner))

        logits = turned("query", tokens) @ turned("key", tokens).T
        if others is not None:
            logits = logits - turned("other_query", others) @ turned("other_key", others).T
            others = fed(others, turned("query", others) @ turned("key", others).T)
        tokens = fed(tokens, logits)
    return np.maximum(affine(state, "joint", tokens.flatten()), 0)


def test_mcln():
    model = with_biases(build("mcln", DATA, n_layers=2, reg_weight=0.1)[0])
    state = weights(model)
    degrees = looped().sum(1)
    matrix = degrees[:, None] ** -0.5 * looped() * degrees[None, :] ** -0.4
    start = np.vstack([state["user_embedding"], state["item_embedding"]])
    users, items = np.split(np.mean([start, matrix @ start, matrix @ matrix @ start], axis=0), [N_USERS])
    tokens = np.stack(
        [items, *(projected(state, name, unit_features=True) for name in DATA.features)], axis=1
    )
    joint = np.stack([mcln_joint(state, each) for each in tokens])
    assert np.allclose(
        scores(model), users @ (tokens[:, 0] + 0.3 * tokens[:, 1:].sum(1) + joint).T, atol=1e-4
    )

    u, i, (j, c) = TRIPLES.users.numpy(), TRIPLES.positives.numpy(), TRIPLES.negatives.numpy().T
    compared = np.stack(
        [mcln_joint(state, tokens[one], tokens[other]) for one, other in zip(i, c, strict=True)]
    )

    def ranked(one, other):
        return np.log1p(np.exp(-(users[u] * (one - other)).sum(1))).mean()

    rows = (users[u], items[i], items[j], compared, joint[j])
    expected = {
        "bpr": ranked(items[i], items[j]),
        "bpr_image": ranked(tokens[i, 1], tokens[j, 1]),
        "bpr_text": ranked(tokens[i, 2], tokens[j, 2]),
        "bpr_joint": ranked(compared, joint[j]),
        "reg": 0.1 * sum((each**2).sum() for each in rows) / 2 / len(u),
    }
    assert losses(model, TRIPLES) == pytest.approx(expected, abs=1e-4)


def test_mcln_compares_with_no_item_where_its_maps_are_zero():
    model, _ = build("mcln", DATA, n_layers=2)
    with torch.no_grad():
        for block in model.blocks:
            block.maps["other_query"].weight.zero_()
    before = losses(model, TRIPLES)
    other = PairBatch(TRIPLES.users, TRIPLES.positives, TRIPLES.negatives[:, [0, 0]])
    assert losses(model, other) == pytest.approx(before, abs=1e-6)
