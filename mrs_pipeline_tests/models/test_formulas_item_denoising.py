"""DRAGON, MMGCL, MVGAE, DA-MRS, TMFUN- and HCGCN-style against their equations in dense NumPy on a small market."""

from itertools import combinations

import numpy as np
import pytest
import torch

from mrs_pipeline.functional.agreeing_graphs import agreeing_neighbours
from mrs_pipeline.models.filtration.damrs import confidence
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    N_ITEMS,
    N_USERS,
    PAIRS,
    RATINGS,
    adjacency,
    affine,
    bpr,
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
from mrs_pipeline_tests.models.test_formulas_modal_graphs import (
    HAS,
    POSITIVES,
    USERS,
    batch_squares,
    contrast,
    features,
    halves,
    neighbours,
    scaled,
    sigmoid,
    softmax,
)
from mrs_pipeline_tests.toy import build


def mean_layers(matrix: np.ndarray, start: np.ndarray, n_layers: int) -> np.ndarray:
    layers = [start]
    for _ in range(n_layers):
        layers.append(matrix @ layers[-1])
    return np.mean(layers, axis=0)


def item_mix(k: int) -> np.ndarray:
    """S of FREEDOM: .1 of the images' and .9 of the texts' neighbours, shares of those that an item has."""
    total, weight = np.zeros((N_ITEMS, N_ITEMS)), np.zeros((N_ITEMS, 1))
    for name, share in (("image", 0.1), ("text", 0.9)):
        graph = (neighbours(name, k) != 0).astype(float)
        present = graph.any(1)[:, None]
        total, weight = total + share * scaled(graph) * present, weight + share * present
    return total / np.maximum(weight, 1e-30)


def test_dragon():
    model = with_biases(build("dragon", DATA, knn_k=3, reg_weight=0.1, hidden_size=8)[0])
    state, matrix = weights(model), adjacency(RATINGS)
    user_views, item_views = [], []
    for number, name in enumerate(DATA.features):
        content = affine(state, f"content.{name}", leaky(projected(state, name, "hidden")))
        start = np.concatenate([unit(state[f"preferences.{name}"]), unit(content)])
        users, items = halves(3 * mean_layers(matrix, start, 2))
        user_views.append(users * state["modality_weights"][:, [number]])
        item_views.append(items)
    users, items = np.concatenate(user_views, axis=1), np.concatenate(item_views, axis=1)
    shared = RATINGS @ RATINGS.T
    np.fill_diagonal(shared, 0)
    listens = np.where(shared > 0, np.exp(shared), 0)
    users = users + listens / np.maximum(listens.sum(1, keepdims=True), 1e-30) @ users
    items = items + item_mix(3) @ items
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    squares = sum(np.mean(state[f"preferences.{name}"][BATCH.users] ** 2) for name in DATA.features)
    expected = {
        "bpr": bpr(users, items) / np.log(2),
        "reg": 0.1 * (squares + np.mean(state["modality_weights"] ** 2)),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-5)


def test_cohesion():
    model = with_biases(build("cohesion", DATA, knn_k=3, reg_weight=0.1, hidden_size=8, n_layers=2)[0])
    state, matrix = weights(model), adjacency(RATINGS)
    ids = state["item_embedding"]
    hidden = {"id": affine(state, "identifier_hidden", ids)}
    hidden |= {name: projected(state, name, "hidden") for name in DATA.features}
    nodes = []
    for name, rows in hidden.items():
        content = affine(state, f"content.{name}", leaky(rows))
        fused = np.sqrt((ids**2 + content**2) / 2 + 1e-8)
        own = state["user_embedding"] if name == "id" else state[f"preferences.{name}"]
        start = total = layer = unit(np.concatenate([own, fused]))
        for _ in range(2):
            around = matrix @ layer
            layer = (unit(around) * start).sum(1, keepdims=True) * around
            total = total + layer
        nodes.append(total)
    users, items = halves(np.concatenate(nodes, axis=1))
    shared = RATINGS @ RATINGS.T
    np.fill_diagonal(shared, 0)
    listens = np.where(shared > 0, np.exp(shared), 0)
    users = users + listens / np.maximum(listens.sum(1, keepdims=True), 1e-30) @ users
    items = items + item_mix(3) @ items
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    moves = users[BATCH.users] * (items[BATCH.positives] - items[BATCH.negatives])
    gaps = moves.reshape(len(moves), 3, -1).sum(2)
    shares = np.exp(gaps) / np.exp(gaps).sum(1, keepdims=True)
    told = ((1 - shares) * gaps).sum(1)
    expected = {
        "bpr": np.mean(np.log2(1 + np.exp(-told))),
        "reg": 0.1 * sum(np.mean(state[f"preferences.{name}"][BATCH.users] ** 2) for name in DATA.features),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-5)


