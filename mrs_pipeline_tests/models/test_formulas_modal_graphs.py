"""MGAT, LGMRec, GUME and MMSSL against their equations in dense NumPy on a small market."""

import numpy as np
import pytest
import torch

from mrs_pipeline.functional.graphs import DEGREE_EPSILON
from mrs_pipeline.models.layers.critic import RowCritic
from mrs_pipeline.models.layers.root_scaled import nearest_items
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    N_ITEMS,
    N_USERS,
    RATINGS,
    adjacency,
    affine,
    bpr,
    in_batch_contrast,
    leaky,
    losses,
    norms,
    projected,
    propagated,
    scores,
    unit,
    weights,
    with_biases,
)
from mrs_pipeline_tests.toy import build

Nodes = tuple[np.ndarray, np.ndarray]

HAS = np.stack([matrix.present for matrix in DATA.features.values()], axis=1).astype(float)
NODES_HAVE = np.concatenate([RATINGS @ HAS > 0, HAS > 0])
USERS, POSITIVES = np.unique(BATCH.users), np.unique(BATCH.positives)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    raised = np.exp(x - x.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def halves(nodes: np.ndarray) -> Nodes:
    return nodes[:N_USERS], nodes[N_USERS:]


def half_squares(*tables: np.ndarray) -> float:
    return sum(float((table**2).sum()) for table in tables) / 2


def batch_squares(users: np.ndarray, items: np.ndarray) -> float:
    rows = (users[BATCH.users], items[BATCH.positives], items[BATCH.negatives])
    return half_squares(*rows) / len(BATCH.users)


def contrast(one: np.ndarray, other: np.ndarray, temperature: float) -> float:
    return in_batch_contrast(unit(one) @ unit(other).T / temperature)


def features(name: str) -> np.ndarray:
    return DATA.features[name].values.astype(float)


# MGAT -----------------------------------------------------------------------------------------------------------


def mgat_layer(state: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    edges = adjacency(RATINGS) > 0
    degrees = edges.sum(1)
    z = affine(state, f"{name}.message", x)
    heard = np.tile(state[f"{name}.offset"], (len(z), 1))
    for i in range(len(z)):
        around = np.flatnonzero(edges[i])
        raw = leaky(z[around]) @ z[i]
        gated = raw * sigmoid(raw / np.sqrt(degrees[around]))
        if len(around):
            heard[i] += softmax(gated) @ z[around]
    identifiers = np.concatenate([state["user_embedding"], state["item_embedding"]])
    own = leaky(affine(state, f"{name}.self_loop", x)) + identifiers
    return leaky(affine(state, f"{name}.join", leaky(unit(heard))) + own)


@pytest.mark.parametrize("n_layers", [1, 2])
def test_mgat(n_layers):
    model = with_biases(build("mgat", DATA, n_layers=n_layers, reg_weight=0.1)[0])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("offset"):
                parameter.normal_(generator=model.generator)
    state = weights(model)
    views = []
    for modality in DATA.features:
        content = np.tanh(projected(state, modality, f"content.{modality}"))
        x, layers = unit(np.concatenate([state[f"preferences.{modality}"], content])), []
        for number in range(n_layers):
            x = mgat_layer(state, f"layers.{modality}.{number}", x)
            layers.append(x)
        views.append(np.concatenate(layers, axis=1))
    users, items = halves(np.mean(views, axis=0))
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    expected = {"bpr": bpr(users, items) / np.log(2), "reg": 0.1 * half_squares(*state.values())}
    assert losses(model) == pytest.approx(expected, abs=1e-5)


# LGMRec ---------------------------------------------------------------------------------------------------------


def hyper_views(state: dict[str, np.ndarray], items: np.ndarray, name: str, n_layers: int) -> Nodes:
    """p^m and q^m without noise and dropout."""
    present = DATA.features[name].present
    logits = affine(state, f"hyperedges.{name}", features(name))
    of_items = softmax(logits / 0.2) * present[:, None]
    of_users = softmax(RATINGS @ logits / 0.2) * (RATINGS @ present > 0)[:, None]
    users = np.zeros((N_USERS, items.shape[1]))
    for _ in range(n_layers):
        edges = of_items.T @ items
        users, items = of_users @ edges, of_items @ edges
    return users, items


@pytest.mark.parametrize("n_hyper_layers", [1, 2])
def test_lgmrec(n_hyper_layers):
    settings = {"cl_weight": 0.5, "reg_weight": 0.1, "n_hyper_layers": n_hyper_layers}
    model = build("lgmrec", DATA, **settings)[0].eval()
    state = weights(model)
    matrix = adjacency(RATINGS)
    behaviour = propagated(matrix, state, 2)
    local, shared = np.concatenate(behaviour), {}
    for name, feature in DATA.features.items():
        items = affine(state, f"content.{name}", features(name))
        counts = np.maximum(RATINGS @ feature.present, 1)[:, None]
        local = local + unit(matrix @ matrix @ np.concatenate([RATINGS @ items / counts, items]))
        shared[name] = hyper_views(state, behaviour[1], name, n_hyper_layers)
    total = np.sum([np.concatenate(pair) for pair in shared.values()], axis=0)
    users, items = halves(local + 0.3 * unit(total))
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    expected = 0.0
    for one, other, rows in zip(*shared.values(), (BATCH.users, BATCH.positives), strict=True):
        logits = unit(one) @ unit(other).T / 0.2
        expected += np.mean([np.log(np.exp(logits[row]).sum()) - logits[row, row] for row in rows])
    assert losses(model) == pytest.approx(
        {"bpr": bpr(users, items), "reg": 0.1 * norms(users, items), "contrast": 0.5 * expected}, abs=1e-5
    )


def test_lgmrec_draws_in_training_only():
    model, _ = build("lgmrec", DATA)
    assert losses(model.train()) != losses(model)
    assert losses(model.eval()) == losses(model)


# GUME -----------------------------------------------------------------------------------------------------------


def neighbours(name: str, k: int) -> np.ndarray:
    """Cosines of the k nearest of each item that has the modality, itself first, none below zero."""
    values, present = unit(features(name)), DATA.features[name].present
    cosine, graph = values @ values.T, np.zeros((N_ITEMS, N_ITEMS))
    for item in np.flatnonzero(present):
        order = sorted(np.flatnonzero(present), key=lambda other: (other != item, -cosine[item, other]))
        graph[item, order[:k]] = cosine[item, order[:k]]
    return graph


def scaled(graph: np.ndarray) -> np.ndarray:
    scale = (graph.sum(1) + DEGREE_EPSILON) ** -0.5
    return scale[:, None] * graph * scale[None, :]


def gume_nodes(state: dict[str, np.ndarray], k: int) -> tuple[np.ndarray, ...]:
    """A+, g, the views [N, M, D] and t."""
    graphs = [neighbours(name, k) for name in DATA.features]
    agreed = np.logical_and(*(graph != 0 for graph in graphs)) & ~np.eye(N_ITEMS, dtype=bool)
    full = adjacency(RATINGS) > 0
    full[N_USERS:, N_USERS:] = agreed | agreed.T
    assert agreed.any()
    extended = scaled(full.astype(float))
    g = np.concatenate(propagated(extended, state, 3))
    views = []
    for name, graph in zip(DATA.features, graphs, strict=True):
        inner = affine(state, f"purifiers.{name}.project", features(name))
        gate = sigmoid(affine(state, f"purifiers.{name}.gate", inner))
        view = scaled(np.maximum(graph, 0)) @ (state["item_embedding"] * gate)
        views.append(np.concatenate([extended[:N_USERS, N_USERS:] @ view, view]))
    stacked = np.stack(views, axis=1)
    raised = np.exp(affine(state, "attention.query", np.tanh(affine(state, "attention.hidden", stacked))))
    raised = raised[..., 0] * NODES_HAVE
    shares = raised / np.maximum(raised.sum(1, keepdims=True), 1e-300)
    common = np.einsum("nm,nmd->nd", shares, stacked)
    total = common.copy()
    for number, name in enumerate(DATA.features):
        gate = sigmoid(affine(state, f"selectors.{name}", g)) * NODES_HAVE[:, [number]]
        total += gate * (stacked[:, number] - common)
    return extended, g, stacked, total / (NODES_HAVE.sum(1, keepdims=True) + 1)


def test_gume(monkeypatch):
    monkeypatch.setattr("mrs_pipeline.models.bridge.gume._NOISE", 0.0)
    parts = {f"{name}_weight": 0.5 for name in ("distance", "behaviour", "user", "extended", "reg")}
    model = with_biases(build("gume", DATA, knn_k=4, **parts)[0])
    state = weights(model)
    extended, g, views, t = gume_nodes(state, 4)
    users, items = halves(g + t)
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    x = []
    for number, name in enumerate(DATA.features):
        layer = np.concatenate([state[f"extended_users.{name}"], views[N_USERS:, number]])
        layers = [layer]
        for _ in range(3):
            layers.append(extended @ layers[-1])
        x.append(np.mean(layers, axis=0))
    x_users, x_items = halves(np.mean(x, axis=0))
    (t_users, t_items), (g_users, g_items) = halves(t), halves(g)
    one, other = views[:, 0], views[:, 1]
    distance = abs(one.var(ddof=1) - other.var(ddof=1)) + abs(one.mean() - other.mean())
    expected = {
        "bpr": bpr(users, items),
        "reg": batch_squares(users, items),
        "distance": distance,
        "behaviour": contrast(t_users[USERS], g_users[USERS], 0.4)
        + contrast(t_items[POSITIVES], g_items[POSITIVES], 0.4),
        "users": contrast(x_users[USERS], t_users[USERS], 0.1)
        + sum(contrast(rows[USERS], rows[USERS], 0.1) for rows in (t_users, x_users)),
        "extended": half_squares(x_items[BATCH.positives]) / len(BATCH.users),
    }
    weighed = {name: value * (1 if name == "bpr" else 0.5) for name, value in expected.items()}
    assert losses(model) == pytest.approx(weighed, rel=1e-4, abs=1e-5)


def test_gume_users_of_their_own_learn_from_the_extended_terms_alone():
    model, _ = build("gume", DATA, user_weight=0.0)
    terms = model.loss(BATCH)
    reached = {
        name: torch.autograd.grad(
            term, list(model.extended_users.values()), retain_graph=True, allow_unused=True
        )
        for name, term in terms.items()
    }
    learns = {name for name, slopes in reached.items() if any(s is not None and s.any() for s in slopes)}
    assert learns == {"extended"}


def test_gume_has_no_item_edges_where_modalities_do_not_agree():
    model, _ = build("gume", DATA, knn_k=1)
    assert np.allclose(model._adjacency.matrix.to_dense().numpy(), adjacency(RATINGS), atol=1e-6)


# MMSSL ----------------------------------------------------------------------------------------------------------


def root_scaled(graph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return tuple(side / np.sqrt(np.maximum(side.sum(1, keepdims=True), 1)) for side in (graph, graph.T))  # type: ignore[return-value]


def mmssl_vectors(state: dict[str, np.ndarray], k: int, n_heads: int):
    """Final vectors, g, contents (a, b) and the users' views of each modality."""
    to_users, to_items = root_scaled(RATINGS)
    contents, views = [], []
    for name, feature in DATA.features.items():
        f = affine(state, f"content.{name}", features(name)) * feature.present[:, None]
        a = to_users @ f
        contents.append((a, np.where(RATINGS.sum(0)[:, None] > 0, to_items @ a, f)))
        liked, graph = a @ f.T, np.zeros_like(RATINGS)
        for user in np.flatnonzero(RATINGS.sum(1)):
            offered = np.flatnonzero(feature.present)
            graph[user, offered[np.argsort(-liked[user, offered])[:k]]] = 1
        own_users, own_items = root_scaled(graph)
        views.append((own_users @ state["item_embedding"], own_items @ state["user_embedding"]))
    nodes = np.stack([np.concatenate(pair) for pair in views], axis=1)
    has = np.concatenate([np.repeat(RATINGS.sum(1) > 0, 2).reshape(-1, 2), HAS > 0])
    mixed = np.zeros_like(nodes[:, 0])
    for n, every in enumerate(nodes):
        rows = every[has[n]]
        width, parts = rows.shape[1] // n_heads, []
        query, key = affine(state, "mixer.query", rows), affine(state, "mixer.key", rows)
        for head in range(n_heads):
            some = slice(head * width, (head + 1) * width)
            shares = softmax(query[:, some] @ key[:, some].T / np.sqrt(width))
            parts.append(shares @ rows[:, some])
        if len(rows):
            mixed[n] = affine(state, "mixer.output", np.concatenate(parts, axis=1)).mean(0)
    start = np.concatenate([state["user_embedding"], state["item_embedding"]]) + 0.36 * unit(mixed)
    layers = [halves(start)]
    for _ in range(2):
        users, items = layers[-1]
        layers.append((to_users @ items, to_items @ users))
    g = tuple(np.mean(side, axis=0) for side in zip(*layers, strict=True))
    users, items = (g[side] + 0.55 * sum(unit(pair[side]) for pair in contents) for side in range(2))
    return (users, items), g, contents, [pair[0] for pair in views]


def test_mmssl():
    weighed = {"cl_weight": 0.5, "reg_weight": 0.1, "feature_weight": 0.2}
    model = with_biases(build("mmssl", DATA, n_edges=2, n_heads=2, **weighed)[0])
    (users, items), g, contents, views = mmssl_vectors(weights(model), 2, 2)
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    contrasts = 0.0
    for view in views:
        one, other = unit(view[USERS]), unit(g[0][USERS])
        across, within = np.exp(one @ other.T / 0.5), np.exp(one @ one.T / 0.5)
        total = across.sum(1) + within.sum(1) - np.diag(within)
        contrasts -= np.mean(np.log(np.diag(across) / total))
    found = losses(model)
    expected = {
        "bpr": bpr(users, items),
        "reg": 0.1 * batch_squares(users, items),
        "features": 0.2 * half_squares(*(side for pair in contents for side in pair)) / N_ITEMS,
        "contrast": 0.5 * contrasts,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-5)


def test_mmssl_plays_one_side_with_the_weights_of_the_other_fixed():
    model, _ = build("mmssl", DATA)
    terms, named = model.loss(BATCH), dict(model.named_parameters())
    for term, mine in (("critic", True), ("generator", False)):
        slopes = torch.autograd.grad(terms[term], named.values(), retain_graph=True, allow_unused=True)
        moved = {name for name, slope in zip(named, slopes, strict=True) if slope is not None and slope.any()}
        assert moved
        assert all(name.startswith("critic.") == mine for name in moved)


def test_critic_is_its_formula():
    generator = torch.Generator().manual_seed(3)
    critic = RowCritic(4, 3, generator)
    state = weights(critic)
    items, rng = torch.tensor([0, 2, 3]), np.random.default_rng(1)
    real, fake = rng.normal(size=(2, 5, 3))

    def judged(rows: np.ndarray) -> np.ndarray:
        hidden = leaky(affine(state, "head.1", leaky(rows @ state["items"][items])))
        return affine(state, "head.3", hidden)[:, 0]

    given = [torch.from_numpy(rows).float() for rows in (real, fake)]
    assert np.allclose(critic(given[0], items).detach().numpy(), judged(real), atol=1e-5)
    assert torch.equal(critic(given[0], items), critic.of_constants(given[0], items))
    share = rng.random(5)
    between, step = share[:, None] * real + (1 - share[:, None]) * fake, 1e-4
    slopes = np.stack(
        [(judged(between + step * e) - judged(between - step * e)) / 2 / step for e in np.eye(3)]
    )
    penalty = np.mean((np.sqrt((slopes**2).sum(0)) - 1) ** 2)
    expected = judged(fake).mean() - judged(real).mean() + 0.3 * penalty
    found = critic.distance(*given, items, share=torch.from_numpy(share).float(), penalty=0.3)
    assert found.item() == pytest.approx(expected, abs=1e-4)


def test_nearest_items_are_those_of_all_scores_at_once(monkeypatch):
    rng = np.random.default_rng(4)
    users, items = torch.from_numpy(rng.normal(size=(7, 3))), torch.from_numpy(rng.normal(size=(9, 3)))
    users[2] = 0
    asked, offered = torch.arange(7) != 5, torch.arange(9) != 0
    whole = nearest_items(users, items, asked, offered, 3).tensor().to_dense().numpy()
    monkeypatch.setattr("mrs_pipeline.models.layers.root_scaled._SCORES", 1)
    assert np.array_equal(nearest_items(users, items, asked, offered, 3).tensor().to_dense().numpy(), whole)
    liked = (users @ items.T).numpy()
    liked[:, 0] = -np.inf
    for user in range(7):
        expected = set() if user in (2, 5) else set(np.argsort(-liked[user])[:3])
        assert set(np.flatnonzero(whole[user])) == expected
