"""GRCN, MMGCN and DualGNN against their equations in dense NumPy on a small market."""

import numpy as np
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.fitting import prepare
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.registry import model_class
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    N_ITEMS,
    N_USERS,
    PAIRS,
    RATINGS,
    adjacency,
    bpr,
    leaky,
    losses,
    projected,
    scores,
    unit,
    weights,
)
from mrs_pipeline_tests.toy import build, small_config


def mean_squares(*rows: np.ndarray) -> float:
    return float(sum((part**2).mean() for part in rows))


BOTH = torch.cat([BATCH.positives, BATCH.negatives])


def attention(queries: np.ndarray, values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    powers = np.exp(queries @ values.T) * edges
    total = powers.sum(1, keepdims=True)
    return np.divide(powers, total, out=np.zeros_like(powers), where=total > 0)


def grcn(state: dict[str, np.ndarray], n_routings: int, n_layers: int) -> tuple[np.ndarray, np.ndarray]:
    into_users, into_items = [], []
    user_parts, item_parts = [], []
    for number, modality in enumerate(DATA.features):
        users = unit(state[f"preferences.{modality}"])
        items = unit(leaky(projected(state, modality)))
        for _ in range(n_routings):
            users = unit(users + attention(users, items, RATINGS) @ items)
        to_users, to_items = attention(users, items, RATINGS), attention(items, users, RATINGS.T)
        user_parts.append(users + to_users @ items)
        item_parts.append(items + to_items @ users)
        into_users.append(to_users * state["item_confidence"][:, number])
        into_items.append(to_items * state["user_confidence"][:, number])
    weights_ = np.zeros((N_USERS + N_ITEMS,) * 2)
    weights_[:N_USERS, N_USERS:] = np.maximum(np.max(into_users, axis=0), 0)
    weights_[N_USERS:, :N_USERS] = np.maximum(np.max(into_items, axis=0), 0)
    start = unit(np.concatenate([state["user_embedding"], state["item_embedding"]]))
    nodes = sum(np.linalg.matrix_power(weights_, power) @ start for power in range(n_layers + 1))
    return (
        np.concatenate([nodes[:N_USERS], *user_parts], axis=1),
        np.concatenate([nodes[N_USERS:], *item_parts], axis=1),
    )


@pytest.mark.parametrize(("n_routings", "n_layers"), [(3, 2), (0, 1)])
def test_grcn(n_routings, n_layers):
    model, _ = build("grcn", DATA, n_routings=n_routings, n_layers=n_layers, reg_weight=0.1)
    with torch.no_grad():  # large enough to matter beside the content, and some of them negative
        model.item_confidence.copy_(torch.linspace(-1, 2, 2 * N_ITEMS).view(N_ITEMS, 2).flip(1))
        model.user_confidence.copy_(torch.linspace(2, -1, 2 * N_USERS).view(N_USERS, 2))
    state = weights(model)
    users, items = grcn(state, n_routings, n_layers)
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    own = state["user_embedding"][BATCH.users], state["item_embedding"][BOTH]
    preferences = [state[f"preferences.{modality}"][BATCH.users] for modality in DATA.features]
    expected = {"bpr": bpr(users, items), "reg": 0.1 * mean_squares(*own, *preferences)}
    assert losses(model) == pytest.approx(expected, abs=1e-6)


def test_grcn_routing_moves_the_users():
    """In the published code the routing's messages end at the items, and the users stay where they were."""
    still, moved = (build("grcn", DATA, n_routings=rounds)[0].representations()[0] for rounds in (0, 3))
    assert (still - moved).abs().max() > 0.05


def test_grcn_cuts_no_sender_off_before_it_has_learned():
    model, _ = build("grcn", DATA)
    state = weights(model)
    for side, seen in (("user", RATINGS.sum(1) > 0), ("item", RATINGS.sum(0) > 0)):
        assert (state[f"{side}_confidence"][seen] > 0).all()
    model.loss(BATCH)["bpr"].backward()
    senders = model.item_confidence.grad.abs().max(1).values[np.unique(PAIRS[:, 1])]
    assert (senders > 0).all()


def test_grcn_keeps_negative_edges_where_pruning_is_soft():
    hard, soft = (build("grcn", DATA, pruning=pruning)[0] for pruning in ("hard", "soft"))
    assert np.allclose(scores(hard), scores(soft))  # all weights are positive at first
    for model in (hard, soft):
        with torch.no_grad():
            model.item_confidence.fill_(-1.0)
    alone = unit(weights(hard)["user_embedding"])
    assert np.allclose(hard.representations()[0][:, :16].detach().numpy(), alone, atol=1e-6)
    assert np.abs(soft.representations()[0][:, :16].detach().numpy() - alone).max() > 0.05


def mmgcn(state: dict[str, np.ndarray], n_layers: int, combination: str, content_size: int) -> np.ndarray:
    matrix = np.block([[np.zeros((N_USERS, N_USERS)), RATINGS], [RATINGS.T, np.zeros((N_ITEMS, N_ITEMS))]])
    mean = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    identifiers = np.concatenate([state["user_embedding"], state["item_embedding"]])
    views = []
    for modality, features in DATA.features.items():
        if features.values.shape[1] > content_size:
            content = projected(state, modality, "content.projection")
        else:
            content = features.values.astype(float)
            content[~features.present] = state[f"content.missing.{modality}"]
        x = np.concatenate([unit(state[f"preferences.{modality}"]), unit(content)])
        for number in range(n_layers):
            layer = {
                name.removeprefix(f"layers.{modality}.{number}."): value for name, value in state.items()
            }
            heard = leaky(mean @ (x @ layer["message.weight"].T))
            own = leaky(x @ layer["self_loop.weight"].T + layer["self_loop.bias"]) + identifiers
            joined = np.concatenate([heard, own], axis=1) if combination == "concat" else heard
            x = joined @ layer["join.weight"].T + layer["join.bias"]
            x = leaky(x if combination == "concat" else x + own)
        views.append(x)
    return np.mean(views, axis=0)


@pytest.mark.parametrize(
    ("n_layers", "combination", "content_size", "size"),
    [(3, "concat", 256, 16), (2, "sum", 3, 16), (2, "concat", 3, 2), (1, "sum", 1, 16)],
)
def test_mmgcn(n_layers, combination, content_size, size):
    """Wide and narrow features, layers that narrow and layers that do not."""
    settings = {"n_layers": n_layers, "combination": combination, "content_size": content_size}
    model, _ = build("mmgcn", DATA, reg_weight=0.1, embedding_size=size, **settings)
    state = weights(model)
    nodes = mmgcn(state, n_layers, combination, content_size)
    users, items = nodes[:N_USERS], nodes[N_USERS:]
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    own = state["user_embedding"][BATCH.users], state["item_embedding"][BOTH]
    preferences = [state[f"preferences.{modality}"][BATCH.users] for modality in DATA.features]
    expected = {"bpr": bpr(users, items), "reg": 0.1 * mean_squares(*own, *preferences)}
    assert losses(model) == pytest.approx(expected, abs=1e-6)


def test_mmgcn_learns_identifiers_and_preferences():
    """The published code draws both once and never changes them."""
    model, _ = build("mmgcn", DATA, reg_weight=0.0)
    sum(model.loss(BATCH).values()).backward()
    learned = dict(model.named_parameters())
    for name in ("user_embedding", "item_embedding", "preferences.image", "preferences.text"):
        assert learned[name].grad.abs().sum() > 0, name


def test_mmgcn_sum_and_concat_are_two_models():
    """The published switch between them is a string that is always true."""
    concat, added = (build("mmgcn", DATA, combination=how)[0] for how in ("concat", "sum"))
    assert concat.layers["text"][0].join.weight.shape == (16, 32)
    assert added.layers["text"][0].join.weight.shape == (16, 16)


def neighbours(k: int) -> np.ndarray:
    shared = RATINGS @ RATINGS.T
    np.fill_diagonal(shared, 0)
    shares = np.zeros_like(shared)
    for user in range(N_USERS):
        strongest = [v for v in np.argsort(-shared[user], kind="stable")[:k] if shared[user, v] > 0]
        powers = np.exp(shared[user, strongest])
        shares[user, strongest] = powers / powers.sum()
    return shares


def dualgnn_views(state: dict[str, np.ndarray], n_layers: int) -> list[np.ndarray]:
    views = []
    for modality in DATA.features:
        hidden = leaky(projected(state, modality, "hidden"))
        content = hidden @ state[f"content.{modality}.weight"].T + state[f"content.{modality}.bias"]
        nodes = np.concatenate([unit(state[f"preferences.{modality}"]), unit(content)])
        matrix = adjacency(RATINGS)
        views.append(sum(np.linalg.matrix_power(matrix, power) @ nodes for power in range(n_layers + 1)))
    return views


@pytest.mark.parametrize(("n_layers", "user_k"), [(2, 40), (1, 1)])
def test_dualgnn(n_layers, user_k):
    model, _ = build("dualgnn", DATA, n_layers=n_layers, user_k=user_k, reg_weight=0.1)
    state = weights(model)
    views = dualgnn_views(state, n_layers)
    users = sum(state["modality_weights"][:, [number]] * view[:N_USERS] for number, view in enumerate(views))
    users = users + neighbours(user_k) @ users
    items = sum(view[N_USERS:] for view in views)
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    preferences = [state[f"preferences.{modality}"][BATCH.users] for modality in DATA.features]
    expected = {
        "bpr": bpr(users, items) / np.log(2),
        "reg": 0.1 * mean_squares(*preferences, state["modality_weights"]),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("number", [0, 1])
def test_dualgnn_user_views_are_of_one_modality_each(number):
    """In the published code the first modality's view already holds the second."""
    model, _ = build("dualgnn", DATA)
    with torch.no_grad():
        model.modality_weights.zero_()
        model.modality_weights[:, number] = 1.0
    view = dualgnn_views(weights(model), 2)[number][:N_USERS]
    users = model.representations()[0].detach().numpy()
    assert np.allclose(users, view + neighbours(40) @ view, atol=1e-5)


def test_dualgnn_weighs_the_modalities_of_a_user_as_shares_at_first():
    model, _ = build("dualgnn", DATA)
    start = model.modality_weights.detach()
    assert torch.allclose(start.sum(1), torch.ones(N_USERS))
    assert (start > 0).all()


def test_dualgnn_listens_to_at_most_the_users_it_is_set_to():
    wide = prepare(DATA, "dualgnn", small_config("dualgnn"))
    narrow, _ = build("dualgnn", wide, user_k=1)
    assert np.allclose(narrow._neighbours.matrix.to_dense().numpy(), neighbours(1), atol=1e-6)


def test_dualgnn_without_a_user_graph_says_what_to_build():
    inputs = ModelInputs.from_data(DATA)
    with pytest.raises(InputError, match="needs the graph of users who share items"):
        model_class("dualgnn")(small_config("dualgnn"), inputs, torch.Generator())
