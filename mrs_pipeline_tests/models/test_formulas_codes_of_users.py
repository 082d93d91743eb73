"""DICER-style, and the divergence that it takes apart, against their equations, a user and a dimension at a time."""

import numpy as np
import pytest
import torch

from mrs_pipeline.functional.sequences import OrderedHistories
from mrs_pipeline.functional.total_correlation import cross_dependence, split_divergence
from mrs_pipeline.models.base import UserRowBatch
from mrs_pipeline.models.layers.interactions import interaction_matrix
from mrs_pipeline_tests.models.small import (
    DATA,
    EVERYONE,
    N_ITEMS,
    N_USERS,
    PAIRS,
    RATINGS,
    affine,
    losses,
    projected,
    scores,
    twin,
    unit,
    weights,
    with_biases,
)
from mrs_pipeline_tests.toy import build, toy_market

SIZE, HIDDEN = 3, 5


def gaussians(n: int, size: int, seed: int = 0):
    rng = torch.Generator().manual_seed(seed)
    means, spread, noise = (torch.randn(n, size, generator=rng, dtype=torch.float64) for _ in range(3))
    return means + (spread / 2).exp() * noise, means, spread


def density(z, mean, log_variance):
    """Of one number under one Gaussian."""
    return np.exp(-((z - mean) ** 2) / (2 * np.exp(log_variance))) / np.sqrt(2 * np.pi * np.exp(log_variance))


def naive_split(codes, means, spreads):
    """Information, correlation, margins, and [n, n] densities of code a under input b."""
    n, size = codes.shape
    each = np.array(
        [
            [[density(codes[a, d], means[b, d], spreads[b, d]) for d in range(size)] for b in range(n)]
            for a in range(n)
        ]
    )
    pairs = each.prod(2)
    whole, margins = pairs.mean(1), each.mean(1).prod(1)
    prior = np.array([np.prod([density(z, 0, 0) for z in code]) for code in codes])
    parts = (np.diag(pairs) / whole, whole / margins, margins / prior)
    return [np.log(part).mean() for part in parts], pairs


def naive_dependence(one, other):
    return np.log((one * other).mean(1) / one.mean(1) / other.mean(1)).mean()


def test_divergence_taken_apart():
    sample = gaussians(6, 3)
    found = split_divergence(*sample)
    expected, pairs = naive_split(*(each.numpy() for each in sample))
    assert [found.information.item(), found.correlation.item(), found.margins.item()] == pytest.approx(
        expected
    )
    assert np.allclose(found.pairs.numpy(), np.log(pairs))
    other = split_divergence(*gaussians(6, 3, seed=1))
    joint = naive_dependence(pairs, np.exp(other.pairs.numpy()))
    assert cross_dependence(found, other).item() == pytest.approx(joint)


def test_the_parts_add_up_to_the_divergence_of_many_codes():
    """KL(q | p) = (sum of e^l + mu^2 - 1 - l) / 2, which no estimate of the parts knows."""
    means, spread = torch.full((2000, 2), 0.7), torch.full((2000, 2), -1.0)
    codes = means + (spread / 2).exp() * torch.randn(2000, 2, generator=torch.Generator().manual_seed(1))
    found = split_divergence(codes, means, spread)
    kl = np.exp(-1.0) + 0.49 - 1 + 1
    assert (found.information + found.correlation + found.margins).item() == pytest.approx(kl, abs=0.05)
    assert found.information.item() == pytest.approx(0, abs=1e-4)


def test_codes_that_copy_each_other_are_dependent_and_others_are_not():
    _, means, spread = gaussians(300, 1)
    spread = torch.full_like(spread, -3)
    own = split_divergence(means, means, spread)
    shuffled = means[torch.randperm(300, generator=torch.Generator().manual_seed(2))]
    copy, other = (
        cross_dependence(own, own),
        cross_dependence(own, split_divergence(shuffled, shuffled, spread)),
    )
    assert copy.item() > 1 and abs(other.item()) < 0.5 * copy.item()


def bounded(log_variances):
    return 5 * np.tanh(log_variances / 5)


def encoded(w, user, kept=None):
    """(means, log-variances) of behaviour and of content, and content [F], of one user."""
    own = [item for pair, item in enumerate(PAIRS[:, 1]) if PAIRS[pair, 0] == user]
    shares = np.full(len(own), len(own) ** -0.5) * (1 if kept is None else kept)
    hidden = np.tanh(shares @ w["first"][own] + w["first_bias"])
    features = [unit(matrix.values.astype(float)) for matrix in DATA.features.values()]
    content = np.concatenate([unit(shares @ rows[own]) for rows in features])
    outputs = [
        affine(w, "second", hidden),
        affine(w, "content_second", np.tanh(affine(w, "content_first", content))),
    ]
    return [(each[:SIZE], bounded(each[SIZE:])) for each in outputs], content


