"""The page of a simulated year says what happened, and which of its outputs differ."""

from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from mrs_pipeline.reporting.simulation_inputs import YearInputs
from mrs_pipeline.reporting.simulation_page import headline, simulation_page
from mrs_pipeline.reporting.simulation_plots import months_by_stage, stage_of_asset, timeline
from mrs_pipeline_tests.reporting.years import MONTHS, made_up_year, with_difference


@pytest.fixture
def year() -> YearInputs:
    return made_up_year()


def _texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_an_equal_year_is_said_to_be(year: YearInputs) -> None:
    page = simulation_page(year)
    assert headline(year) == "The accidents left no trace: both homes end with the same content."
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


def test_a_difference_is_named(year: YearInputs) -> None:
    planted = with_difference(year)
    page = simulation_page(planted)
    assert not planted.same
    assert "1 of 6 outputs differ from those of the home without accidents." in page
    assert "1 rows only in the first" in page and "core/items" in page
    lost = replace(year, restored=False)
    assert not lost.same
    assert "did not give back the weights" in headline(lost)


def test_the_matrix_counts_runs_and_marks_what_differs(year: YearInputs) -> None:
    assert _texts(months_by_stage(year.made, year.compared, MONTHS)) == ["2", "2", "1", "1", "1", "1"]
    planted = with_difference(year)
    assert _texts(months_by_stage(planted.made, planted.compared, MONTHS))[:2] == ["2", "2, differs"]
    assert stage_of_asset("core/splits") == "splits"
    assert stage_of_asset("core/users") == "core tables"
    assert stage_of_asset("eval/report") is None


def test_the_timeline_has_a_bar_a_run_and_a_number_a_step(year: YearInputs) -> None:
    figure = timeline(year.happenings, year.runs)
    assert _texts(figure) == ["2", "3"]  # the history has no row of its own
    close = [*year.happenings[:2], replace(year.happenings[1], began=31.0), year.happenings[2]]
    assert _texts(timeline(close, year.runs)) == ["2–3", "4"]
    (axes,) = figure.axes
    assert sorted(len(bar.patches) for bar in axes.containers) == [1, 1, 1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["2024-01", "2024-02", "2024-03"]
