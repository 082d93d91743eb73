"""MMSR against its equations in dense NumPy: a graph of distinct nodes with one relation a pair, one node at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.content_clusters import content_clusters
from mrs_pipeline.training.batches import batch_source
from mrs_pipeline_tests.models.small import DATA, EVERYONE, N_ITEMS, N_USERS, weights
from mrs_pipeline_tests.models.test_formulas_meta_learning import linear
from mrs_pipeline_tests.toy import build, interactions

HISTORIES = [[3, 0, 4, 1, 2], [2, 4, 0, 3], [1, 3, 2], [4, 1], [0]]
PAIRS = np.array([(user, item) for user, history in enumerate(HISTORIES) for item in history])
TIMES = np.zeros((N_USERS, N_ITEMS), np.int64)
for _user, _history in enumerate(HISTORIES):
    TIMES[_user, _history] = range(len(_history))
TIMED = replace(DATA, train=interactions(PAIRS, N_USERS, N_ITEMS, times=TIMES))
SIZE, N_LATEST, N_CLUSTERS = 4, 4, 3
NAMES = ("image", "text")
START = N_ITEMS


def leaky(x):
    return np.where(x > 0, x, 0.1 * x)


def softmax(scores, allowed):
    powers = np.where(allowed, np.exp(scores), 0)
    return powers / powers.sum(1, keepdims=True)


def clusters():
    """Kind -> item -> its clusters; the start token has none."""
    inputs = ModelInputs.from_data(TIMED)
    found = [content_clusters(inputs, name, N_CLUSTERS, 2).tolist() for name in NAMES]
    return [[[c for c in row if c >= 0] for row in rows] + [[]] for rows in found]


def graph_of(session):
    """Distinct nodes (kind, number), the places of each, and relation[i][j] of node i to node j."""
    owned = clusters()
    at = [[(0, item), *((k + 1, c) for k in range(2) for c in owned[k][item])] for item in session]
    nodes = sorted({node for place in at for node in place})
    places = [[t for t, there in enumerate(at) if node in there] for node in nodes]
    relation = [["" for _ in nodes] for _ in nodes]
    for i, one in enumerate(nodes):
        for j, other in enumerate(nodes):
            leads = any(t + 1 in places[j] for t in places[i])
            follows = any(t - 1 in places[j] for t in places[i])
            if one == other:
                relation[i][j] = "itself"
            elif one[0] != other[0]:
                relation[i][j] = "across" if set(places[i]) & set(places[j]) else ""
            elif leads or follows:
                relation[i][j] = "both" if leads and follows else "before" if leads else "after"
    return nodes, places, np.array(relation)


def state(w, session):
    nodes, places, relation = graph_of(session)
    tables = [np.vstack([w["item_embedding"], w["start.id"]]), *(w[f"clusters.{name}"] for name in NAMES)]
    positions = w["positions"][-len(session) :]
    h = np.stack(
        [
            np.concatenate([tables[kind][number], positions[places[i]].mean(0), w["kinds"][kind]])
            for i, (kind, number) in enumerate(nodes)
        ]
    )
    h = h @ w["join.weight"].T

    def mapped(x, name, p):
        return np.stack(
            [w[f"{p}.{name}.{kind}.weight"] @ row for (kind, _), row in zip(nodes, x, strict=True)]
        )

    for number in range(2):
        p = f"rounds.{number}"
        values = mapped(h, "values", p)

        def within(x, p=p):
            scores, allowed = np.zeros(relation.shape), np.zeros(relation.shape, bool)
            for r, name in enumerate(("itself", "before", "after", "both")):
                mask = relation == name
                scores[mask] = leaky((x * w[f"{p}.relations"][r]) @ x.T)[mask]
                allowed |= mask
            return softmax(scores, allowed)

        def across(x, p=p, number=number):
            # in the last round nobody asks for what clusters see, whose maps of queries there are none
            asking = nodes if number == 0 else [(0, 0)] * len(nodes)
            queries = np.stack(
                [w[f"{p}.queries.{kind}.weight"] @ row for (kind, _), row in zip(asking, x, strict=True)]
            )
            scores = leaky(queries @ mapped(x, "keys", p).T / SIZE**0.5)
            return softmax(scores, (relation == "itself") | (relation == "across"))

        orders = np.stack([across(within(values) @ values) @ values, within(across(h) @ values) @ values])
        told = np.maximum(linear(orders, w, f"{p}.hidden"), 0) @ w[f"{p}.output.weight"].T
        shares = np.exp(told) / np.exp(told).sum(0)
        h = (shares * orders).sum(0)
    return h[nodes.index((0, session[-1]))]


def candidates(w):
    vectors = w["item_embedding"].copy()
    for k, name in enumerate(NAMES):
        for item, own in enumerate(clusters()[k][:N_ITEMS]):
            if own:
                vectors[item] += w[f"clusters.{name}"][own].mean(0)
    return vectors


@pytest.fixture(scope="module")
def model():
    settings = {"n_layers": 2, "n_latest": N_LATEST, "n_clusters": N_CLUSTERS, "each": 2}
    found, _ = build("mmsr", TIMED, embedding_size=SIZE, dropout=0.0, **settings)
    with torch.no_grad():
        for parameter in found.parameters():
            if parameter is not found.item_embedding:
                parameter.add_(torch.randn(parameter.shape, generator=found.generator), alpha=0.3)
    return found


def test_the_market_has_every_relation():
    found = {name for history in HISTORIES for name in graph_of([START, *history][-N_LATEST:])[2].flat}
    assert found == {"", "itself", "before", "after", "both", "across"}


def test_mmsr_scores(model):
    w = weights(model)
    expected = [state(w, [START, *history][-N_LATEST:]) @ candidates(w).T for history in HISTORIES]
    assert np.allclose(model.score(EVERYONE).numpy(), expected, atol=1e-4)


def test_mmsr_loss(model):
    w, gaps = weights(model), []
    for history in HISTORIES:
        for t, item in enumerate(history):
            logits = candidates(w)[:5] @ state(w, [START, *history[:t]][-N_LATEST:])  # item 5 is cold
            gaps.append(np.log(np.exp(logits).sum()) - logits[item])
    batch = next(
        batch_source(model, ModelInputs.from_data(TIMED), 512).epoch(torch.Generator().manual_seed(1))
    )
    assert model.loss(batch)["next_item"].item() == pytest.approx(np.mean(gaps), abs=1e-4)
