"""Linear autoencoders, iALS, SimGCL, SGL and LightGODE against their equations in dense NumPy on a small market."""

import numpy as np
import pytest
import torch

from mrs_pipeline.functional.graphs import DEGREE_EPSILON
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    N_ITEMS,
    N_USERS,
    PAIRS,
    RATINGS,
    adjacency,
    bpr,
    in_batch_contrast,
    losses,
    norms,
    propagated,
    ridge_weights,
    scores,
    twin,
    unit,
    weights,
)
from mrs_pipeline_tests.toy import build

GRAM = RATINGS.T @ RATINGS
COUNTS = RATINGS.sum(0)
USERS, POSITIVES = BATCH.users.numpy(), BATCH.positives.numpy()


def test_bpr_mf_with_a_bias_of_items():
    model, _ = build("bpr_mf", DATA, reg_weight=0.1, item_bias=True)
    with torch.no_grad():
        model.item_bias.copy_(torch.linspace(-1, 1, N_ITEMS).unsqueeze(1))
    state = weights(model)
    users, items, bias = state["user_embedding"], state["item_embedding"], state["item_bias"][:, 0]
    expected = users @ items.T + bias
    assert np.allclose(scores(model), expected, atol=1e-6)
    gaps = expected[USERS, POSITIVES] - expected[USERS, BATCH.negatives.numpy()]
    assert losses(model) == pytest.approx(
        {"bpr": np.mean(np.log1p(np.exp(-gaps))), "reg": 0.1 * norms(users, items)}, abs=1e-6
    )


def test_edlae_is_the_mean_of_regressions_on_dropped_out_rows():
    model, _ = build("edlae", DATA, reg_weight=2.0, dropout=0.4)
    inverse = np.linalg.inv(GRAM + np.diag(2.0 + 0.4 / 0.6 * COUNTS))
    expected = -inverse / inverse.diagonal()
    np.fill_diagonal(expected, 0)
    assert np.allclose(scores(model), RATINGS @ expected, atol=1e-5)
    rng = np.random.default_rng(1)
    kept = rng.random((20_000, *RATINGS.shape)) < 0.6
    dropped = kept * RATINGS / 0.6
    mean = np.einsum("nui,nuj->ij", dropped, dropped) / len(kept)
    assert np.allclose(mean, GRAM + np.diag(0.4 / 0.6 * COUNTS), atol=0.05)


def test_edlae_without_dropout_is_ease():
    model, _ = build("edlae", DATA, reg_weight=2.0, dropout=0.0)
    assert np.array_equal(scores(model), scores(build("ease", DATA, reg_weight=2.0)[0]))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("limit", [0.0, 0.2, 0.5, 1.0])
def test_rlae_bounds_the_diagonal(limit, dropout):
    model, _ = build("rlae", DATA, reg_weight=1.5, diagonal_limit=limit, dropout=dropout)
    ridge = 1.5 + dropout / (1 - dropout) * COUNTS
    inverse = np.linalg.inv(GRAM + np.diag(ridge))
    over = 1 - ridge * inverse.diagonal() > limit
    held = np.where(over, (1 - limit) / inverse.diagonal() - ridge, 0)
    expected = np.eye(N_ITEMS) - inverse @ np.diag(ridge + held)
    assert np.allclose(expected.diagonal(), np.minimum(limit, 1 - ridge * inverse.diagonal()))
    np.fill_diagonal(expected, 0)
    assert np.allclose(scores(model), RATINGS @ expected, atol=1e-5)


def test_the_limits_of_rlae_are_ease_and_ridge_regression():
    tight, _ = build("rlae", DATA, reg_weight=1.5, diagonal_limit=0.0)
    assert np.allclose(scores(tight), RATINGS @ ridge_weights(GRAM, 1.5), atol=1e-5)
    loose, _ = build("rlae", DATA, reg_weight=1.5, diagonal_limit=1.0)
    ridge = np.linalg.solve(GRAM + 1.5 * np.eye(N_ITEMS), GRAM)
    np.fill_diagonal(ridge, 0)
    assert np.allclose(scores(loose), RATINGS @ ridge, atol=1e-5)


SETTINGS = {"embedding_size": 2, "reg_weight": 0.05, "unobserved_weight": 0.3}


def ials_loss(users: np.ndarray, items: np.ndarray, power: float) -> float:
    found = users @ items.T
    of_users = (RATINGS.sum(1) + 0.3 * N_ITEMS) ** power
    of_items = (COUNTS + 0.3 * N_USERS) ** power
    norm = (of_users[:, None] * users**2).sum() + (of_items[:, None] * items**2).sum()
    return float((RATINGS * (1 - found) ** 2).sum() + 0.3 * (found**2).sum() + 0.05 * norm)