def decoders(w):
    content = sum(projected(w, name, unit_features=True) for name in DATA.features)
    return np.hstack([w["item_embedding"], content])


@pytest.fixture
def dicer():
    settings = {"kl_weight": 0.3, "tc_weight": 2.0, "cross_weight": 0.4, "content_weight": 0.7}
    model, _ = build("dicer", DATA, embedding_size=SIZE, hidden_size=HIDDEN, dropout=0.0, **settings)
    return with_biases(model)


def test_dicer_scores(dicer):
    w = weights(dicer)
    codes = [np.concatenate([means for means, _ in encoded(w, user)[0]]) for user in range(N_USERS)]
    assert np.allclose(scores(dicer), codes @ decoders(w).T, atol=1e-5)
    parts = dicer.parts()
    assert set(parts) == {"behaviour", "content"}
    added = sum(users @ items.T for users, items in parts.values())
    assert np.allclose(added.detach().numpy(), scores(dicer), atol=1e-5)


@pytest.mark.parametrize("n_compared", [3, 256])
def test_dicer_loss(n_compared):
    settings = {"kl_weight": 0.3, "tc_weight": 2.0, "cross_weight": 0.4, "content_weight": 0.7}
    model, inputs = build(
        "dicer", DATA, embedding_size=SIZE, hidden_size=HIDDEN, dropout=0.0, n_compared=n_compared, **settings
    )
    w = weights(with_biases(model))
    draws = twin(model.generator)
    noise = [torch.empty(N_USERS, SIZE).normal_(generator=draws).numpy() for _ in range(2)]
    found = losses(model, UserRowBatch(EVERYONE, interaction_matrix(inputs)))
    both, content = zip(*(encoded(w, user) for user in range(N_USERS)), strict=True)
    splits, codes = [], []
    for kind in range(2):
        means, spreads = (np.stack([user[kind][part] for user in both]) for part in range(2))
        codes.append(means + np.exp(spreads / 2) * noise[kind])
        splits.append(naive_split(*(each[:n_compared] for each in (codes[-1], means, spreads))))
    logits = np.hstack(codes) @ decoders(w).T
    shares = logits - np.log(np.exp(logits[:, :5]).sum(1, keepdims=True))  # item 5 is cold
    assert found["likelihood"] == pytest.approx(-(shares * RATINGS).sum() / N_USERS, abs=1e-4)
    decoded = affine(w, "decoder_second", np.tanh(affine(w, "decoder_first", codes[1])))
    assert found["content"] == pytest.approx(0.7 * ((decoded - content) ** 2).sum() / N_USERS, abs=1e-4)
    divergence = sum(parts[0] + 2 * parts[1] + parts[2] for parts, _ in splits)
    assert found["kl"] == pytest.approx(0.3 * divergence, abs=1e-4)
    joint = naive_dependence(splits[0][1], splits[1][1])
    assert found["dependence"] == pytest.approx(0.4 * joint, abs=1e-4)


def test_dropped_items_are_in_neither_code(dicer):
    """What the encoders do not see says nothing of behaviour nor of content, and is still to be decoded."""
    dicer.train()
    rows = interaction_matrix(build("dicer", DATA, embedding_size=SIZE)[1])
    own = int((PAIRS[:, 0] == 0).sum())
    kept = np.array([1.0] + [0.0] * (own - 1))
    weights_of_entries = torch.ones(len(PAIRS), 1) * own**-0.5
    weights_of_entries[1:own] = 0
    with torch.no_grad():
        behaviour = dicer._behaviour(rows, weights_of_entries)
        content = dicer._content(dicer._content_of(rows, weights_of_entries))
    expected, _ = encoded(weights(dicer), 0, kept)
    for found, wanted in zip((behaviour, content), expected, strict=True):
        assert np.allclose([each[0].numpy() for each in found], wanted, atol=1e-5)


def test_anybody_with_a_history_has_codes(dicer):
    history = np.flatnonzero(RATINGS[2])
    folded = dicer.fold_in(OrderedHistories.from_lists([history], N_ITEMS))
    assert np.allclose(folded.numpy()[0], scores(dicer)[2], atol=1e-5)


def test_extreme_log_variances_stay_finite():
    model, inputs = build("dicer", toy_market().data)
    with torch.no_grad():
        for layer in (model.second, model.content_second):
            layer.weight.mul_(1e4)
    batch = UserRowBatch(torch.arange(60), interaction_matrix(inputs))
    total = sum(model.loss(batch).values())
    total.backward()
    assert torch.isfinite(total) and all(each.grad.isfinite().all() for each in model.parameters())
