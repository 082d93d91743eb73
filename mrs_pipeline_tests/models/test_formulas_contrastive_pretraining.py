"""MCPTR-style against its equations in dense NumPy, and its second step, which starts from the first."""

import numpy as np
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.pretraining.registry import pretrainer_class
from mrs_pipeline.training.pretraining import configure_pretraining
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    PAIRS,
    RATINGS,
    affine,
    bpr,
    in_batch_contrast,
    losses,
    scores,
    twin,
    unit,
    weights,
    with_biases,
)
from mrs_pipeline_tests.toy import build, prepared

K = 2
PRESENT = {name: matrix.present for name, matrix in DATA.features.items()}


def pretrainer(**settings):
    config = configure_pretraining("mcptr", {"embedding_size": 4, "n_partners": K, **settings})
    inputs = ModelInputs.from_data(DATA)
    return with_biases(pretrainer_class("mcptr")(config, inputs, torch.Generator().manual_seed(3)))


def propagated(ratings, table):
    """Mean of E, SE and SSE, S the k rows that share most, ties by number, each row summing to one."""
    shared = ratings @ ratings.T
    np.fill_diagonal(shared, 0)
    for row in shared:
        row[np.argsort(-row, kind="stable")[K:]] = 0
    graph = shared / np.maximum(shared.sum(1, keepdims=True), 1)
    return (table + graph @ table + graph @ graph @ table) / 3


def fused(state, side, tokens, there):
    hidden = np.tanh(affine(state, f"{side}_fusion.hidden", tokens))
    powers = np.exp(hidden @ state[f"{side}_fusion.query"]) * there
    return np.einsum("nt,ntd->nd", powers / powers.sum(1, keepdims=True), tokens)


def content(state):
    found = {}
    for name, matrix in DATA.features.items():
        inner = np.maximum(affine(state, f"inner.{name}", unit(matrix.values.astype(float))), 0)
        found[name] = affine(state, f"outer.{name}", inner)
    return found


def vectors(state):
    """z of users and of items."""
    users = [propagated(RATINGS, state["user_embedding"])]
    items = [propagated(RATINGS.T, state["item_embedding"])]
    for name, rows in content(state).items():
        has = RATINGS * PRESENT[name]
        users.append(has / has.sum(1, keepdims=True) @ rows)
        items.append(rows)
    seen = RATINGS.any(0)
    there = np.stack([seen, *PRESENT.values()], 1)
    all_there = np.ones((len(RATINGS), 3))
    return fused(state, "user", np.stack(users, 1), all_there), fused(
        state, "item", np.stack(items, 1), there
    )


def test_mcptr_pretraining():
    model = pretrainer(contrast_weight=0.3, temperature=0.5)
    state = weights(model)
    users, items = vectors(state)
    with torch.no_grad():
        made = model.matrices()
    assert np.allclose(made["mcptr/users"].values, users, atol=1e-5)
    assert np.allclose(made["mcptr/items"].values, items, atol=1e-5)
    assert made["mcptr/items"].present.all()  # the cold item by its content
    draws = model._sampler.draw(model._users, twin(model.generator)).numpy()
    owners, taken = model._users.numpy(), model._items.numpy()
    liked, other = ((users[owners] * items[rows]).sum(1) for rows in (taken, draws))
    found = {name: term.item() for name, term in model.loss(torch.arange(len(PAIRS))).items()}
    assert found["taken"] == pytest.approx(
        np.mean(np.log1p(np.exp(-liked)) + np.log1p(np.exp(other))), abs=1e-5
    )
    both = [item for item in sorted(set(taken)) if PRESENT["image"][item] and PRESENT["text"][item]]
    image, text = (unit(rows[both]) for rows in content(state).values())
    cosines = image @ text.T / 0.5
    expected = 0.3 * (in_batch_contrast(cosines) + in_batch_contrast(cosines.T)) / 2
    assert found["contrast"] == pytest.approx(expected, abs=1e-5)


def test_mcptr_starts_from_the_pretrained_vectors():
    data = prepared("mcptr", DATA)
    model, _ = build("mcptr", data, reg_weight=0.3)
    start = [data.pretrained[f"mcptr/{side}"].values for side in ("users", "items")]
    assert np.allclose(scores(model), start[0] @ start[1].T, atol=1e-5)
    used = [start[0][BATCH.users], start[1][BATCH.positives], start[1][BATCH.negatives]]
    found = losses(model)
    assert found["bpr"] == pytest.approx(bpr(*start), abs=1e-5)
    norm = sum((rows**2).sum() for rows in used) / (2 * len(BATCH.users))
    assert found["reg"] == pytest.approx(0.3 * norm, abs=1e-5)


def test_vectors_of_another_width_are_refused():
    with pytest.raises(InputError, match=r"'mcptr' has embedding_size 8 and .* width 16.*set both alike"):
        build("mcptr", prepared("mcptr", DATA), embedding_size=8)