def test_mmgcl():
    model = with_biases(build("mmgcl", DATA, reg_weight=0.1, cl_weight=0.5, dropout=0.4)[0])
    model.start_epoch()
    state, whole = weights(model), adjacency(RATINGS)
    few_edges, few_nodes = (view.matrix.to_dense().double().numpy() for view in model._views)
    assert (few_edges > 0).sum() == 2 * int(0.6 * len(PAIRS))
    assert not np.allclose(few_nodes, whole)
    tables = [state["item_embedding"], *(projected(state, name) for name in DATA.features)]

    def channels(graphs: list[np.ndarray]) -> list[np.ndarray]:
        return [
            mean_layers(graph, np.concatenate([state["user_embedding"], table]), 3)
            for graph, table in zip(graphs, tables, strict=True)
        ]

    def readout(found: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        users, items = halves(np.concatenate(found, axis=1))
        return affine(state, "user_readout", users), affine(state, "item_readout", items)

    users, items = readout(channels([whole] * 3))
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    drawn = 1 + model._schedule[0]
    second = channels([few_nodes if number == drawn else whole for number in range(3)])
    one, other = readout(channels([few_edges] * 3)), readout(second)
    partner = {int(item): int(bad) for item, bad in zip(BATCH.positives, BATCH.negatives, strict=True)}
    swapped = [each.copy() for each in second]
    for item, bad in partner.items():
        swapped[drawn][N_USERS + item] = second[drawn][N_USERS + bad]
    harder = readout(swapped)[1]
    logits = unit(one[1][POSITIVES]) @ unit(other[1][POSITIVES]).T / 0.2
    extra = (unit(one[1][POSITIVES]) * unit(harder[POSITIVES])).sum(1, keepdims=True) / 0.2
    of_items = np.mean(np.log(np.exp(np.hstack([logits, extra])).sum(1)) - np.diag(logits))
    expected = {
        "bpr": bpr(users, items),
        "reg": 0.1 * norms(users, items),
        "contrast": 0.5 * (contrast(one[0][USERS], other[0][USERS], 0.2) + of_items),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-5)


def test_mvgae():
    model = with_biases(build("mvgae", DATA, kl_weight=0.3)[0]).eval()
    state = weights(model)
    walk = (adjacency(RATINGS) > 0) + np.eye(N_USERS + N_ITEMS)
    walk = walk / walk.sum(1, keepdims=True)
    starts = [
        np.concatenate([state[f"preferences.{name}"], affine(state, f"content.{name}", features(name))])
        for name in DATA.features
    ]
    starts.append(np.concatenate([state["user_embedding"], state["item_embedding"]]))
    experts, known = [], []
    item_masks = [*(matrix.present for matrix in DATA.features.values()), RATINGS.sum(0) > 0]
    for number, (start, mask) in enumerate(zip(starts, item_masks, strict=True)):
        prefix = f"encoders.{number}.maps"

        def conv(name: str, x: np.ndarray, prefix: str = prefix) -> np.ndarray:
            return leaky(unit(walk @ affine(state, f"{prefix}.{name}", x)))

        h = leaky(affine(state, f"{prefix}.l_1", conv("conv_1", unit(start))))
        mean, log_variance = (
            affine(state, f"{prefix}.l_{part}", conv(f"conv_{part}", h))
            + leaky(affine(state, f"{prefix}.skip_{part}", h))
            for part in ("mean", "var")
        )
        experts.append((mean, np.exp(log_variance)))
        known.append(np.concatenate([np.ones(N_USERS, bool), mask]))
    masks = [mask[:, None] for mask in known]
    precision = sum(mask / variance for (_, variance), mask in zip(experts, masks, strict=True))
    mean = sum(mu * mask / variance for (mu, variance), mask in zip(experts, masks, strict=True)) / precision
    users, items = halves(mean)
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    everyone = np.ones(N_USERS + N_ITEMS, bool)
    ranking, divergence = [], []
    for (mu, variance), mask in zip([(mean, 1 / precision), *experts], [everyone, *known], strict=True):
        of_items = mask[N_USERS:]
        rows = of_items[BATCH.positives] & of_items[BATCH.negatives]
        mine, theirs = halves(mu)
        gaps = theirs[BATCH.positives[rows]] - theirs[BATCH.negatives[rows]]
        ranking.append(np.mean(np.log1p(np.exp(-(mine[BATCH.users[rows]] * gaps).sum(1)))))
        spread = (mu**2 + variance - 1 - np.log(variance)).sum(1) / 2
        divergence.append(spread[mask].mean())
    expected = {"bpr": np.mean(ranking), "kl": 0.3 * np.mean(divergence)}
    assert losses(model) == pytest.approx(expected, abs=1e-5)


def agreeing(k: int) -> list[np.ndarray]:
    """Graphs of ones of DA-MRS, entry by entry."""
    names = list(DATA.features)
    cosines = {name: unit(features(name)) @ unit(features(name)).T for name in names}
    has = {name: DATA.features[name].present for name in names}
    means = {name: cosines[name][np.ix_(has[name], has[name])].mean() for name in names}
    graphs = []
    for name in names:
        graph = np.zeros((N_ITEMS, N_ITEMS))
        for i in np.flatnonzero(has[name]):
            alike = [
                j
                for j in np.flatnonzero(has[name])
                if j != i and all(cosines[m][i, j] >= means[m] for m in names if has[m][i] and has[m][j])
            ]
            nearest = sorted(alike, key=lambda j: -cosines[name][i, j])[: k - 1]
            graph[i, [i, *nearest]] = 1
        graphs.append(graph)
    return graphs


def test_neighbours_that_all_modalities_agree_on():
    values = {name: torch.from_numpy(features(name)) for name in DATA.features}
    present = {name: torch.from_numpy(matrix.present) for name, matrix in DATA.features.items()}
    found = agreeing_neighbours(values, present, 3)
    for graph, expected in zip(found.values(), agreeing(3), strict=True):
        assert np.array_equal(graph.tensor().to_dense().numpy(), expected)


def test_damrs():
    model = build("damrs", DATA, knn_k=3, n_neighbours=2, item_weight=0.5, user_weight=0.25)[0]
    state = weights(model)
    shared = RATINGS.T @ RATINGS
    graphs = [*agreeing(3), ((shared >= 2) | np.eye(N_ITEMS, dtype=bool)).astype(float)]
    views = [scaled(graph) @ state["item_embedding"] for graph in graphs]
    has = np.stack([graph.any(1) for graph in graphs], axis=1)
    users, items = propagated(adjacency(RATINGS), state, 2)
    content = np.sum(views, axis=0) / has.sum(1, keepdims=True)
    assert np.allclose(scores(model), users @ (items + content).T, atol=1e-5)
    user, positive, negative = users[BATCH.users], BATCH.positives.numpy(), BATCH.negatives.numpy()
    p, n = (
        np.stack([sigmoid((user * unit(view)[rows]).sum(1)) for view in views], axis=1)
        for rows in (positive, negative)
    )
    background = n[has[negative]].mean()
    total = 0.0
    final = items + content
    for b in range(len(user)):
        sure = p[b][has[positive[b]]]
        mean, spread = sure.mean(), sure.var(ddof=1) if len(sure) > 1 else 0.0
        up = np.clip(mean * np.exp(-spread) ** 2, 0, 1)
        down = np.clip((sure.max() - background) * (mean < background), 0, 1)
        gap = user[b] @ (final[positive[b]] - final[negative[b]])
        total += up * np.log1p(np.exp(-gap)) + down * np.log1p(np.exp(gap))
    asked = np.unique(np.concatenate([positive, negative]))
    cosines = [unit(view) @ unit(view).T for view in views]
    shares, terms = [softmax(cosine) for cosine in cosines], []
    for g, cosine in enumerate(cosines):
        found = []
        for b in asked[has[asked, g]]:
            s = np.exp(cosine[b] / 0.2)
            near = np.argsort(-(sum(each[b] for each in shares) + shares[g][b]), kind="stable")[:3]
            left = [j for j in np.argsort(-shares[g][b], kind="stable") if j not in near][:3]
            found.append(-np.log(s[near].sum() / s.sum()) - np.log(s[left].sum() / (s.sum() - s[near].sum())))
        terms.append(np.mean(found))
    one, other = (users[USERS] @ unit(rows[asked]).T for rows in (items, content))
    expected = {
        "bpr": total / len(user),
        "items": 0.5 * np.mean(terms),
        "users": 0.25 * np.mean((sigmoid(one) - sigmoid(other)) * (one - other)),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-5)


def test_damrs_trusts_what_the_graphs_agree_on():
    counted = torch.ones(2, 3, dtype=torch.bool)
    sure, doubted = confidence(torch.tensor([[0.7] * 3, [0.2, 0.3, 0.6]]), counted, torch.tensor(0.5))
    assert sure[0] == pytest.approx(0.7)
    assert sure[1] < 1.1 / 3
    assert doubted.tolist() == pytest.approx([0.0, 0.1])


def joined(k: int) -> np.ndarray:
    side = np.concatenate([unit(features(name)) for name in DATA.features], axis=1)
    cosine, graph = unit(side) @ unit(side).T, np.zeros((N_ITEMS, N_ITEMS))
    for item in range(N_ITEMS):
        order = sorted(range(N_ITEMS), key=lambda other: (other != item, -cosine[item, other]))
        graph[item, order[:k]] = np.maximum(cosine[item, order[:k]], 0)
    return scaled(graph)


def test_tmfun():
    model = build("tmfun", DATA, knn_k=3, cl_weight=0.5, reg_weight=0.1)[0]
    state = weights(model)
    views = [
        scaled(np.maximum(neighbours(name, 3), 0)) @ affine(state, f"projections.{name}", features(name))
        for name in DATA.features
    ]
    asked = affine(state, "query", state["item_embedding"])
    raised = np.stack([np.exp((asked * view).sum(1) / 4) for view in views], axis=1) * HAS
    shares = raised / raised.sum(1, keepdims=True)
    z = state["item_embedding"] + sum(shares[:, [m]] * view for m, view in enumerate(views))
    users, items = halves(mean_layers(adjacency(RATINGS), np.concatenate([state["user_embedding"], z]), 2))
    items = items + unit(joined(3) @ z)
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    both = [item for item in POSITIVES if HAS[item].all()]
    contrasts = [contrast(one[both], other[both], 0.2) for one, other in combinations(views, 2)]
    expected = {
        "bpr": bpr(users, items),
        "reg": 0.1 * batch_squares(users, items),
        "contrast": 0.5 * np.mean(contrasts),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("n_clusters", [1, 3])
def test_hcgcn(n_clusters):
    model = build("hcgcn", DATA, knn_k=3, n_clusters=n_clusters, cluster_weight=0.5, reg_weight=0.1)[0]
    if n_clusters > 1:
        with torch.no_grad():
            model.importance.copy_(torch.tensor([0.5, -0.2]))
    state, edges = weights(model), (adjacency(RATINGS) > 0).astype(float)
    b = np.ones((N_ITEMS, 1))
    if n_clusters > 1:
        importance = softmax(state["importance"])
        patterns = state["item_embedding"] + sum(
            weight * affine(state, f"projections.{name}", features(name))
            for weight, name in zip(importance, DATA.features, strict=True)
        )
        b = softmax(unit(patterns) @ unit(state["centres"]).T / 0.2)
    of_users = RATINGS @ b / np.maximum(RATINGS.sum(1, keepdims=True), 1)
    nodes, identifiers = np.concatenate([of_users, b]), [state["user_embedding"], state["item_embedding"]]
    start, total, around = np.concatenate(identifiers), 0.0, 0.0
    for k in range(n_clusters):
        cut = scaled(edges * np.outer(nodes[:, k], nodes[:, k]))
        total = total + nodes[:, [k]] * mean_layers(cut, start, 1)
        around = around + b[:, [k]] * (scaled(item_mix(3) * np.outer(b[:, k], b[:, k])) @ identifiers[1])
    users, items = halves(total)
    items = items + around
    assert np.allclose(scores(model), users @ items.T, atol=1e-4)
    expected = {"bpr": bpr(users, items), "reg": 0.1 * batch_squares(users, items)}
    if n_clusters > 1:
        raised = b**2 / b.sum(0)
        target = raised / raised.sum(1, keepdims=True)
        expected["clusters"] = 0.5 * np.mean((target * np.log(target / b)).sum(1))
    assert losses(model) == pytest.approx(expected, abs=1e-4)
