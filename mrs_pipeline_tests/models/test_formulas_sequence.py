"""Sequence models against their equations in dense NumPy, one user and one position at a time."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.models.base import SequenceBatch
from mrs_pipeline_tests.models.small import DATA, EVERYONE, N_ITEMS, N_USERS, PAIRS, weights
from mrs_pipeline_tests.toy import build, interactions

TIMES = np.random.default_rng(3).permutation(N_USERS * N_ITEMS).reshape(N_USERS, N_ITEMS)
TIMED = replace(DATA, train=interactions(PAIRS, N_USERS, N_ITEMS, times=TIMES))
HISTORIES = [
    sorted((i for u, i in PAIRS if u == user), key=lambda i: TIMES[user, i]) for user in range(N_USERS)
]
SIZE, LENGTH = 16, 12
SEEN = [0, 1, 2, 3, 4]


def fresh(name: str, **overrides):
    model, _ = build(name, TIMED, dropout=0.0, **overrides)
    with torch.no_grad():  # zeros and ones would hide a bias or a norm that is in the wrong place
        for parameter in model.parameters():
            if not torch.equal(parameter, model.item_embedding):
                parameter.add_(torch.randn(parameter.shape, generator=model.generator), alpha=0.3)
    return model, weights(model)


def norm(x, w, prefix):
    centred = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return centred * w[f"{prefix}.weight"] + w[f"{prefix}.bias"]


def affine(x, w, prefix):
    return x @ w[f"{prefix}.weight"].T + w.get(f"{prefix}.bias", 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / np.sqrt(2)))


def parts_of(w, features: bool) -> dict[str, np.ndarray]:
    """Part -> vectors of all items and, last, of the start token."""
    tables = {"id": w["item_embedding"]}
    for name, matrix in DATA.features.items() if features else ():
        rows = affine(matrix.values.astype(float), w, f"projection.layers.{name}")
        tables[name] = np.where(matrix.present[:, None], rows, w[f"projection.missing.{name}"])
    return {name: np.vstack([rows, w[f"start.{name}"]]) for name, rows in tables.items()}


def attention(w, prefix, sources, values, n_heads):
    """Over the last token's row and all before it, head by head; scores of sources are added up."""
    width = SIZE // n_heads
    mixed = np.zeros_like(values)
    value = affine(values, w, f"{prefix}.values")
    for head in range(n_heads):
        own = slice(head * width, (head + 1) * width)
        scores = sum(
            affine(x, w, f"{prefix}.queries.{s}")[:, own] @ affine(x, w, f"{prefix}.keys.{s}")[:, own].T
            for s, x in enumerate(sources)
        ) / np.sqrt(width)
        for t in range(len(values)):
            share = np.exp(scores[t, : t + 1])
            mixed[t, own] = share @ value[: t + 1, own] / share.sum()
    return affine(mixed, w, f"{prefix}.output")


def blocks(w, x, sources_of, n_heads):
    for layer in range(2):
        prefix = f"trunk.blocks.{layer}"
        normed = norm(x, w, f"{prefix}.attention_norm")
        x = x + attention(w, f"{prefix}.attention", sources_of(layer, normed), normed, n_heads)
        inner = affine(norm(x, w, f"{prefix}.feed_norm"), w, f"{prefix}.feed.inner")
        x = x + affine(np.maximum(inner, 0), w, f"{prefix}.feed.outer")
    return norm(x, w, "trunk.norm")


def sasrec(w, tokens, parts, n_heads, **_):
    x = parts["id"][tokens] * 4 + w["positions"][-len(tokens) :]
    return blocks(w, x, lambda layer, normed: [normed], n_heads)


def nova(w, tokens, parts, n_heads, fusion):
    sides = [parts["image"][tokens], parts["text"][tokens], w["positions"][-len(tokens) :]]

    def fused(layer, normed):
        everything = [normed, *sides]
        if fusion == "add":
            return [sum(everything)]
        prefix = f"fusions.{layer}.weights"
        if fusion == "concat":
            return [affine(np.hstack(everything), w, prefix)]
        return [sum(sigmoid(affine(part, w, prefix)) * part for part in everything)]

    return blocks(w, parts["id"][tokens] * 4, fused, n_heads)


