"""The model of Torch Geometric's convolutions: LGConv is LightGCN, samples of everything are everything, bad names."""

import numpy as np
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.fitting import configure
from mrs_pipeline.models.layers.library_convolutions import convolutions, flaw
from mrs_pipeline_tests.models.small import (
    DATA,
    N_USERS,
    PAIRS,
    RATINGS,
    adjacency,
    bpr,
    losses,
    norms,
    projected,
    propagated,
    scores,
    weights,
)
from mrs_pipeline_tests.toy import build, first_batch, toy_market

WORKING = {
    "AGNNConv", "ARMAConv", "ClusterGCNConv", "EGConv", "EdgeConv", "FeaStConv", "FiLMConv", "GATConv", "GATv2Conv",
    "GCNConv", "GENConv", "GINConv", "GeneralConv", "GraphConv", "LEConv", "LGConv", "MFConv", "ResGatedGraphConv",
    "SAGEConv", "SGConv", "SimpleConv", "TAGConv", "TransformerConv",
}  # fmt: skip
"""Convolutions that work without any argument; with other versions of the library there may be more."""


def without_features():
    return toy_market(()).data


@pytest.mark.parametrize("n_layers", [1, 3])
def test_lgconv_is_lightgcn_on_copied_weights(n_layers):
    ours, _ = build("lightgcn", without_features(), n_layers=n_layers)
    theirs, inputs = build("pyg", without_features(), n_layers=n_layers)
    theirs.load_state_dict(ours.state_dict())
    everyone = torch.arange(inputs.n_users)
    assert torch.allclose(ours.score(everyone), theirs.score(everyone), atol=1e-5)
    batch = first_batch(ours, inputs)
    own, other = ours.loss(batch), theirs.loss(batch)
    for term in own:
        assert torch.allclose(own[term], other[term], rtol=1e-5)
    sum(own.values()).backward()
    sum(other.values()).backward()
    assert torch.allclose(ours.item_embedding.grad, theirs.item_embedding.grad, atol=1e-7)


def test_lgconv_with_features_is_the_formula():
    model, _ = build("pyg", DATA)
    state = weights(model)
    start = dict(state)
    start["item_embedding"] = state["item_embedding"] + sum(projected(state, name) for name in DATA.features)
    users, items = propagated(adjacency(RATINGS), start, 2)
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    expected = {
        "bpr": bpr(users, items),
        "reg": 1e-4 * norms(state["user_embedding"], state["item_embedding"]),
    }
    assert losses(model) == pytest.approx(expected, rel=1e-5)


def test_sageconv_is_the_formula():
    """W_1 (mean of the neighbours) + b + W_2 own, ReLU in between, the last layer alone."""
    model, _ = build("pyg", DATA, convolution="SAGEConv", combine="last", activation="relu", n_layers=2)
    state = weights(model)
    items = state["item_embedding"] + sum(projected(state, name) for name in DATA.features)
    rows = np.concatenate([state["user_embedding"], items])
    neighbours = np.zeros((len(rows), len(rows)))
    neighbours[PAIRS[:, 0], PAIRS[:, 1] + N_USERS] = neighbours[PAIRS[:, 1] + N_USERS, PAIRS[:, 0]] = 1
    walk = neighbours / np.maximum(neighbours.sum(1, keepdims=True), 1)
    for number in range(2):
        layer = f"convolutions.{number}"
        around = (walk @ rows) @ state[f"{layer}.lin_l.weight"].T + state[f"{layer}.lin_l.bias"]
        rows = around + rows @ state[f"{layer}.lin_r.weight"].T
        rows = np.maximum(rows, 0) if number == 0 else rows
    assert np.allclose(scores(model), rows[:N_USERS] @ rows[N_USERS:].T, atol=1e-5)


@pytest.mark.parametrize("convolution", ["LGConv", "GCNConv", "SAGEConv", "TransformerConv"])
def test_sampling_all_neighbours_is_no_sampling(convolution, monkeypatch):
    monkeypatch.setattr("mrs_pipeline.models.bridge.pyg._ENTRIES", 40)
    whole, inputs = build("pyg", toy_market().data, convolution=convolution)
    sampled, _ = build("pyg", toy_market().data, convolution=convolution, neighbours=[1000, 1000])
    sampled.load_state_dict(whole.state_dict())
    batch = first_batch(whole, inputs)
    assert torch.allclose(whole.loss(batch)["bpr"], sampled.loss(batch)["bpr"], rtol=1e-4)
    everyone = torch.arange(inputs.n_users)
    assert torch.allclose(whole.score(everyone), sampled.score(everyone), atol=1e-4)


def test_sampled_sums_are_right_in_the_mean():
    """LGConv with one neighbour of each node, over many draws, is LGConv with all of them."""
    whole, inputs = build("pyg", toy_market(()).data, n_layers=1)
    sampled, _ = build("pyg", toy_market(()).data, n_layers=1, neighbours=[3])
    sampled.load_state_dict(whole.state_dict())
    batch = first_batch(whole, inputs, size=64)
    users = whole.representations()[0][batch.users]
    mean = torch.zeros_like(users)
    for _ in range(300):
        sampled.start_epoch()
        mean += sampled._sampled(batch)[0] / 300
    spread = (sampled._sampled(batch)[0] - users).std()
    assert (mean - users).std() < 0.15 * spread


def test_every_class_of_the_library_works_or_says_why_not():
    problems = {name: flaw(name, {}, 8) for name in convolutions()}
    assert {name for name, problem in problems.items() if problem is None} >= WORKING
    assert all(problem is None or problem.startswith(name) for name, problem in problems.items())
    assert "needs K" in problems["ChebConv"]
    assert "RGCNConv does not work" in flaw("RGCNConv", {"num_relations": 2}, 8)
    assert "PPFConv wants x, pos" in flaw("PPFConv", {}, 8)
    assert flaw("ChebConv", {"K": 2}, 8) is None
    assert flaw("GATv2Conv", {"heads": 2}, 8) is None


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"convolution": "LGCov"}, "no convolution 'LGCov'; did you mean LGConv"),
        ({"convolution": "Sequential"}, "no convolution 'Sequential'"),
        ({"convolution": "GATConv", "settings": {"head": 2}}, "no setting 'head'; did you mean heads"),
        ({"convolution": "GATConv", "settings": {"in_channels": 2}}, "no setting 'in_channels'"),
        (
            {"convolution": "GATConv", "settings": {"heads": 2, "concat": True}},
            r"vectors of \[128\] where \[64\]",
        ),
        ({"convolution": "GATConv", "settings": {"dropout": 0.5}}, "draws random numbers of its own"),
        ({"convolution": "GINConv", "settings": {"aggr": "nonsense"}}, "does not work"),
        ({"convolution": "PNAConv"}, "also needs aggregators"),
        ({"neighbours": [5]}, "neighbours has to be a list of 2 numbers"),
    ],
)
def test_settings_that_cannot_work_are_refused_when_they_are_read(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        configure("pyg", settings)


def test_without_the_library_the_remedy_is_named(monkeypatch):
    convolutions.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "torch_geometric", None)
    with pytest.raises(InputError, match=r"pip install 'mrs-pipeline\[pyg\]'"):
        build("pyg", DATA)
    convolutions.cache_clear()


def test_building_leaves_the_global_draws_alone():
    data = toy_market(()).data
    state = torch.get_rng_state()
    first, _ = build("pyg", data, convolution="GATv2Conv")
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    second, _ = build("pyg", data, convolution="GATv2Conv")
    assert torch.equal(first.convolutions[0].att, second.convolutions[0].att)