def ials_half(rows: np.ndarray, factors: np.ndarray, power: float) -> np.ndarray:
    ridge = 0.05 * (rows.sum(1) + 0.3 * len(factors)) ** power
    return np.stack(
        [
            np.linalg.solve(
                factors.T @ np.diag(row) @ factors + 0.3 * factors.T @ factors + own * np.eye(2),
                factors.T @ row,
            )
            for row, own in zip(rows, ridge, strict=True)
        ]
    )


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_ials_alternates_from_the_singular_vectors(power):
    model, _ = build("ials", DATA, sweeps=3, frequency_power=power, **SETTINGS)
    _, values, vectors = np.linalg.svd(RATINGS)
    items = vectors[:2].T * np.sqrt(values[:2])
    reached = []
    for _ in range(3):
        users = ials_half(RATINGS, items, power)
        reached.append(ials_loss(users, items, power))
        items = ials_half(RATINGS.T, users, power)
        reached.append(ials_loss(users, items, power))
    assert (np.diff(reached) < 0).all()
    assert np.allclose(scores(model), ials_half(RATINGS, items, power) @ items.T, atol=1e-5)


def test_ials_sets_the_slope_of_its_loss_to_zero():
    model, _ = build("ials", DATA, sweeps=1, **SETTINGS)
    users, items = (part.double().numpy() for part in model.representations())
    at = ials_loss(users, items, 1.0)
    for place in np.ndindex(users.shape):
        ends = []
        for step in (-1e-4, 1e-4):
            moved = users.copy()
            moved[place] += step
            ends.append(ials_loss(moved, items, 1.0))
        assert min(ends) >= at - 1e-10
        assert ends[1] - ends[0] == pytest.approx(0, abs=1e-6)


def test_ials_solves_long_and_short_rows_alike_in_small_blocks(monkeypatch):
    whole, _ = build("ials", DATA, sweeps=2, **SETTINGS)
    monkeypatch.setattr("mrs_pipeline.models.baselines.ials._NUMBERS_AT_ONCE", 1)
    assert np.allclose(scores(build("ials", DATA, sweeps=2, **SETTINGS)[0]), scores(whole), atol=1e-6)


def test_ials_has_no_more_factors_than_there_are_singular_vectors():
    model, _ = build("ials", DATA, **{**SETTINGS, "embedding_size": 16})
    assert (model.item_factors.abs().sum(0) > 0).sum() == min(N_USERS, N_ITEMS) - 1
    assert np.isfinite(scores(model)).all()


def simgcl_layers(state, noise: float, draws: torch.Generator | None, n_layers: int) -> list[np.ndarray]:
    layer = np.concatenate([state["user_embedding"], state["item_embedding"]])
    layers = [layer]
    for _ in range(n_layers):
        layer = adjacency(RATINGS) @ layer
        if draws is not None:
            drawn = torch.rand(layer.shape, generator=draws).numpy()
            moved = layer + noise * np.sign(layer) * unit(drawn)
            assert np.allclose(np.linalg.norm(moved - layer, axis=1)[np.abs(layer).min(1) > 0], noise)
            layer = moved
        layers.append(layer)
    return layers


@pytest.mark.parametrize(("n_layers", "with_layer_0"), [(1, False), (2, True)])
def test_simgcl(n_layers, with_layer_0):
    settings = {"noise": 0.3, "cl_weight": 0.7, "temperature": 0.5, "reg_weight": 0.1}
    model, _ = build("simgcl", DATA, n_layers=n_layers, include_layer_0=with_layer_0, **settings)
    state, draws = weights(model), twin(model.generator)

    def sides(draws: torch.Generator | None) -> tuple[np.ndarray, np.ndarray]:
        layers = simgcl_layers(state, 0.3, draws, n_layers)
        mean = np.mean(layers if with_layer_0 else layers[1:], axis=0)
        return mean[:N_USERS], mean[N_USERS:]

    users, items = sides(None)
    assert np.allclose(scores(model), users @ items.T, atol=1e-6)
    one, other = sides(draws), sides(draws)
    contrast = 0.0
    for first, second, rows in zip(one, other, (np.unique(USERS), np.unique(POSITIVES)), strict=True):
        contrast += in_batch_contrast(unit(first[rows]) @ unit(second[rows]).T / 0.5)
    norm = (np.linalg.norm(users[USERS]) + np.linalg.norm(items[POSITIVES])) / len(USERS)
    expected = {"bpr": bpr(users, items), "reg": 0.1 * norm, "contrast": 0.7 * contrast}
    assert losses(model) == pytest.approx(expected, abs=1e-5)


def test_simgcl_compares_an_item_of_a_batch_once():
    model, _ = build("simgcl", DATA, noise=0.0)
    repeated = type(BATCH)(
        *(torch.cat([rows, rows]) for rows in (BATCH.users, BATCH.positives, BATCH.negatives))
    )
    assert losses(model)["contrast"] == pytest.approx(losses(model, repeated)["contrast"], abs=1e-6)


