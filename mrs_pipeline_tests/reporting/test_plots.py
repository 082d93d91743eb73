import re

import numpy as np
import polars as pl
import pytest

from mrs_pipeline.reporting import drawing, plots
from mrs_pipeline.reporting.leaderboard import leaderboard


@pytest.fixture(scope="module")
def board(full_inputs):
    return leaderboard(full_inputs.metrics, full_inputs.runs, full_inputs.user_metrics)


def texts(figure):
    return re.findall(r"<text[^>]*>([^<]*)</text>", drawing.svg(figure, "x"))


def test_accuracy_names_every_model_and_its_value(board):
    found = texts(plots.accuracy_by_model(board, "recall@20", "most_pop"))
    for row in board.to_dicts():
        assert row["model"] in found
        assert f"{row['recall@20']:.4f}" in found
    assert found.count("most_pop") == 2  # the row and the reference line
    assert "Feature enhancement" in found
    assert "Model optimisation" not in found


def test_accuracy_dots_and_bars_stand_at_the_numbers(board):
    axes = plots.accuracy_by_model(board, "recall@20", "most_pop").axes[0]
    bars, dots = axes.collections
    assert np.asarray(dots.get_offsets())[:, 0] == pytest.approx(board["recall@20"].to_numpy())
    ends = np.array([segment[:, 0] for segment in bars.get_segments()])
    assert ends[:, 0] == pytest.approx(board["recall@20_ci_low"].to_numpy())


def test_time_plot_labels_every_point_once_and_leaves_out_what_took_no_time(board):
    frame = board.with_columns(seconds=pl.when(pl.col("model") == "ease").then(0.0).otherwise("seconds"))
    found = texts(plots.accuracy_against_time(frame, "recall@20"))
    assert [found.count(model) for model in ("freedom", "bm3", "lightgcn", "most_pop", "ease")] == [
        1,
        1,
        1,
        1,
        0,
    ]


def test_breadth_names_every_model_that_has_it(board):
    frame = board.with_columns(pl.when(pl.col("model") != "ease").then("coverage@20").alias("coverage@20"))
    figure = plots.accuracy_against_breadth(frame, "recall@20", "coverage@20")
    found = texts(figure)
    assert [found.count(model) for model in ("freedom", "bm3", "lightgcn", "most_pop", "ease")] == [
        1,
        1,
        1,
        1,
        0,
    ]
    dots = np.asarray(figure.axes[0].collections[0].get_offsets())
    assert sorted(dots[:, 0]) == pytest.approx([0.05, 0.4, 0.55, 0.7])


def test_point_labels_do_not_overlap_where_there_is_room():
    _, axes = drawing.canvas(8, 6)
    x, y = np.array([1.0, 1.001, 2.0]), np.array([1.0, 1.0, 3.0])
    axes.scatter(x, y)
    axes.margins(0.3)
    drawing.label_points(axes, x, y, ["first", "second", "third"])
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 3
    assert not any(boxes[i].overlaps(boxes[j]) for i in range(3) for j in range(i))


def test_end_labels_are_spread_and_keep_their_order():
    _, axes = drawing.canvas(5, 3)
    axes.set_ylim(0, 1)
    placed = drawing.spread({"a": 0.5, "b": 0.501, "c": 0.502, "d": 0.9}, axes)
    assert list(placed) == ["a", "b", "c", "d"]
    assert np.diff(list(placed.values())).min() >= 0.055 - 1e-9
    assert placed["d"] == pytest.approx(0.9)


def test_training_curves_mark_the_epoch_that_was_kept(full_inputs):
    figure = plots.training_curves(full_inputs.history, full_inputs.runs, ["bm3", "ease", "freedom"])
    found = texts(figure)
    assert "bm3" in found
    assert "ease" not in found  # closed form, no history
    assert sum(text.startswith("epoch 8: ") for text in found) == 2
    assert found.count("bpr") == 2


