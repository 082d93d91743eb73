"""DMRL and MacridVAE against their equations, written down as loops over factors, users and items."""

import numpy as np
import pytest
import torch

from mrs_pipeline.functional.independence import distance_correlations
from mrs_pipeline.models.base import PairBatch, UserRowBatch
from mrs_pipeline.models.layers.interactions import interaction_matrix
from mrs_pipeline_tests.models.small import (
    DATA,
    EVERYONE,
    N_ITEMS,
    N_USERS,
    PAIRS,
    RATINGS,
    affine,
    leaky,
    losses,
    projected,
    scores,
    twin,
    unit,
    weights,
    with_biases,
)
from mrs_pipeline_tests.toy import build


def naive_distance_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of the rows of two samples [n, d], from Szekely et al. (2007), a pair of rows after another."""
    n = len(one)

    def centred(rows: np.ndarray) -> np.ndarray:
        distances = np.zeros((n, n))
        for i in range(n):
            for j in range(n):
                distances[i, j] = np.sqrt(((rows[i] - rows[j]) ** 2).sum())
        return distances - distances.mean(0)[None, :] - distances.mean(1)[:, None] + distances.mean()

    def covariance(a: np.ndarray, b: np.ndarray) -> float:
        return np.sqrt(sum(a[i, j] * b[i, j] for i in range(n) for j in range(n)) / n**2)

    a, b = centred(one), centred(other)
    return covariance(a, b) / np.sqrt(covariance(a, a) * covariance(b, b))


def test_distance_correlations_of_all_factors():
    parts = np.random.default_rng(3).normal(size=(12, 3, 4))
    parts[:, 2] = parts[:, 0] ** 2
    found = distance_correlations(torch.from_numpy(parts)).numpy()
    for k in range(3):
        for other in range(3):
            expected = naive_distance_correlation(parts[:, k], parts[:, other])
            assert found[k, other] == pytest.approx(expected, abs=1e-4)
    assert np.allclose(np.diag(found), 1, atol=1e-6)


def test_distance_correlation_sees_what_is_no_line():
    x, noise = np.random.default_rng(0).normal(size=(2, 400))
    parts = torch.from_numpy(np.stack([x, x**2, noise], axis=1)[:, :, None])
    found = distance_correlations(parts)
    assert abs(np.corrcoef(x, x**2)[0, 1]) < 0.15
    assert found[0, 1] > 0.4 > 2 * found[0, 2]


# DMRL

PRESENT = [np.ones(N_ITEMS, bool), *(matrix.present for matrix in DATA.features.values())]
"""Of each channel: whether an item has it."""
FREE = [np.flatnonzero(RATINGS[user] == 0) for user in PAIRS[:, 0]]
NEGATIVES = np.array([[items[0], items[-1]] for items in FREE])
SEVERAL = PairBatch(*(torch.from_numpy(rows) for rows in (PAIRS[:, 0], PAIRS[:, 1], NEGATIVES)))
"""Every training pair with two negatives."""


def dmrl_channels(state: dict[str, np.ndarray]) -> list[np.ndarray]:
    channels = [state["item_embedding"]]
    for name, matrix in DATA.features.items():
        hidden = leaky(affine(state, f"first.{name}", unit(matrix.values.astype(float))))
        channels.append(affine(state, f"second.{name}", unit(hidden)) * matrix.present[:, None])
    return channels


def dmrl_scores(state: dict[str, np.ndarray], n_factors: int) -> np.ndarray:
    channels, width = dmrl_channels(state), 16 // n_factors
    found = np.zeros((N_USERS, N_ITEMS))
    for user, item in np.ndindex(found.shape):
        has = np.array([present[item] for present in PRESENT])
        for start in range(0, 16, width):
            own = slice(start, start + width)
            taste, parts = state["user_embedding"][user, own], [rows[item, own] for rows in channels]
            joined = unit(np.concatenate([taste, *parts]))
            hidden = np.tanh(affine(state, "attention_hidden", joined))
            powers = np.exp(affine(state, "attention", hidden)) * has
            for share, part in zip(powers / powers.sum(), parts, strict=True):
                found[user, item] += share * np.log1p(np.exp(taste @ part))
    return found


def dmrl(n_factors: int, **overrides):
    settings = {"hidden_size": 8, "dropout": 0.0, "n_negatives": 2, **overrides}
    model, _ = build("dmrl", DATA, n_factors=n_factors, **settings)
    return with_biases(model)


@pytest.mark.parametrize("n_factors", [1, 2, 4])
def test_dmrl_scores(n_factors):
    model = dmrl(n_factors)
    assert np.allclose(scores(model), dmrl_scores(weights(model), n_factors), atol=1e-5)


@pytest.mark.parametrize(("n_factors", "n_rows"), [(2, 512), (4, 5), (1, 512)])
def test_dmrl_losses(n_factors, n_rows):
    settings = {"reg_weight": 0.1, "independence_weight": 3.0, "independence_rows": n_rows}
    model = dmrl(n_factors, **settings)
    state = weights(model)
    users, positives, n = PAIRS[:, 0], PAIRS[:, 1], len(PAIRS)
    found = dmrl_scores(state, n_factors)
    best = [max(found[user, item] for item in drawn) for user, drawn in zip(users, NEGATIVES, strict=True)]
    used = [
        state["user_embedding"][users],
        *(state["item_embedding"][rows] for rows in (positives, NEGATIVES)),
    ]
    dependence = 0.0
    sampled = [state["user_embedding"][users[:n_rows]]]
    for rows, present in zip(dmrl_channels(state), PRESENT, strict=True):
        sampled.append(np.array([rows[item] for item in positives[:n_rows] if present[item]]))
    for rows in sampled:
        parts = np.split(rows, n_factors, axis=1)
        dependence += sum(naive_distance_correlation(*pair) for pair in zip(parts, parts[1:], strict=False))
    expected = {
        "bpr": np.mean(np.log1p(np.exp(np.array(best) - found[users, positives]))),
        "reg": 0.1 * sum((rows**2).sum() for rows in used) / 2 / n**2,
        "independence": 3.0 * dependence / (n_factors * (n_factors + 1) / 2) / n,
    }
    terms = losses(model, SEVERAL)
    dependence = pytest.approx(expected.pop("independence"), abs=2e-4)  # has epsilons under its roots
    assert terms.pop("independence") == dependence
    assert terms == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("row", [0, 5, 8])
def test_dmrl_ranks_a_negative_below_the_positive_of_its_own_user(row):
    """In the published code most negatives are scored for another user of the batch."""
    model, slopes = dmrl(4), []
    changed = NEGATIVES.copy()
    changed[row] = PAIRS[row, 1]  # a negative that is the positive leaves nothing to learn
    for negatives in (NEGATIVES, changed):
        batch = PairBatch(SEVERAL.users, SEVERAL.positives, torch.from_numpy(negatives))
        slopes += torch.autograd.grad(model.loss(batch)["bpr"], model.user_embedding)
    moved = (slopes[0] - slopes[1]).abs().amax(1) > 1e-7
    assert moved.tolist() == [user == PAIRS[row, 0] for user in range(N_USERS)]


def test_dmrl_drops_hidden_units_in_training_alone():
    model, still = dmrl(4, dropout=0.5), dmrl(4)
    assert np.array_equal(scores(model), scores(still))
    assert abs(losses(model, SEVERAL)["bpr"] - losses(still, SEVERAL)["bpr"]) > 1e-4
    assert losses(model.eval(), SEVERAL) == losses(still.eval(), SEVERAL)


# MacridVAE


def macrid_items(state: dict[str, np.ndarray], temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Items [I, D] and their shares of the cores [I, K]."""
    content = sum(projected(state, name, unit_features=True) for name in DATA.features)
    items = unit(state["item_embedding"] + content)
    powers = np.exp(items @ unit(state["cores"]).T / temperature)
    return items, powers / powers.sum(1, keepdims=True)


