"""Distances of two samples: their formulas, quiet where nothing shifted, loud where something did."""

import numpy as np
import pytest
from scipy import stats

from mrs_pipeline.functional.shift import cosine_of_means, largest_ks, stability_index


def test_stability_index_is_its_formula() -> None:
    before, now = np.array([10, 30, 60, 0]), np.array([30, 30, 40, 0])
    p, q = before[:3] / 100, now[:3] / 100
    assert stability_index(before, now).value == pytest.approx(float(np.sum((q - p) * np.log(q / p))))
    assert stability_index(now, before).value == pytest.approx(stability_index(before, now).value)
    assert stability_index(before, before * 7).value == 0
    assert stability_index(np.array([5, 0]), np.array([9, 0])).value == 0
    assert np.isfinite(stability_index(np.array([100, 0]), np.array([0, 100])).value)


def test_chance_is_rarely_passed_without_a_shift_and_always_with_one() -> None:
    draw = np.random.default_rng(3)
    shares = np.array([0.4, 0.3, 0.2, 0.1])
    passed = 0
    for _ in range(300):
        found = stability_index(draw.multinomial(200, shares), draw.multinomial(500, shares))
        passed += found.value > found.chance
    assert passed <= 12
    found = stability_index(draw.multinomial(200, shares), draw.multinomial(500, shares[::-1]))
    assert found.value > 5 * found.chance


def test_ks_takes_the_worst_dimension() -> None:
    draw = np.random.default_rng(4)
    before, now = draw.normal(size=(200, 6)), draw.normal(size=(150, 6))
    quiet = largest_ks(before, now)
    assert (
        quiet.value == pytest.approx(max(stats.ks_2samp(before[:, d], now[:, d]).statistic for d in range(6)))
        and quiet.value < quiet.chance
    )
    now[:, 4] += 1.5
    loud = largest_ks(before, now)
    assert loud.value > loud.chance and loud.value > 0.4


def test_cosine_of_means() -> None:
    rows = np.array([[1.0, 1.0], [3.0, 1.0]])
    assert cosine_of_means(rows, 5 * rows) == pytest.approx(1)
    assert cosine_of_means(rows, -rows) == pytest.approx(-1)
    assert cosine_of_means(np.zeros((2, 2)), np.zeros((3, 2))) == 1
    assert cosine_of_means(rows, np.zeros((3, 2))) == 0
