"""Beyond accuracy: each metric against a loop over users and lists, and by hand where a library defines it."""

import math
from statistics import mean

import numpy as np
import pytest

from mrs_pipeline.metrics import evidence as evidence_module
from mrs_pipeline.metrics.evidence import ItemFacts
from mrs_pipeline.metrics.registry import METRICS, metrics_of
from mrs_pipeline_tests.metrics.worlds import (
    N_ITEMS,
    World,
    attribute,
    evidence_of,
    features,
    with_facts,
    world,
)

SEEDS = range(20)
KS = (1, 3, 5)


def one(name: str):
    return metrics_of([name])[0]


@pytest.fixture(params=SEEDS)
def found(request) -> World:
    restricted = np.arange(N_ITEMS) % 3 > 0 if request.param % 2 else None
    return world(request.param, only=restricted)


@pytest.mark.parametrize("k", KS)
def test_coverage_counts_different_items(found, k):
    seen = {item for order in found.orders for item in order[:k]}
    assert one("coverage").overall(found.evidence, k) == pytest.approx(len(seen) / found.catalogue)


@pytest.mark.parametrize("k", KS)
def test_gini_is_half_the_mean_difference_over_the_mean(found, k):
    shown = [sum(item in order[:k] for order in found.orders) for item in range(N_ITEMS)]
    shown = sorted(shown, reverse=True)[: found.catalogue]  # items that are no candidates are never shown
    n, total = len(shown), sum(shown)
    expected = sum(abs(a - b) for a in shown for b in shown) / (2 * n * total)
    assert one("gini").overall(found.evidence, k) == pytest.approx(expected)


def test_gini_ends():
    none = np.zeros((2, 4), bool)
    equal = evidence_of([[0, 1], [2, 3]], [{0}, {2}], np.arange(2), none, 4, 2)
    assert one("gini").overall(equal, 2) == pytest.approx(0)
    same = evidence_of([[0, 1], [0, 1]], [{0}, {0}], np.arange(2), none, 4, 2)
    assert one("gini").overall(same, 2) == pytest.approx((4 - 2) / 4)


@pytest.mark.parametrize("k", KS)
def test_novelty_is_self_information(found, k):
    bits = [-math.log2(max(count, 1) / found.n_train_users) for count in found.popularity]
    expected = [mean(bits[item] for item in order[:k]) for order in found.orders]
    assert one("novelty").per_user(found.evidence, k).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("k", KS)
def test_popularity_is_the_mean_count(found, k):
    expected = [mean(found.popularity[item] for item in order[:k]) for order in found.orders]
    assert one("popularity").per_user(found.evidence, k).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("k", KS)
def test_popularity_lift_compares_with_what_users_had(found, k):
    offered = mean(mean(found.popularity[item] for item in order[:k]) for order in found.orders)
    had = mean(mean(found.popularity[item] for item in profile) for profile in found.profiles)
    assert one("popularity_lift").overall(found.evidence, k) == pytest.approx((offered - had) / had)


def naive_serendipity(found: World, row: int, k: int) -> float:
    n = found.catalogue
    levels = sorted({count for count in found.popularity if count}, reverse=True)
    total = 0.0
    for place, item in enumerate(found.orders[row][:k], start=1):
        count = found.popularity[item]
        expected = (n + 1 - (levels.index(count) + 1)) / n if count else 0.0
        if item in found.truths[row]:
            total += max((n + 1 - place) / n - expected, 0.0)
    return total / len(found.orders[row][:k])


@pytest.mark.parametrize("k", KS)
def test_serendipity_counts_hits_that_popularity_would_not_place(found, k):
    expected = [naive_serendipity(found, row, k) for row in range(len(found.orders))]
    assert one("serendipity").per_user(found.evidence, k).tolist() == pytest.approx(expected)


def naive_diversity(items: list[int], content) -> float:
    distances = []
    for place, a in enumerate(items):
        for b in items[place + 1 :]:
            cosines = []
            for matrix in content.values():
                u, v = matrix.values[a], matrix.values[b]
                lengths = np.linalg.norm(u) * np.linalg.norm(v)
                if matrix.present[a] and matrix.present[b] and lengths > 0:
                    cosines.append(float(u @ v / lengths))
            if cosines:
                distances.append(1 - mean(cosines))
    return mean(distances) if distances else math.nan


@pytest.mark.parametrize("k", KS)
def test_diversity_is_the_mean_distance_of_pairs_with_content(found, k):
    content = features(found.catalogue + k)
    evidence = with_facts(found.evidence, ItemFacts(content))
    expected = [naive_diversity(order[:k], content) for order in found.orders]
    values = one("diversity").per_user(evidence, k)
    assert values.tolist() == pytest.approx(expected, nan_ok=True, abs=1e-6)


GENRES = [[0], [0, 1], [], [2], [1], [0, 2], [1, 2], [3], [3], [0, 1, 2], [], [2]]


def naive_distribution(items: list[int]) -> dict[int, float] | None:
    mass = dict.fromkeys(range(4), 0.0)
    for item in items:
        for genre in GENRES[item]:
            mass[genre] += 1 / len(GENRES[item])
    total = sum(mass.values())
    return {genre: value / total for genre, value in mass.items()} if total else None


