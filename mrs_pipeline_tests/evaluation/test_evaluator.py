"""The evaluator against a naive loop over users, for any exclusion, candidates and model."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation import scoring
from mrs_pipeline.evaluation.evaluator import ranking_evidence, ranking_task, user_metrics
from mrs_pipeline.evaluation.recommending import rank
from mrs_pipeline.metrics.evidence import Background
from mrs_pipeline.metrics.registry import metrics_of
from mrs_pipeline.models.base import Recommender
from mrs_pipeline.models.config import GradientConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.spec import ModelSpec
from mrs_pipeline.taxonomy import Cell
from mrs_pipeline.types import Interactions
from mrs_pipeline_tests.toy import interactions

N_USERS, N_ITEMS = 7, 11


class Table(Recommender):
    """A model whose scores are given."""

    spec = ModelSpec("table", "Table", "-", "-", frozenset({Cell.BASELINE}), "-")
    Config = GradientConfig

    def __init__(self, scores: np.ndarray, ranked: np.ndarray | None = None) -> None:
        none = torch.zeros(0, dtype=torch.int64)
        super().__init__(GradientConfig(), ModelInputs(*scores.shape, none, none), torch.Generator())
        self.ranked = torch.from_numpy(np.ones(scores.shape[1], bool) if ranked is None else ranked)
        self.table = torch.from_numpy(scores.astype(np.float32))

    @property
    def rankable(self) -> torch.Tensor:
        return self.ranked

    def scorer(self):
        return lambda users: self.table[users]  # bracketed rows are a copy, as a scorer must give


def recalls(model: Recommender, task, ks: list[int]) -> dict[str, np.ndarray]:
    none = np.zeros((0, 2))
    evidence = ranking_evidence(model, task, Background(interactions(none, N_USERS, N_ITEMS)))
    return user_metrics(evidence, metrics_of(["recall"]), ks)


def naive_list(
    scores: np.ndarray, banned: set[int], candidates: np.ndarray | None, ties: np.ndarray | None = None
) -> list[int]:
    allowed = [i for i in range(len(scores)) if i not in banned and (candidates is None or candidates[i])]
    return sorted(allowed, key=lambda item: (-scores[item], item if ties is None else ties[item]))


def pairs_of(seed: int, density: float) -> Interactions:
    rng = np.random.default_rng(seed)
    return interactions(np.argwhere(rng.random((N_USERS, N_ITEMS)) < density), N_USERS, N_ITEMS)


def taken(part: Interactions, user: int) -> set[int]:
    return set(part.items[part.users == user].tolist())


@given(st.integers(0, 10_000), st.booleans(), st.floats(0, 0.9))
@settings(max_examples=60, deadline=None)
def test_equal_to_a_loop_over_users(seed, restricted, excluded_share):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 5, size=(N_USERS, N_ITEMS)).astype(float)
    truth, train, valid = pairs_of(seed, 0.3), pairs_of(seed + 1, excluded_share), pairs_of(seed + 2, 0.1)
    candidates = rng.random(N_ITEMS) < 0.6 if restricted else None
    task = ranking_task(truth, [train, valid], candidates=candidates, tie_seed=seed)
    found = recalls(Table(scores), task, [3])
    expected = {}
    for user in range(N_USERS):
        banned = taken(train, user) | taken(valid, user)
        wanted = {i for i in taken(truth, user) - banned if candidates is None or candidates[i]}
        if wanted:
            top = naive_list(scores[user], banned, candidates, task.ties.numpy())[:3]
            expected[user] = len(wanted & set(top)) / len(wanted)
    assert task.users.tolist() == list(expected)
    assert found["recall@3"].tolist() == pytest.approx(list(expected.values()))


@given(st.integers(0, 10_000), st.booleans(), st.integers(0, 14))
@settings(max_examples=60, deadline=None)
def test_evidence_is_what_a_loop_over_users_sees(seed, restricted, length):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 5, size=(N_USERS, N_ITEMS)).astype(float)
    truth, train = pairs_of(seed, 0.3), pairs_of(seed + 1, 0.4)
    candidates = rng.random(N_ITEMS) < 0.6 if restricted else None
    task = ranking_task(truth, [train], candidates=candidates)
    found = ranking_evidence(Table(scores), task, Background(train), length)
    assert found.catalogue == (N_ITEMS if candidates is None else candidates.sum())
    assert (found.lists is None) == (length == 0)
    expected = []
    for row, user in enumerate(found.users.tolist()):
        banned = taken(train, user)
        order = naive_list(scores[user], banned, candidates, task.ties.numpy())
        assert found.candidates[row] == len(order)
        wanted = {i for i in taken(truth, user) - banned if candidates is None or candidates[i]}
        expected += sorted((row, order.index(item) + 1, item) for item in wanted)
        if length:
            assert found.lists[row].tolist() == (order + [-1] * length)[:length]
    assert list(zip(found.rows.tolist(), found.ranks.tolist(), found.items.tolist(), strict=True)) == expected
    profile = found.background.profiles(found.users)
    for row, user in enumerate(found.users.tolist()):
        mine = profile.values[profile.starts[row] : profile.starts[row + 1]]
        assert set(mine.tolist()) == taken(train, user)


@given(st.integers(0, 10_000), st.integers(1, 14))
@settings(max_examples=40, deadline=None)
def test_rank_lists_what_is_left_in_the_order_asked_for(seed, k):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 5, size=(N_USERS, N_ITEMS)).astype(float)
    train = pairs_of(seed, 0.5)
    users = rng.integers(0, N_USERS, size=5)
    lists = rank(Table(scores), users, k, [train])
    assert np.array_equal(lists.users, users)
    for row, user in enumerate(users):
        expected = naive_list(scores[user], taken(train, user), None)[:k]
        expected += [-1] * (k - len(expected))
        assert lists.items[row].tolist() == expected
        assert (np.isneginf(lists.scores[row]) == (lists.items[row] == -1)).all()


def test_small_chunks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    model, truth, train = Table(rng.normal(size=(N_USERS, N_ITEMS))), pairs_of(1, 0.3), pairs_of(2, 0.3)
    task = ranking_task(truth, [train])
    whole = recalls(model, task, [2, 5])
    monkeypatch.setattr(scoring, "scores_at_once", lambda _: 2 * N_ITEMS)
    parts = recalls(model, task, [2, 5])
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)


def test_a_true_pair_that_is_excluded_does_not_count():
    truth = interactions(np.array([[0, 1], [0, 2], [3, 4]]), N_USERS, N_ITEMS)
    train = interactions(np.array([[0, 1], [3, 4]]), N_USERS, N_ITEMS)
    task = ranking_task(truth, [train])
    assert task.users.tolist() == [0]
    assert task.truth.items.tolist() == [2]


def test_nobody_to_ask_gives_empty_metrics():
    none = interactions(np.zeros((0, 2)), N_USERS, N_ITEMS)
    found = recalls(Table(np.zeros((N_USERS, N_ITEMS))), ranking_task(none, []), [5])
    assert all(values.shape == (0,) for values in found.values())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(bad):
    scores = np.zeros((N_USERS, N_ITEMS))
    scores[2, 3] = bad
    with pytest.raises(InputError, match="scores some items with NaN or infinity"):
        rank(Table(scores), np.arange(N_USERS), 2, [])


def test_what_the_model_cannot_rank_stands_last_and_in_no_list():
    scores = np.arange(N_USERS * N_ITEMS, dtype=float).reshape(N_USERS, N_ITEMS)
    ranked = np.ones(N_ITEMS, bool)
    ranked[[9, 10]] = False  # the highest scores, of items that the model knows nothing of
    truth = interactions(np.array([[0, 8], [0, 9], [0, 10], [1, 7]]), N_USERS, N_ITEMS)
    train = interactions(np.array([[1, 0]]), N_USERS, N_ITEMS)
    task = ranking_task(truth, [train])
    found = ranking_evidence(Table(scores, ranked), task, Background(train), 3)
    assert list(zip(found.rows.tolist(), found.ranks.tolist(), strict=True)) == [
        (0, 1),
        (0, 10),
        (0, 11),
        (1, 2),
    ]
    assert found.lists is not None
    assert found.lists.tolist() == [[8, 7, 6], [8, 7, 6]]
    assert rank(Table(scores, ranked), np.array([0]), N_ITEMS, []).items[0].tolist() == [
        *range(8, -1, -1),
        -1,
        -1,
    ]


def test_a_block_of_equal_scores_favours_no_number():
    """Everything ties: over seeds each item is found as often as chance says, and relabelling changes nothing."""
    n_items = 40
    truth = interactions(np.array([[0, 0]]), 1, n_items)
    relabelled = interactions(np.array([[0, n_items - 1]]), 1, n_items)
    model, nothing = Table(np.zeros((1, n_items))), interactions(np.zeros((0, 2)), 1, n_items)
    found = {"first": 0.0, "last": 0.0}
    for seed in range(400):
        for name, rows in {"first": truth, "last": relabelled}.items():
            evidence = ranking_evidence(model, ranking_task(rows, [], tie_seed=seed), Background(nothing))
            found[name] += float(evidence.ranks[0] <= 10) / 400
    assert found["first"] == pytest.approx(0.25, abs=0.07)  # three standard errors
    assert found["last"] == pytest.approx(0.25, abs=0.07)


def test_only_users_that_are_asked_for_are_ranked_for():
    truth = interactions(np.array([[0, 1], [2, 2], [3, 4]]), N_USERS, N_ITEMS)
    asked = np.zeros(N_USERS, bool)
    asked[[2, 5]] = True
    assert ranking_task(truth, [], asked=asked).users.tolist() == [2]
