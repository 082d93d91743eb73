"""An experiment's page: its table, and sentences that follow from the numbers."""

from typing import Any

import polars as pl

from mrs_pipeline.reporting.experiment_page import ExperimentPageInputs, answer, arms_table, experiment_page


def arm(name: str, value: float, difference: float | None = None, **other: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "arm": name, "position": 0, "series": "plain", "against": "none", "part": "whole", "model": "fusion",
        "removed": 0.0, "metric": "recall@20", "value": value, "ci_low": value - 0.02, "ci_high": value + 0.02,
        "spread": 0.001, "seeds": 2, "warm": value, "cold": None, "difference": difference, "seconds": 3.0,
        "difference_low": None if difference is None else difference - 0.005,
        "difference_high": None if difference is None else difference + 0.005,
        "p": None if difference is None else 0.0002, "seconds_per_epoch": 0.1, "epochs": 30.0,
        "peak_memory_mb": 400.0, "dependence": None,
    }  # fmt: skip
    return {**facts, **other}


CONTROL = arm("none", 0.20)
ROWS = pl.DataFrame([CONTROL, arm("text", 0.25, 0.05), arm("image", 0.21, 0.01, p=0.4, seconds=90.0)])


def test_says_what_is_best_what_is_apart_and_what_it_costs() -> None:
    best, apart, cost = answer(ROWS)
    assert best == (
        "Best beside the control is text: recall@20 0.2500 against 0.2000 of none "
        "(difference +0.0500, +0.0450 to +0.0550, p < 0.001)."
    )
    assert apart.endswith(
        "finds 1 of 2 arms better than their control and 0 worse; 1 cannot be told apart from it."
    )
    assert cost == "The cheapest is none at 3 s, the dearest image at 1 min 30 s."


def test_says_whether_the_test_allows_for_seeds() -> None:
    assert "A paired test over these users and 2 seeds, adjusted for the number of arms" in answer(ROWS)[1]
    once = answer(ROWS.with_columns(seeds=1))[1]
    assert once.startswith("A paired test over these users (one seed: luck in training is not covered)")


def test_says_what_each_model_loses_as_content_goes_missing() -> None:
    rows = pl.DataFrame(
        [
            arm("none", 0.27, series="blind"),
            arm("vbpr, 0% missing", 0.25, -0.02, series="vbpr"),
            arm("vbpr, 50% missing", 0.24, -0.03, series="vbpr", removed=0.5),
            arm("vbpr, 80% missing", 0.20, -0.07, series="vbpr", removed=0.8),
        ]
    )
    assert answer(rows)[0] == "recall@20 from all rows to 80% of them missing: vbpr 0.2500 to 0.2000 (-20%)."


def test_says_whose_parts_are_most_independent() -> None:
    rows = pl.DataFrame([arm("none", 0.2, dependence=0.5), arm("DMRL", 0.25, 0.05, dependence=0.25)])
    assert answer(rows)[1] == (
        "Parts of item vectors depend on each other (0 not at all, 1 wholly): DMRL 0.25, none 0.50."
    )


def test_the_table_has_one_row_an_arm_and_no_empty_column() -> None:
    table = arms_table(ROWS)
    titles = [header.title for header in table.headers]
    assert "warm" in titles and "cold" not in titles
    assert [row[titles.index("p")].text for row in table.rows] == ["–", "< 0.001", "0.400"]
    assert [row[0].text for row in table.rows] == ["none", "text", "image"]


def test_the_page_draws_intervals_and_whiskers() -> None:
    page = experiment_page(
        ExperimentPageInputs(
            "films", "full", "modality", "Title", "Why?", "So.", "now", ROWS, False, {"seeds": "1, 2"}
        )
    )
    assert "<h2>Why?</h2>" in page and "whisker: deviation over seeds" in page
    assert page.count("<svg") == 1
