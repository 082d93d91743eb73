"""The page of drift: a panel a statistic, the bound drawn, drifted marks filled, nothing where nothing was compared."""

import polars as pl

from mrs_pipeline.reporting.drift_page import (
    MOST_NAMED,
    DriftPageInputs,
    drift_in_words,
    drift_page,
    drift_plot,
)

COLUMNS = ("window", "part", "about", "statistic", "value", "chance", "bound", "n_before", "n_now", "drifted")


def _rows(things: int = 2) -> pl.DataFrame:
    rows = [
        (f"2024-0{month}", "features", f"set {thing}", statistic, value, 0.1, bound, 50, 60, drifted)
        for month in range(1, 6)
        for thing in range(things)
        for statistic, value, bound, drifted in (
            ("ks", 0.1 + 0.1 * month, 0.3, month > 3 and thing == 0),
            ("cosine", 0.9, 0.8, False),
        )
    ]
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def test_bounds_are_drawn_and_drift_is_filled() -> None:
    figure = drift_plot(_rows())
    ks, cosine = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "largest Kolmogorov-Smirnov distance",
        "cosine of the mean vectors",
    ]
    levels = [
        [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"] for axes in (ks, cosine)
    ]
    assert levels == [[0.3], [0.8]]
    filled = [line for line in ks.lines if line.get_marker() == "o" and line.get_markerfacecolor() != "none"]
    assert sorted(x for line in filled for x in line.get_xdata()) == [3, 4]
    assert ks.get_ylim()[1] > 0.6


def test_more_lines_than_colours_stay_faint_and_the_drifted_one_is_named() -> None:
    figure = drift_plot(_rows(MOST_NAMED + 4))
    names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert len(names) == MOST_NAMED and "set 0" in names


def test_words_and_page_of_what_was_compared() -> None:
    rows = _rows()
    assert (
        drift_in_words(rows) == "Window 2024-05 differs from the one before it in 1 of 4 comparisons: set 0."
    )
    quiet = rows.with_columns(drifted=pl.lit(False))
    assert "4 comparisons, all within their bounds" in drift_in_words(quiet)
    page = drift_page(DriftPageInputs("shop <b>", "now", rows))
    assert page.count("<figure") == 1 and "What was beyond its bound" in page and "shop &lt;b&gt;" in page
    assert "What was beyond" not in drift_page(DriftPageInputs("shop", "now", quiet))
    empty = drift_page(DriftPageInputs("shop", "now", rows.clear()))
    assert "No window has another before it" in empty and "<figure" not in empty
