"""The written rules of promotion, judged on numbers that are handed in. No store is read here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mrs_pipeline.dataset import PromotionOptions
from mrs_pipeline.evaluation.options import COMPARED
from mrs_pipeline.reporting.leaderboard import POPULARITY_MODEL
from mrs_pipeline.statistics import ALPHA

METRIC: Final = COMPARED[0]


@dataclass(frozen=True)
class Rule:
    """One rule and what was found.

    Attributes:
        rule: its name.
        holds: None where it does not apply.
        sentence: the rule and the finding in words.
        value: what was compared.
        bound: what it was compared with.
        low: lower end of a difference's 95 % interval.
        high: its upper end.
        p: p-value of the paired test.
    """

    rule: str
    holds: bool | None
    sentence: str
    value: float | None = None
    bound: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class PromotionEvidence:
    """What is known of a challenger at one window.

    Attributes:
        row: its row of the leaderboard, in the window.
        champion: name of the model that it would follow; None where there is none.
        champion_row: that model's row in the same window; None where it was not measured there.
        failed_checks: name and finding of the blocking checks that failed on the way to it.
        test: challenger minus champion over the same users, `reporting.leaderboard.against`; None without both.
        cold_test: the same on cold items.
    """

    row: Mapping[str, Any]
    champion: str | None
    champion_row: Mapping[str, Any] | None
    failed_checks: Sequence[str]
    test: Mapping[str, Any] | None = None
    cold_test: Mapping[str, Any] | None = None


def judge_promotion(evidence: PromotionEvidence, options: PromotionOptions) -> list[Rule]:
    """All rules, in the order in which they are read."""
    return [
        _current(evidence),
        _checks(evidence),
        _not_worse(evidence),
        _popularity(evidence, options),
        _cold(evidence, options),
        _bounded("seconds", "training", evidence.row.get("seconds"), options.max_seconds, "s"),
        _bounded("memory", "training holds", evidence.row.get("peak_memory_mb"), options.max_memory_mb, "MB"),
    ]


def _current(evidence: PromotionEvidence) -> Rule:
    stale = bool(evidence.row["stale"])
    found = "it was measured on data that have changed since" if stale else "it was measured on today's data"
    return Rule("current", not stale, found)


def _checks(evidence: PromotionEvidence) -> Rule:
    failed = evidence.failed_checks
    found = "; ".join(failed[:3]) if failed else "no blocking check of what it was made from failed"
    return Rule("checks", not failed, found, float(len(failed)), 0.0)


def _not_worse(evidence: PromotionEvidence) -> Rule:
    champion = evidence.champion
    if champion is None:
        return Rule("champion", None, "there is no champion yet")
    if champion == evidence.row["model"]:
        return Rule(
            "champion", None, f"{champion} itself is the champion: this is its training at another time"
        )
    if evidence.champion_row is None or evidence.test is None:
        return Rule(
            "champion", False, f"{champion}, the champion, was not measured in this window: run it here too"
        )
    return _compared("champion", evidence.test, f"{METRIC} against {champion}, the champion")


def _popularity(evidence: PromotionEvidence, options: PromotionOptions) -> Rule:
    if not options.beats_popularity:
        return Rule("popularity", None, "the settings do not ask for it")
    row = evidence.row
    if row["model"] == POPULARITY_MODEL:
        return Rule("popularity", False, "it is popularity itself")
    difference, p = row.get("popularity_difference"), row.get("popularity_p")
    if difference is None or p is None:
        return Rule(
            "popularity", False, f"{POPULARITY_MODEL} was not measured beside it: list it under models"
        )
    found = f"{METRIC} against the most popular items: {difference:+.4f}, p {p:.3g}"
    low, high = row.get("popularity_low"), row.get("popularity_high")
    return Rule("popularity", difference > 0 and p < ALPHA, found, difference, 0.0, low, high, p)


def _cold(evidence: PromotionEvidence, options: PromotionOptions) -> Rule:
    if not options.not_worse_on_cold:
        return Rule("cold", None, "the settings do not ask for it")
    before = evidence.champion_row
    if before is None or evidence.champion == evidence.row["model"] or before.get("cold_value") is None:
        return Rule("cold", None, "there is no champion with a value on cold items to compare with")
    if evidence.row.get("cold_value") is None:
        return Rule(
            "cold", False, f"{evidence.champion}, the champion, ranks cold items and this model does not"
        )
    if evidence.cold_test is None or evidence.cold_test["difference"] is None:
        return Rule("cold", None, "no user has a cold item with both")
    label = evidence.row["cold_metric"]
    return _compared(
        "cold", evidence.cold_test, f"{label} on cold items against {evidence.champion}, the champion"
    )


def _compared(name: str, test: Mapping[str, Any], what: str) -> Rule:
    """Not worse: the interval of the difference does not lie below 0 as a whole."""
    difference, low, high, p = (test[part] for part in ("difference", "low", "high", "p"))
    if difference is None:
        return Rule(name, False, f"{what}: no user was measured with both")
    known = f" ({low:+.4f} to {high:+.4f})" if high is not None else ""
    holds = high >= 0 if high is not None else difference >= 0
    return Rule(name, holds, f"{what}: {difference:+.4f}{known}", difference, 0.0, low, high, p)


def _bounded(name: str, what: str, value: float | None, bound: float | None, unit: str) -> Rule:
    if bound is None:
        return Rule(name, None, "the settings set no bound")
    if value is None:
        return Rule(name, False, f"{what} was not measured", None, bound)
    return Rule(name, value <= bound, f"{what}: {value:,.1f} {unit} of at most {bound:,.1f}", value, bound)
