"""Models of cold items over finished vectors against their equations in dense NumPy."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.evaluation.evaluator import ranking_task
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    N_ITEMS,
    N_USERS,
    PAIRS,
    affine,
    losses,
    mean_metric,
    projected,
    scores,
    twin,
    unit,
    weights,
    with_biases,
)
from mrs_pipeline_tests.toy import N_ITEMS as TOY_ITEMS
from mrs_pipeline_tests.toy import build, prepared, trained

WARM, COLD = np.arange(5), 5


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normal(state, name, x, training):
    """Batch normalisation by the batch's statistics, or by the running ones, 0 and 1 before any step."""
    mean, variance = (x.mean(0), x.var(0)) if training else (state[f"{name}.mean"], state[f"{name}.variance"])
    return (x - mean) / np.sqrt(variance + 1e-5) * state[f"{name}.weight"] + state[f"{name}.bias"]


def content(state, prefix) -> np.ndarray:
    return sum(projected(state, name, prefix, unit_features=True) for name in DATA.features)


def given(data) -> tuple[np.ndarray, np.ndarray]:
    users, items = (data.pretrained[f"factors/{side}"].values.astype(float) for side in ("users", "items"))
    return users, items * (np.arange(N_ITEMS) != COLD)[:, None]


def stand_in(item, items) -> np.ndarray:
    """Mean vector of an item's warm neighbours: two of each modality, weighted by cosines above zero."""
    total = np.zeros(N_ITEMS)
    for matrix in DATA.features.values():
        there = np.flatnonzero(matrix.present)
        x = unit(matrix.values.astype(float))
        near = sorted(there, key=lambda j: -(x[item] @ x[j]))[:3] if item in there else []
        for j in near:
            total[j] += max(x[item] @ x[j], 0) * (j not in (item, COLD))
    return total @ items / total.sum() if total.sum() else items[WARM].mean(0)


@pytest.mark.parametrize("warm", ["content", "factors"])
def test_gorec(warm):
    data = prepared("gorec", DATA, knn_k=3)
    settings = {"warm": warm, "knn_k": 3, "kl_weight": 0.3, "uniformity_weight": 0.2, "dropout": 0.0}
    model = with_biases(build("gorec", data, **settings)[0])
    state, (users, items) = weights(model), given(data)
    scale = np.sqrt((items[WARM] ** 2).mean())

    def encode(rows, factors, training):
        hidden = content(state, "content")[rows] + factors @ state["factors.weight"].T
        hidden = np.tanh(normal(state, "normal", hidden, training))
        return np.split(affine(state, "posterior", hidden), 2, axis=1)

    def decode(rows, codes, training):
        hidden = content(state, "decoded_content")[rows] + codes @ state["decoded_code.weight"].T
        hidden = np.tanh(normal(state, "decoder_normal", hidden, training))
        return affine(state, "outer", affine(state, "inner", hidden))

    everything = np.arange(N_ITEMS)
    near = np.stack([stand_in(item, items) for item in everything])
    mean, _ = encode(everything, near / scale, training=False)
    made = decode(everything, mean, training=False) * scale
    expected = made if warm == "content" else np.vstack([items[WARM], made[COLD]])
    assert np.allclose(scores(model), users @ expected.T, atol=1e-5)

    rows = np.unique(BATCH.positives.numpy())
    mean, log_variance = encode(rows, items[rows] / scale, training=True)
    drawn = torch.empty(len(BATCH.positives), mean.shape[1]).normal_(generator=twin(model.generator))
    noise = drawn.numpy()[: len(rows)]
    model.train()
    found = losses(model)
    rebuilt = decode(rows, mean + np.exp(log_variance / 2) * noise, training=True)
    prior, prior_log_variance = np.split(content(state, "prior")[rows], 2, axis=1)
    ratio = (np.exp(log_variance) + (mean - prior) ** 2) / np.exp(prior_log_variance)
    on_sphere = unit(mean)
    pairs = [
        np.exp(-2 * ((on_sphere[i] - on_sphere[j]) ** 2).sum()) for i in range(len(rows)) for j in range(i)
    ]
    expected = {
        "reconstruction": ((rebuilt - items[rows] / scale) ** 2).mean(),
        "kl": 0.3 * 0.5 * (prior_log_variance - log_variance + ratio - 1).mean(),
        "uniformity": 0.2 * np.log(np.mean(pairs)),
    }
    assert found == pytest.approx(expected, abs=1e-4)