def sgl_contrast(one: np.ndarray, other: np.ndarray, rows: np.ndarray, temperature: float) -> float:
    logits = unit(one)[rows] @ unit(other).T / temperature
    return float(np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(len(rows)), rows]))


@pytest.mark.parametrize("augmentation", ["edge", "node"])
def test_sgl(augmentation):
    settings = {"dropout": 0.3, "cl_weight": 0.7, "temperature": 0.5, "reg_weight": 0.1, "n_layers": 2}
    model, _ = build("sgl", DATA, augmentation=augmentation, **settings)
    model.start_epoch()
    state = weights(model)
    users, items = propagated(adjacency(RATINGS), state, 2)
    assert np.allclose(scores(model), users @ items.T, atol=1e-6)
    views = []
    for view in model._views:
        dense = view.matrix.to_dense().double().numpy()
        drawn = (dense[:N_USERS, N_USERS:] > 0).astype(float)
        assert np.allclose(dense, adjacency(drawn), atol=1e-6)
        if augmentation == "edge":
            assert drawn.sum() == int(0.7 * len(PAIRS))
        else:
            whole = [int(axis) for axis in ((drawn == RATINGS).all(1).sum(), (drawn == RATINGS).all(0).sum())]
            assert drawn.sum() < len(PAIRS) and whole[0] < N_USERS and whole[1] < N_ITEMS
        views.append(propagated(dense, state, 2))
    contrast = sum(
        sgl_contrast(views[0][side], views[1][side], rows, 0.5) for side, rows in ((0, USERS), (1, POSITIVES))
    )
    layer_0 = (state["user_embedding"], state["item_embedding"])
    parts = (layer_0[0][USERS], layer_0[1][POSITIVES], layer_0[1][BATCH.negatives.numpy()])
    expected = {
        "bpr": bpr(users, items),
        "reg": 0.1 * sum((part**2).sum() for part in parts) / 2 / len(USERS),
        "contrast": 0.7 * contrast,
    }
    assert losses(model) == pytest.approx(expected, abs=1e-5)


def test_sgl_without_dropout_compares_the_graph_with_itself():
    model, _ = build("sgl", DATA, dropout=0.0, n_layers=1)
    model.start_epoch()
    state = weights(model)
    users, items = propagated(adjacency(RATINGS), state, 1)
    expected = sum(sgl_contrast(side, side, rows, 0.2) for side, rows in ((users, USERS), (items, POSITIVES)))
    assert losses(model)["contrast"] == pytest.approx(0.1 * expected, abs=1e-5)


def uniformity(rows: np.ndarray) -> float:
    rows = unit(rows)
    pairs = [
        np.exp(-2 * ((rows[a] - rows[b]) ** 2).sum())
        for a in range(len(rows))
        for b in range(a + 1, len(rows))
    ]
    return float(np.log(np.mean(pairs)))


@pytest.mark.parametrize("steps", [1, 3])
def test_lightgode(steps):
    model, _ = build("lightgode", DATA, time=0.9, steps=steps, uniformity_weight=0.6)
    state = weights(model)
    users, items = state["user_embedding"], state["item_embedding"]
    start = np.concatenate([users, items])
    at = start
    for _ in range(steps):
        at = at + 0.9 / steps * (adjacency(RATINGS) @ at + start)
    if steps == 1:
        assert np.allclose(at, 1.9 * start + 0.9 * adjacency(RATINGS) @ start)
    assert np.allclose(scores(model), at[:N_USERS] @ at[N_USERS:].T, atol=1e-5)
    gaps = unit(users[USERS]) - unit(items[POSITIVES])
    apart = [uniformity(table[np.unique(rows)]) for table, rows in ((users, USERS), (items, POSITIVES))]
    expected = {"alignment": (gaps**2).sum(1).mean(), "uniformity": 0.6 * np.mean(apart)}
    assert losses(model) == pytest.approx(expected, abs=1e-5)


def test_many_steps_of_lightgode_are_the_exponential():
    model, _ = build("lightgode", DATA, time=0.5, steps=100)
    state = weights(model)
    start = np.concatenate([state["user_embedding"], state["item_embedding"]])
    values, vectors = np.linalg.eigh(adjacency(RATINGS))
    values = np.where(np.abs(values) < DEGREE_EPSILON, DEGREE_EPSILON, values)
    growth = np.exp(0.5 * values) + (np.exp(0.5 * values) - 1) / values
    exact = vectors @ np.diag(growth) @ vectors.T @ start
    found = torch.cat(list(model.representations())).detach().numpy()
    assert np.allclose(found, exact, rtol=0.02, atol=0.01)


def test_lightgode_without_time_is_matrix_factorisation():
    model, _ = build("lightgode", DATA, time=0.0)
    state = weights(model)
    assert np.allclose(scores(model), state["user_embedding"] @ state["item_embedding"].T, atol=1e-6)
