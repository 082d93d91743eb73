"""Each rule holds where it should, and a planted fault breaks exactly that rule."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from mrs_pipeline.dataset import PromotionOptions
from mrs_pipeline.promotion.rules import PromotionEvidence, judge_promotion

ROW: Mapping[str, Any] = {
    "model": "vbpr",
    "stale": False,
    "seconds": 40.0,
    "peak_memory_mb": 300.0,
    "popularity_difference": 0.05,
    "popularity_low": 0.02,
    "popularity_high": 0.08,
    "popularity_p": 0.001,
    "cold_metric": "recall@20",
    "cold_value": 0.1,
}
TEST = {"difference": 0.01, "low": -0.01, "high": 0.03, "p": 0.3}
SOUND = PromotionEvidence(ROW, "ease", {**ROW, "model": "ease"}, [], TEST, {**TEST, "difference": -0.001})
BOUNDED = PromotionOptions(max_seconds=60, max_memory_mb=500)
WORSE = {"difference": -0.03, "low": -0.05, "high": -0.01, "p": 0.002}


def _broken(evidence: PromotionEvidence, options: PromotionOptions = BOUNDED) -> list[str]:
    return [rule.rule for rule in judge_promotion(evidence, options) if rule.holds is False]


def test_all_rules_hold_and_carry_their_numbers() -> None:
    rules = {rule.rule: rule for rule in judge_promotion(SOUND, BOUNDED)}
    assert all(rule.holds for rule in rules.values())
    found = rules["champion"]
    assert (found.value, found.bound, found.low, found.high, found.p) == (0.01, 0.0, -0.01, 0.03, 0.3)
    assert (rules["seconds"].value, rules["seconds"].bound) == (40.0, 60.0)
    assert rules["popularity"].p == 0.001


@pytest.mark.parametrize(
    ("rule", "evidence"),
    [
        ("current", replace(SOUND, row={**ROW, "stale": True})),
        ("checks", replace(SOUND, failed_checks=["check expectations of core/items: an item stands twice"])),
        ("champion", replace(SOUND, test=WORSE)),
        ("champion", replace(SOUND, champion_row=None, test=None)),
        ("popularity", replace(SOUND, row={**ROW, "popularity_difference": -0.05})),
        ("popularity", replace(SOUND, row={**ROW, "popularity_p": 0.2})),
        ("popularity", replace(SOUND, row={**ROW, "popularity_p": None, "popularity_difference": None})),
        ("cold", replace(SOUND, cold_test=WORSE)),
        ("cold", replace(SOUND, row={**ROW, "cold_value": None})),
        ("seconds", replace(SOUND, row={**ROW, "seconds": 61.0})),
        ("memory", replace(SOUND, row={**ROW, "peak_memory_mb": None})),
    ],
)
def test_a_planted_fault_breaks_one_rule(rule: str, evidence: PromotionEvidence) -> None:
    assert _broken(evidence) == [rule]


def test_popularity_itself_is_not_promoted() -> None:
    assert _broken(replace(SOUND, row={**ROW, "model": "most_pop"})) == ["popularity"]


def test_what_does_not_apply_neither_holds_nor_fails() -> None:
    rules = {
        rule.rule: rule.holds
        for rule in judge_promotion(PromotionEvidence(ROW, None, None, []), PromotionOptions())
    }
    assert rules == {
        "current": True,
        "checks": True,
        "champion": None,
        "popularity": True,
        "cold": None,
        "seconds": None,
        "memory": None,
    }
    lenient = PromotionOptions(beats_popularity=False, not_worse_on_cold=False)
    worst = replace(SOUND, row={**ROW, "popularity_difference": -1.0}, cold_test=WORSE)
    assert _broken(worst, lenient) == []


def test_the_same_model_of_a_later_window_is_not_held_against_itself() -> None:
    again = PromotionEvidence(ROW, "vbpr", ROW, [])
    assert _broken(again) == []