def dif_sr(w, tokens, parts, n_heads, **_):
    sides = [parts["image"][tokens], parts["text"][tokens], w["positions"][-len(tokens) :]]
    return blocks(w, parts["id"][tokens] * 4, lambda layer, normed: [normed, *sides], n_heads)


def mmmlp(w, tokens, parts, **_):
    first = LENGTH - len(tokens)
    streams = []
    for name in ("id", "image", "text"):
        p, x = f"streams.{name}", parts[name][tokens] * 4
        inner, outer, bias = (w[f"{p}.token_{part}"] for part in ("inner", "outer", "bias"))
        for _ in range(4):
            normed, mixed = norm(x, w, f"{p}.token_norm"), np.zeros_like(x)
            for unit in range(4):
                hidden = np.stack(
                    [
                        gelu(
                            inner[unit, first + t, first : first + t + 1] @ normed[: t + 1]
                            + bias[unit, first + t]
                        )
                        for t in range(len(x))
                    ]
                )
                for t in range(len(x)):
                    mixed[t] += outer[unit, first + t, first : first + t + 1] @ hidden[: t + 1]
            x = x + mixed
            hidden = gelu(affine(norm(x, w, f"{p}.channel_norm"), w, f"{p}.channel_inner"))
            x = x + affine(hidden, w, f"{p}.channel_outer")
        streams.append(x)
    return affine(norm(np.hstack(streams), w, "norm"), w, "output")


CASES = [
    ("sasrec", sasrec, {"n_heads": 1}),
    ("sasrec", sasrec, {"n_heads": 2}),
    ("nova", nova, {"n_heads": 2, "fusion": "gate"}),
    ("nova", nova, {"n_heads": 1, "fusion": "concat"}),
    ("nova", nova, {"n_heads": 1, "fusion": "add"}),
    ("dif_sr", dif_sr, {"n_heads": 2}),
    ("mmmlp", mmmlp, {}),
]
IDS = ["-".join([case[0], *map(str, case[2].values())]) for case in CASES]


@pytest.mark.parametrize(("name", "formula", "overrides"), CASES, ids=IDS)
def test_scores_and_loss(name, formula, overrides):
    model, w = fresh(name, **overrides)
    parts = parts_of(w, features=name != "sasrec")
    vectors = sum(parts.values())[:-1]
    states = [formula(w, [N_ITEMS, *history], parts, **overrides) for history in HISTORIES]
    expected = np.stack([state[-1] @ vectors.T for state in states])
    assert np.allclose(model.score(EVERYONE).numpy(), expected, atol=1e-4)

    gaps = []
    # places count from the latest token, which in training is the last but one
    states = [formula(w, [N_ITEMS, *history[:-1]], parts, **overrides) for history in HISTORIES]
    for state, history in zip(states, HISTORIES, strict=True):
        logits = state @ vectors[SEEN].T  # item 5 is cold: it is in no denominator
        gaps += list(np.log(np.exp(logits).sum(1)) - logits[np.arange(len(history)), history])
    terms = model.loss(whole_batch())
    assert terms["next_item"].item() == pytest.approx(np.mean(gaps), abs=1e-4)

    if name == "dif_sr":
        assert terms["attributes"].item() == pytest.approx(attributes(w, states), abs=1e-4)


def whole_batch() -> SequenceBatch:
    """All histories; longest last, so that others are padded."""
    rows = np.full((N_USERS, 3), -1)
    for row, history in zip(rows, HISTORIES, strict=True):
        row[3 - len(history) - 1 :] = [N_ITEMS, *history]
    tokens = torch.from_numpy(rows)
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    return SequenceBatch(EVERYONE, inputs, targets.masked_fill(inputs == -1, -1))


def attributes(w, states) -> float:
    means = []
    for name, matrix in DATA.features.items():
        off = []
        for state, history in zip(states, HISTORIES, strict=True):
            for h, item in zip(state, history, strict=False):
                if matrix.present[item]:
                    guess, truth = affine(h, w, f"attributes.{name}"), matrix.values[item].astype(float)
                    off.append(1 - guess @ truth / np.linalg.norm(guess) / np.linalg.norm(truth))
        means.append(np.mean(off))
    return 0.1 * float(np.mean(means))
