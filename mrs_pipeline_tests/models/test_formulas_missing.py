"""Models for missing modalities against their equations in dense NumPy."""

import numpy as np
import pytest
import torch

from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    N_ITEMS,
    affine,
    in_batch_contrast,
    losses,
    scores,
    twin,
    unit,
    weights,
    with_biases,
)
from mrs_pipeline_tests.toy import build

HAS = np.stack([np.arange(N_ITEMS) != 5, *(matrix.present for matrix in DATA.features.values())], axis=1)


def branch(state) -> np.ndarray:
    """What g makes of each source of each item, [I, 3, D]; that of a missing one is not to be used."""
    sources = [state["item_embedding"]]
    for name, matrix in DATA.features.items():
        sources.append(affine(state, f"projection.layers.{name}", unit(matrix.values.astype(float))))
    hidden = np.maximum(affine(state, "first", np.stack(sources, axis=1)), 0)
    return affine(state, "second", hidden)


def drawn(items: np.ndarray, draws: torch.Generator, n: int) -> np.ndarray:
    """A source of each item, by the first of n draws."""
    keys = torch.rand(n, 3, generator=draws).numpy()[: len(items)]
    return np.where(HAS[items], keys, -1).argmax(1)


def test_sibrar():
    model = with_biases(build("sibrar", DATA, contrast_weight=0.7, temperature=0.5, reg_weight=0.1)[0])
    state, draws = weights(model), twin(model.generator)
    told, users = branch(state), state["user_embedding"]
    means = np.stack([told[item][HAS[item]].mean(0) for item in range(N_ITEMS)])
    assert np.allclose(scores(model), users @ means.T, atol=1e-5)

    def by_source(items):
        return told[items, drawn(items, draws, len(BATCH.positives))]

    positives, negatives = by_source(BATCH.positives.numpy()), by_source(BATCH.negatives.numpy())
    distinct = np.unique(BATCH.positives)
    one, other = by_source(distinct), by_source(distinct)
    logits = unit(one) @ unit(other).T / 0.5
    rows = (users[BATCH.users], positives, negatives)
    gaps = (rows[0] * (positives - negatives)).sum(1)
    expected = {
        "bpr": np.log1p(np.exp(-gaps)).mean(),
        "contrast": 0.7 * (in_batch_contrast(logits) + in_batch_contrast(logits.T)) / 2,
        "reg": 0.1 * sum((each**2).sum() for each in rows) / 2 / len(BATCH.users),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-5)


def test_sibrar_draws_every_source_that_there_is_and_no_other():
    model, _ = build("sibrar", DATA)
    items = torch.arange(N_ITEMS).repeat(200)
    found = model._drawn(items).view(200, N_ITEMS)
    for item in range(N_ITEMS):
        assert set(found[:, item].tolist()) == set(np.flatnonzero(HAS[item]))