def naive_calibration(history: list[int], offered: list[int]) -> float:
    p, q = naive_distribution(history), naive_distribution(offered)
    if p is None or q is None:
        return math.nan
    return sum(p[g] * math.log(p[g] / (0.99 * q[g] + 0.01 * p[g])) for g in p if p[g])


@pytest.mark.parametrize("k", KS)
def test_calibration_is_the_divergence_from_the_history(found, k):
    evidence = with_facts(found.evidence, ItemFacts(attribute=attribute(GENRES)))
    rows = zip(found.profiles, found.orders, strict=True)
    expected = [naive_calibration(sorted(profile), order[:k]) for profile, order in rows]
    values = one("calibration").per_user(evidence, k)
    assert values.tolist() == pytest.approx(expected, nan_ok=True)


def test_calibration_ends():
    taken = np.zeros((1, N_ITEMS), bool)
    taken[0, [0, 3]] = True
    facts = ItemFacts(attribute=attribute(GENRES))
    same = evidence_of(
        [[5]], [{5}], np.arange(1), taken, N_ITEMS, 1, facts
    )  # half of 0, half of 2, as before
    assert one("calibration").per_user(same, 1).tolist() == [pytest.approx(0, abs=1e-12)]
    apart = evidence_of([[7]], [{7}], np.arange(1), taken, N_ITEMS, 1, facts)
    assert one("calibration").per_user(apart, 1).tolist() == [pytest.approx(one("calibration").high)]


def three_users():
    """Users 0, 1 and 2 had items (0, 1), (0, 2), (0, 1); item 3 has nobody."""
    taken = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 0, 0]], bool)
    return evidence_of([[2, 3], [1, 3], [3]], [{2}, {3}, {3}], np.arange(3), taken, 4, 2)


def test_by_hand_as_rectools_defines_them():
    """MeanInvUserFreq, AvgRecPopularity and Serendipity, worked out on paper for three users and four items."""
    evidence = three_users()
    assert one("novelty").per_user(evidence, 2).tolist() == pytest.approx(
        [math.log2(3), (math.log2(3 / 2) + math.log2(3)) / 2, math.log2(3)]
    )
    assert one("popularity").per_user(evidence, 2).tolist() == [0.5, 1.0, 0.0]
    # popularity places: item 0 first, item 1 second, item 2 third, item 3 none (probability 0); 4 items
    # user 0 hits item 2 at place 1: (4 - 2) / 4 over 2; user 1 hits item 3 at place 2: 3 / 4 over 2;
    # user 2 hits item 3 at place 1: 4 / 4 over a list of one
    assert one("serendipity").per_user(evidence, 2).tolist() == pytest.approx([0.25, 0.375, 1.0])
    assert one("coverage").overall(evidence, 2) == pytest.approx(3 / 4)


@pytest.mark.parametrize("seed", SEEDS)
def test_values_lie_in_the_declared_range_and_grow_where_declared(seed):
    evidence = with_facts(world(seed).evidence, ItemFacts(features(seed), attribute(GENRES)))
    for metric in METRICS.values():
        curves = []
        for k in KS:
            values = metric.overall(evidence, k) if metric.overall else metric.per_user(evidence, k)
            curves.append(np.atleast_1d(values))
        known = np.concatenate(curves)[~np.isnan(np.concatenate(curves))]
        assert len(known), metric.name
        assert known.min() >= metric.low - 1e-9, metric.name
        assert known.max() <= metric.high + 1e-9, metric.name
        if metric.grows:
            assert (np.diff(np.stack(curves), axis=0) >= -1e-12).all(), metric.name


def test_parts_change_nothing(monkeypatch):
    found = with_facts(world(3).evidence, ItemFacts(features(3), attribute(GENRES)))
    names = ("novelty", "popularity", "diversity", "calibration")
    whole = {name: one(name).per_user(found, 5) for name in names}
    coverage = one("coverage").overall(found, 5)
    monkeypatch.setattr(evidence_module, "_PLACES_AT_ONCE", 10)
    monkeypatch.setattr("mrs_pipeline.metrics.diversity._AT_ONCE", 1)
    monkeypatch.setattr("mrs_pipeline.metrics.calibration._AT_ONCE", 8)
    for name in names:
        assert np.array_equal(one(name).per_user(found, 5), whole[name], equal_nan=True)
    assert one("coverage").overall(found, 5) == coverage


@pytest.mark.parametrize("name", ["coverage", "novelty", "diversity"])
def test_a_metric_of_lists_says_that_it_has_none(name):
    evidence = with_facts(world(1).evidence, ItemFacts(features(1)))
    without = type(evidence)(**{**vars_of(evidence), "lists": None})
    metric = one(name)
    with pytest.raises(ValueError, match="declare Need.LISTS"):
        (metric.overall or metric.per_user)(without, 3)


def vars_of(evidence):
    return {name: getattr(evidence, name) for name in evidence.__dataclass_fields__}