def test_gorec_has_no_divergence_where_posterior_and_prior_agree():
    model, _ = build("gorec", DATA, knn_k=3)
    with torch.no_grad():
        for layer in (model.posterior, *model.prior.layers.values()):
            layer.weight.zero_()
            layer.bias.zero_()
        for missing in model.prior.missing.values():
            missing.zero_()
    assert losses(model)["kl"] == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("name", ["gorec", "aldi"])
def test_what_the_first_step_says_of_cold_items_has_no_part(name):
    data = prepared(name, DATA)
    matrix = data.pretrained["factors/items"]
    values = matrix.values.copy()
    values[COLD] = 7
    present = np.ones(N_ITEMS, bool)
    other = {**data.pretrained, "factors/items": replace(matrix, values=values, present=present)}
    first, second = (build(name, each)[0] for each in (data, replace(data, pretrained=other)))
    assert np.array_equal(scores(first), scores(second))


@pytest.mark.parametrize("warm", ["content", "factors"])
def test_aldi(warm):
    data = prepared("aldi", DATA)
    settings = {
        "warm": warm,
        "rating_weight": 0.7,
        "identification_weight": 0.4,
        "ranking_weight": 0.3,
        "reg_weight": 0.2,
    }
    model = with_biases(build("aldi", data, **settings)[0])
    state, (users, items) = weights(model), given(data)

    def students(who, what, training):
        of_users = np.tanh(
            normal(state, "normals.of_users", users[who] @ state["first_user.weight"].T, training)
        )
        of_items = np.tanh(normal(state, "normals.of_items", content(state, "first_item")[what], training))
        return affine(state, "second_user", of_users), affine(state, "second_item", of_items)

    of_users, of_items = students(np.arange(N_USERS), np.arange(N_ITEMS), training=False)
    expected = of_users @ of_items.T
    if warm == "factors":
        expected[:, WARM] = users @ items[WARM].T
    assert np.allclose(scores(model), expected, atol=1e-5)

    who, what = np.unique(BATCH.users), np.unique(torch.cat([BATCH.positives, BATCH.negatives]))
    model.train()
    found = losses(model)
    s_users, s_items = np.zeros((N_USERS, 16)), np.zeros((N_ITEMS, 16))
    s_users[who], s_items[what] = students(who, what, training=True)
    u, i, j = BATCH.users.numpy(), BATCH.positives.numpy(), BATCH.negatives.numpy()

    def products(user, item):
        stands = (item[i] ** 2).sum(1) - (item[i] @ item[j].T).mean(1)
        return (user[u] * item[i]).sum(1), (user[u] * item[j]).sum(1), stands

    (s_one, s_other, s_stands), (t_one, t_other, t_stands) = (
        products(s_users, s_items),
        products(users, items),
    )
    activity = np.bincount(PAIRS[:, 0])
    share = [sum(1 / activity[a] for a, b in PAIRS if b == item) for item in range(N_ITEMS)]
    w = np.minimum(np.tanh(4 * N_ITEMS / N_USERS * np.array(share)), np.tanh(4))[i]

    def entropy(gap, wanted):
        return -(w * (wanted * np.log(sigmoid(gap)) + (1 - wanted) * np.log(1 - sigmoid(gap)))).mean()

    squares = sum((rows**2).sum() for rows in (s_users[u], s_items[i], s_items[j])) / 2 / len(u)
    expected = {
        "bpr": np.log1p(np.exp(-(s_one - s_other))).mean(),
        "rating": 0.7 * entropy(s_one - s_other, sigmoid(t_one - t_other)),
        "identification": 0.4 * entropy(s_stands, sigmoid(t_stands)),
        "ranking": 0.3 * (np.abs(t_one - s_one) + np.abs(t_other - s_other)).mean(),
        "reg": 0.2 * squares,
    }
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["mml", "gorec", "aldi"])
def test_content_ranks_cold_items(name, market):
    """Twice as often right as a lot of four would be."""
    task = ranking_task(market.test, [], candidates=np.arange(TOY_ITEMS) >= 36)
    epochs = 15 if name == "mml" else 40
    assert mean_metric(trained(name, market.data, epochs=epochs), task, "hit@1") > 0.5
