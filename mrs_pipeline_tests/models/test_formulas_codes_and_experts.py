"""Sequence models of code words and of experts against their equations in dense NumPy, one user at a time."""

import numpy as np
import pytest
import torch

from mrs_pipeline.models.base import SequenceBatch
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.semantic_codes import semantic_codes
from mrs_pipeline_tests.models.small import DATA, EVERYONE, N_ITEMS, N_USERS, unit, weights
from mrs_pipeline_tests.models.test_formulas_meta_learning import HISTORIES, TIMED, linear, norm
from mrs_pipeline_tests.toy import build

SIZE = 4
SMALL = {"embedding_size": SIZE, "n_layers": 1, "dropout": 0.0}


def fresh(name: str, **overrides):
    model, _ = build(name, TIMED, **{**SMALL, **overrides})
    with torch.no_grad():  # zeros and ones would hide a bias or a norm that is in the wrong place
        for parameter in model.parameters():
            if parameter is not getattr(model, "item_embedding", None):
                parameter.add_(torch.randn(parameter.shape, generator=model.generator), alpha=0.3)
    return model, weights(model)


def attention(w, p, x):
    query, key, value = (linear(x, w, f"{p}.{name}") for name in ("queries.0", "keys.0", "values"))
    share = np.where(np.tril(np.ones((len(x), len(x)))) > 0, np.exp(query @ key.T / SIZE**0.5), 0)
    return linear(share / share.sum(1, keepdims=True) @ value, w, f"{p}.output")


def whole_batch() -> SequenceBatch:
    rows = np.full((N_USERS, 3), -1)
    for row, history in zip(rows, HISTORIES, strict=True):
        row[3 - len(history) - 1 :] = [N_ITEMS, *history]
    tokens = torch.from_numpy(rows)
    return SequenceBatch(EVERYONE, tokens[:, :-1], tokens[:, 1:].masked_fill(tokens[:, :-1] == -1, -1))


# RPG


def rpg_trunk(w, tokens, vectors):
    x = np.vstack([w["start.id"], vectors[tokens]]) * SIZE**0.5 + w["positions"][-len(tokens) - 1 :]
    p = "trunk.blocks.0"
    x = x + attention(w, f"{p}.attention", norm(x, w, f"{p}.attention_norm"))
    inner = np.maximum(linear(norm(x, w, f"{p}.feed_norm"), w, f"{p}.feed.inner"), 0)
    return norm(x + linear(inner, w, f"{p}.feed.outer"), w, "trunk.norm")


def test_rpg():
    model, w = fresh("rpg", n_digits=2, n_codes=3, temperature=0.5)
    codes = semantic_codes(ModelInputs.from_data(TIMED), 2, 3).numpy()
    n_words = codes.max() + 2
    words = w["words"].reshape(4, n_words, SIZE)
    vectors = np.stack([np.mean([words[k, c] for k, c in enumerate(row) if c >= 0], axis=0) for row in codes])

    def log_likelihoods(h):
        """[4, words] of one state."""
        found = []
        for k in range(4):
            inner = h @ w["heads"][k] + w["head_biases"][k]
            cosines = unit(words[k]) @ unit(h + inner / (1 + np.exp(-inner))) / 0.5
            found.append(cosines - np.log(np.exp(cosines).sum()))
        return np.stack(found)

    def score(h):
        told = log_likelihoods(h)
        return [np.mean([told[k, c] for k, c in enumerate(row) if c >= 0]) for row in codes]

    expected = [score(rpg_trunk(w, history, vectors)[-1]) for history in HISTORIES]
    assert np.allclose(model.score(EVERYONE).numpy(), expected, atol=1e-4)
    gaps = [
        -score(h)[item]
        for history in HISTORIES
        for h, item in zip(rpg_trunk(w, history[:-1], vectors), history, strict=True)
    ]
    assert model.loss(whole_batch())["next_words"].item() == pytest.approx(np.mean(gaps), abs=1e-4)


def test_rpg_starts_with_heads_that_say_the_same():
    model, _ = build("rpg", TIMED, **SMALL, n_digits=2, n_codes=3)
    states = torch.randn(5, SIZE)
    with torch.no_grad():
        table = model.words.view(4, -1, SIZE)
        model.words.copy_(table[:1].expand_as(table).reshape(-1, SIZE))
        told = model._log_likelihoods(states).view(5, 4, -1)
    assert torch.allclose(told, told[:, :1].expand_as(told), atol=1e-6)


def test_words_follow_content_and_lacking_modalities_have_none():
    inputs = ModelInputs.from_data(DATA)
    codes = semantic_codes(inputs, 2, 3)
    assert (codes[1, :2] == -1).all() and (codes[3, 2:] == -1).all()
    assert (codes[[0, 2, 4, 5]] >= 0).all()
    assert int(codes.max()) <= 2
    # many words: each item that training has seen is a centre of its own, and its own nearest
    many = semantic_codes(inputs, 1, 100)
    assert len(many[[0, 2, 3, 4], 0].unique()) == 4


# M3SRec-style


def m3srec_states(w, tokens, parts):
    """States, and the experts' shares, of one user's tokens."""
    rows = {name: np.vstack([w[f"start.{name}"], vectors[tokens]]) for name, vectors in parts.items()}
    x = sum(rows.values()) * SIZE**0.5 + w["positions"][-len(tokens) - 1 :]
    p = "blocks.0"
    x = x + attention(w, f"{p}.attention", norm(x, w, f"{p}.attention_norm"))
    normed = norm(x, w, f"{p}.experts_norm")
    gate = np.exp(normed @ w[f"{p}.experts.gate.weight"].T)
    gate /= gate.sum(1, keepdims=True)
    told = 0
    for number, name in enumerate([*rows, None, None]):
        seen = normed + rows[name] if name else normed
        inner = np.maximum(linear(seen, w, f"{p}.experts.inner.{number}"), 0)
        told = told + gate[:, [number]] * linear(inner, w, f"{p}.experts.outer.{number}")
    return norm(x + told, w, "norm"), gate


def test_m3srec():
    model, w = fresh("m3srec", n_shared=2, balance_weight=0.3)
    parts = {"id": w["item_embedding"]}
    for name, matrix in DATA.features.items():
        rows = linear(matrix.values.astype(float), w, f"projection.layers.{name}")
        parts[name] = np.where(matrix.present[:, None], rows, w[f"projection.missing.{name}"])
    vectors = sum(parts.values())
    expected = [m3srec_states(w, history, parts)[0][-1] @ vectors.T for history in HISTORIES]
    assert np.allclose(model.score(EVERYONE).numpy(), expected, atol=1e-4)
    model.train()
    gaps, shares = [], []
    for history in HISTORIES:
        states, gate = m3srec_states(w, history[:-1], parts)
        logits = states @ vectors[:5].T  # item 5 is cold: it is in no denominator
        gaps += list(np.log(np.exp(logits).sum(1)) - logits[np.arange(len(history)), history])
        shares += list(gate)
    found = model.loss(whole_batch())
    assert found["next_item"].item() == pytest.approx(np.mean(gaps), abs=1e-4)
    assert found["balance"].item() == pytest.approx(0.3 * 5 * (np.mean(shares, axis=0) ** 2).sum(), abs=1e-4)
