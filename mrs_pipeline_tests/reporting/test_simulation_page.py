"""The page of a simulated year says what happened, and which of its outputs differ."""

from dataclasses import replace
from datetime import datetime

import polars as pl
import pytest

from mrs_pipeline.reporting import drawing
from mrs_pipeline.reporting.simulation_inputs import Happening, RunBar, YearInputs
from mrs_pipeline.reporting.simulation_page import headline, simulation_page
from mrs_pipeline.reporting.simulation_plots import months_by_stage, stage_of_asset, timeline

MONTHS = ("2024-02", "2024-03")


@pytest.fixture
def year() -> YearInputs:
    compared = [(month, asset) for month in MONTHS for asset in ("core/splits", "trained/ease", "core/items")]
    return YearInputs(
        dataset="shop",
        generated="today",
        months=MONTHS,
        models=("ease", "most_pop"),
        happenings=[
            Happening("history", "", "The rows are there.", (), "2024-01 read in 2 s", 0.0, 20.0),
            Happening(
                "2024-02", "killed run", "It is killed.", ("<b>failed</b>. Why",), "started again", 30.0, 60.0
            ),
            Happening("2024-03", "rollback", "Taken back.", (), "Rolled back.", 95.0, 1.0),
        ],
        runs=[
            RunBar("2024-01", "shop_ingest", 5, 10, "done"),
            RunBar("2024-02", "shop_pipeline", 31, 9, "ended early"),
            RunBar("2024-02", "shop_pipeline", 50, 40, "gone on"),
        ],
        made=pl.DataFrame(
            [{"asset": a, "window": m, "runs": 2 if a == "core/items" else 1} for m, a in compared]
        ),
        rows=pl.DataFrame({"window": list(MONTHS), "landed": [10, 12], "quarantined": [1, None]}),
        board=pl.DataFrame(
            {
                "window": list(MONTHS),
                "model": "ease",
                "rank": 1,
                "recall@20": [0.2, 0.3],
                "n_users": 9,
                "stale": False,
            }
        ),
        decisions=pl.DataFrame(
            {
                "decision": [1],
                "decided_at": [datetime(2024, 3, 1)],
                "outcome": ["promoted"],
                "forced": [True],
                "reason": ["the story"],
                "window": ["2024-02"],
                "model": ["ease"],
                "champion_window": [None],
                "champion_model": [None],
            },
            schema_overrides={"champion_window": pl.String, "champion_model": pl.String},
        ),
        restored=True,
        compared=pl.DataFrame(
            [{"month": m, "asset": a, "same": True, "difference": ""} for m, a in compared]
        ),
        seconds=100.0,
        undisturbed_seconds=40.0,
    )


def _with_difference(year: YearInputs) -> YearInputs:
    planted = (pl.col("month") == "2024-03") & (pl.col("asset") == "core/items")
    compared = year.compared.with_columns(
        same=~planted,
        difference=pl.when(planted).then(pl.lit("1 rows only in the first")).otherwise(pl.lit("")),
    )
    return replace(year, compared=compared)


def _texts(figure: object) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_an_equal_year_is_said_to_be(year: YearInputs) -> None:
    page = simulation_page(year)
    assert headline(year) == "The accidents left no trace: both years end with the same content."
    assert year.same
    for text in (
        "killed run (2024-02)",
        "6 of 6",
        "bit for bit",
        "promoted, forced",
        "0.3000",
        "1 ended early",
    ):
        assert text in page, text
    assert "&lt;b&gt;failed&lt;/b&gt;. Why" in page
    assert "What differs" not in page


def test_a_difference_is_named(year: YearInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "svg", lambda figure, name: "<svg></svg>")
    planted = _with_difference(year)
    page = simulation_page(planted)
    assert not planted.same
    assert "1 of 6 outputs differ from the year without accidents." in page
    assert "1 rows only in the first" in page and "core/items" in page
    lost = replace(year, restored=False)
    assert not lost.same
    assert "did not give back the weights" in headline(lost)


def test_the_matrix_counts_runs_and_marks_what_differs(year: YearInputs) -> None:
    assert _texts(months_by_stage(year.made, year.compared, MONTHS)) == ["2", "2", "1", "1", "1", "1"]
    planted = _with_difference(year)
    assert _texts(months_by_stage(planted.made, planted.compared, MONTHS))[:2] == ["2", "2, differs"]
    assert stage_of_asset("core/splits") == "splits"
    assert stage_of_asset("core/users") == "core tables"
    assert stage_of_asset("eval/report") is None


def test_the_timeline_has_a_bar_a_run_and_a_number_a_step(year: YearInputs) -> None:
    figure = timeline(year.happenings, year.runs)
    assert _texts(figure) == ["2", "3"]  # the history has no row of its own
    (axes,) = figure.axes
    assert sorted(len(bar.patches) for bar in axes.containers) == [1, 1, 1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["2024-01", "2024-02", "2024-03"]