def macrid_encoded(
    state: dict[str, np.ndarray], shares: np.ndarray, user: int, core: int, kept: float | np.ndarray = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and log-variance [D] of a user's factor; `kept` [I] by dropout."""
    inputs = unit(RATINGS[user] * shares[:, core]) * kept
    hidden = np.tanh(inputs @ state["first"] + state["first_bias"])
    mean, log_variance = np.split(affine(state, "second", hidden), 2)
    return unit(mean), log_variance


def macrid_odds(factors: np.ndarray, items: np.ndarray, shares: np.ndarray, temperature: float) -> np.ndarray:
    """p [I] of a user with `factors` [K, D]."""
    return (np.exp(items @ factors.T / temperature) * shares).sum(1)


def macridvae(temperature: float, **overrides):
    settings = {"n_factors": 3, "hidden_size": 8, "temperature": temperature, **overrides}
    model, inputs = build("macridvae", DATA, **settings)
    return with_biases(model), inputs


@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_macridvae_scores(temperature):
    model, _ = macridvae(temperature, dropout=0.5)
    state = weights(model)
    items, shares = macrid_items(state, temperature)
    expected = []
    for user in range(N_USERS):
        factors = np.stack([macrid_encoded(state, shares, user, core)[0] for core in range(3)])
        expected.append(np.log(macrid_odds(factors, items, shares, temperature)))
    assert np.allclose(scores(model), expected, atol=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_macridvae_losses(dropout):
    model, inputs = macridvae(0.3, dropout=dropout, std=0.6, kl_weight=0.7)
    users = torch.tensor([3, 0, 2])
    batch = UserRowBatch(users, interaction_matrix(inputs).take(users))
    state, draws = weights(model), twin(model.generator)
    items, shares = macrid_items(state, 0.3)
    taken = RATINGS[users] > 0
    kept = np.ones((*taken.shape, 3))
    if dropout:
        kept[taken] = torch.empty(taken.sum(), 3).bernoulli_(1 - dropout, generator=draws) / (1 - dropout)
    noise = torch.empty(3, 3, 16).normal_(generator=draws).numpy()

    nll, divergence = 0.0, 0.0
    for row, user in enumerate(users):
        factors = np.zeros((3, 16))
        for core in range(3):
            mean, log_variance = macrid_encoded(state, shares, user, core, kept[row, :, core])
            factors[core] = unit(mean + 0.6 * np.exp(log_variance / 2) * noise[row, core])
            divergence += (np.exp(log_variance) - log_variance - 1).sum() / 2
        odds = macrid_odds(factors, items, shares, 0.3)
        nll -= np.log(odds[taken[row]] / odds.sum()).sum()
    expected = {"likelihood": nll / 3, "kl": 0.7 * divergence / 3}
    assert losses(model, batch) == pytest.approx(expected, rel=1e-5)


def test_macridvae_factor_listens_to_the_items_of_its_core_alone():
    """Even items lie in core 0, odd ones in core 1."""
    model, _ = macridvae(0.03, n_factors=2)
    with torch.no_grad():
        model.cores.copy_(torch.eye(2, 16))
        model.item_embedding.copy_(1e3 * torch.eye(2, 16)[torch.arange(N_ITEMS) % 2])
        before = model.eval().factors()[0]
        model.first[1].neg_()
        moved = (model.factors()[0] - before).abs().amax(2) > 1e-4
    takers = RATINGS[:, 1] > 0
    assert 0 < takers.sum() < N_USERS
    assert moved.numpy().tolist() == [[False, taker] for taker in takers]


def test_macridvae_kl_is_zero_at_the_spread_of_the_prior_and_positive_elsewhere():
    model, inputs = macridvae(0.3)
    batch = UserRowBatch(EVERYONE, interaction_matrix(inputs))
    assert losses(model, batch)["kl"] > 0.01
    with torch.no_grad():
        model.second.weight[16:] = 0
        model.second.bias[16:] = 0
    assert losses(model, batch)["kl"] == pytest.approx(0, abs=1e-6)


# SEM-MacridVAE


def sem_start(size: int) -> np.ndarray:
    """Standardised modalities side by side, their components by SVD, rows of mean 0 and one deviation."""
    blocks = []
    for matrix in DATA.features.values():
        there = matrix.present
        rows = np.zeros(matrix.values.shape)
        values = matrix.values[there].astype(float)
        rows[there] = (values - values.mean(0)) / values.std(0)
        blocks.append(rows)
    joined = np.hstack(blocks)
    joined = (joined - joined.mean(0)) / joined.std(0)
    directions = np.linalg.svd(joined, full_matrices=False)[2].T
    directions = directions * np.sign(
        directions[np.abs(directions).argmax(0), np.arange(directions.shape[1])]
    )
    rows = np.zeros((N_ITEMS, size))
    width = min(size, joined.shape[1])
    rows[:, :width] = (joined @ directions)[:, :width]
    rows -= rows.mean(1, keepdims=True)
    return np.sqrt(2 / (N_ITEMS + size)) * rows / rows.std(1, keepdims=True)


def test_sem_macridvae_starts_from_content():
    model, _ = build("sem_macridvae", DATA, n_factors=2, embedding_size=4)
    state = weights(model)
    start = sem_start(4)
    assert np.allclose(state["item_embedding"], start, atol=1e-5)
    assert np.allclose(start.std(1), np.sqrt(2 / 10))
    warm = unit(start[:5])
    centres = state["cores"]
    owner = ((warm[:, None] - centres[None]) ** 2).sum(2).argmin(1)
    assert np.allclose(centres, [warm[owner == core].mean(0) for core in range(2)], atol=1e-5)


def test_sem_macridvae():
    settings = {"n_factors": 3, "hidden_size": 8, "temperature": 0.5, "dropout": 0.0, "kl_weight": 0.7}
    model, inputs = build("sem_macridvae", DATA, **settings)
    with_biases(model)
    state, draws = weights(model), twin(model.generator)
    items = unit(state["item_embedding"])
    shares = np.exp(items @ unit(state["cores"]).T / 0.5)
    shares /= shares.sum(1, keepdims=True)

    def encoded(user, core):
        hidden = np.tanh(unit(RATINGS[user] * shares[:, core]) @ state["first"] + state["first_bias"])
        return np.split(affine(state, "second", hidden), 2)

    expected = []
    for user in range(N_USERS):
        codes = np.stack([unit(encoded(user, core)[0]) for core in range(3)])
        expected.append(np.log(macrid_odds(codes, items, shares, 0.5)))
    assert np.allclose(scores(model), expected, atol=1e-4)

    users = torch.tensor([3, 0, 2])
    noise = torch.empty(3, 3, 16).normal_(generator=draws).numpy()
    nll, divergence = 0.0, 0.0
    for row, user in enumerate(users):
        codes = np.zeros((3, 16))
        for core in range(3):
            mean, log_variance = encoded(user, core)
            codes[core] = unit(mean + np.exp(log_variance / 2) * noise[row, core])
            divergence += (np.exp(log_variance) + mean**2 - log_variance - 1).sum() / 2
        odds = macrid_odds(codes, items, shares, 0.5)
        nll -= np.log(odds[RATINGS[user] > 0] / odds[:5].sum()).sum()  # item 5 is cold: in no denominator
    found = losses(model, UserRowBatch(users, interaction_matrix(inputs).take(users)))
    assert found == pytest.approx({"likelihood": nll / 3, "kl": 0.7 * divergence / 9}, rel=1e-4)