def test_losses_that_reach_zero_are_drawn_on_a_linear_scale(full_inputs):
    history = full_inputs.history.with_columns(
        value=pl.when(pl.col("term") == "reg").then(0.0).otherwise("value")
    )
    _, lower = plots.training_curves(history, full_inputs.runs, ["bm3"]).axes
    assert lower.get_yscale() == "linear"
    _, lower = plots.training_curves(full_inputs.history, full_inputs.runs, ["bm3"]).axes
    assert lower.get_yscale() == "log"


def test_stacked_bars_add_up(full_inputs):
    over_time = full_inputs.data[0].over_time
    axes = plots.interactions_over_time(over_time).axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == over_time["rows"].sum()


def test_long_tail_says_what_the_top_fifth_holds():
    found = texts(plots.long_tail(np.array([80, 5, 5, 5, 5])))
    assert "hold 80 % of interactions" in found


def test_user_activity_counts_every_user_once():
    axes = plots.user_activity(np.array([1, 1, 2, 3, 900, 0])).axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == 5
    assert plots.user_activity(np.array([4, 4])).axes[0].patches[0].get_height() == 2


def test_coverage_says_what_is_missing(full_inputs):
    assert "62 %, 150 missing" in texts(plots.modality_coverage(full_inputs.data[0].coverage))


def test_spectrum_counts_directions():
    assert "1 of 3 directions hold 90 %" in texts(plots.spectrum_plot(np.array([10.0, 0.1, 0.0])))


def test_norms_of_unit_vectors_are_written_in_full():
    found = texts(plots.norms(np.ones(100) + np.linspace(-1e-7, 1e-7, 100)))
    numbers = [
        float(text.replace("\N{MINUS SIGN}", "-")) for text in found if re.fullmatch(r".?[\d.]+", text)
    ]
    assert min(abs(number - 1) for number in numbers) < 1e-3
    assert not any(text.startswith("+") for text in found)


def test_svg_ids_carry_the_name_and_references_follow(board):
    text = drawing.svg(plots.accuracy_by_model(board, "recall@20", "most_pop"), "fig")
    ids = re.findall(r'\sid="([^"]*)"', text)
    assert ids
    assert all(name.startswith("fig-") for name in ids)
    references = re.findall(r'href="#([^"]*)"', text) + re.findall(r"url\(#([^)]*)\)", text)
    assert references
    assert set(references) <= set(ids)
    assert text.startswith("<svg")
    assert "http" not in text


def test_svg_is_the_same_every_time(board):
    first, second = (drawing.svg(plots.accuracy_against_time(board, "recall@20"), "fig") for _ in range(2))
    assert first == second


def test_names_are_text_not_markup_or_mathematics(board):
    odd = board.with_columns(
        model=pl.when(pl.col("model") == "ease").then(pl.lit("<b>$x^2$ & 爱")).otherwise("model")
    )
    text = drawing.svg(plots.accuracy_by_model(odd, "recall@20", "most_pop"), "fig")
    assert "&lt;b&gt;$x^2$ &amp; 爱" in text
    assert "<b>" not in text


def test_an_id_inside_a_name_is_left_alone(board):
    odd = board.with_columns(model=pl.lit('the id="x" model'))
    assert any(
        'id="x"' in text for text in texts(plots.accuracy_by_model(odd.head(1), "recall@20", "most_pop"))
    )


@pytest.mark.parametrize(
    ("costs", "label", "ticks"),
    [
        ([15.8, 21.8, 25.2], "seconds", {"16", "20", "24"}),
        ([3.0, 40.0, 300.0], "seconds (log scale)", {"5", "10", "20", "100", "200"}),
    ],
)
def test_an_axis_of_costs_has_named_ticks_whatever_its_range(
    costs: list[float], label: str, ticks: set[str]
) -> None:
    figure, axes = drawing.canvas(8, 4)
    axes.scatter(costs, costs)
    drawing.cost_axis(axes, np.array(costs), "seconds")
    figure.canvas.draw()
    low, high = axes.get_xlim()
    shown = {tick.label1.get_text() for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high}
    assert axes.get_xlabel() == label
    assert ticks <= shown
