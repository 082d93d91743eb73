"""Every figure of the reports, as functions from frames to Matplotlib figures.

Not here: palette, style and SVG (`drawing`), numbers (`leaderboard`), captions and page layout (`html`).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from mrs_pipeline.reporting import drawing as d
from mrs_pipeline.reporting.inputs import VALID_TERM, Counts
from mrs_pipeline.schema import TEST, TRAIN, VALID

SPLIT_COLOURS: Final = {TRAIN: "#0072b2", VALID: "#e69f00", TEST: "#d55e00"}
MAX_WINDOW_LABELS: Final = 12
TERMS: Final = (d.INK, *d.LINES[1:], d.LINES[0], d.MUTED)
"""Colours of loss terms: one a term in all panels of a figure, as long as there are enough."""


@d.styled
def accuracy_by_model(group: pl.DataFrame, metric: str, popularity: str) -> Figure:
    """Dots with 95 % intervals, best on top, a dashed line at popularity.

    Args:
        group: rows of one (protocol, dataset, window) of the leaderboard, best first.
        metric: column with `_ci_low` and `_ci_high`.
        popularity: name of the reference model.
    """
    rows = group.filter(pl.col(metric).is_not_null())
    figure, axes = d.canvas(d.WIDE, 0.9 + 0.27 * len(rows))
    y = np.arange(len(rows))
    value, low, high = (
        rows[metric + part].fill_null(np.nan).to_numpy() for part in ("", "_ci_low", "_ci_high")
    )
    colours = d.axis_colours(rows)
    axes.hlines(y, low, high, colors=colours, linewidth=2.2, alpha=0.45)
    axes.scatter(value, y, c=colours, s=42, zorder=3)
    for row, x in enumerate(np.where(np.isnan(high), value, high)):
        d.note(axes, f"{value[row]:.4f}", (x, row), (7, 0))
    _reference_line(axes, rows, metric, popularity)
    d.row_names(axes, rows["model"].to_list())
    axes.set_xlabel(f"{metric}, mean over users and seeds (bar: 95 % interval)")
    axes.margins(x=0.09)
    d.axis_key(axes, rows)
    return figure


@d.styled
def accuracy_against_time(group: pl.DataFrame, metric: str) -> Figure:
    """Accuracy over training seconds, all models named; a line joins those that nothing cheaper beats.

    Args:
        group: rows of one (protocol, dataset, window) of the leaderboard.
        metric: column of it.
    """
    rows = group.filter((pl.col("seconds") > 0) & pl.col(metric).is_not_null()).sort("seconds")
    figure, axes = d.canvas(d.WIDE, 4.8)
    x, y = rows["seconds"].to_numpy(), rows[metric].to_numpy()
    front = y >= np.maximum.accumulate(y)
    axes.plot(x[front], y[front], color=d.FAINT, linewidth=1.4, zorder=1, drawstyle="steps-post")
    axes.scatter(x, y, c=d.axis_colours(rows), s=44, zorder=3)
    axes.margins(x=0.1, y=0.12)
    d.cost_axis(axes, x, "training time, seconds")
    axes.set_ylabel(metric)
    d.axis_key(axes, rows)
    d.label_points(axes, x, y, rows["model"].to_list())
    return figure


@d.styled
def accuracy_against_breadth(group: pl.DataFrame, metric: str, breadth: str) -> Figure:
    """Accuracy over the share of the catalogue that any list shows, all models named.

    Args:
        group: rows of one (protocol, dataset, window) of the leaderboard.
        metric: column of it.
        breadth: its column of catalogue coverage.
    """
    rows = group.filter(pl.col(metric).is_not_null() & pl.col(breadth).is_not_null())
    figure, axes = d.canvas(d.WIDE, 4.2)
    x, y = rows[breadth].to_numpy(), rows[metric].to_numpy()
    axes.scatter(x, y, c=d.axis_colours(rows), s=44, zorder=3)
    axes.margins(x=0.1, y=0.12)
    axes.set_xlabel(f"share of the catalogue that is shown to anyone, {breadth}")
    axes.xaxis.set_major_formatter(FuncFormatter(d.percent))
    axes.set_ylabel(metric)
    d.axis_key(axes, rows)
    d.label_points(axes, x, y, rows["model"].to_list())
    return figure


@d.styled
def warm_and_cold(group: pl.DataFrame, metric: str) -> Figure:
    """Panels of bars: the metric on warm items and on cold ones, models in the order of the ranking.

    Args:
        group: rows of one leaderboard group with `warm_<metric>` and/or `cold_items.COLD_COLUMNS`.
        metric: name without slice.
    """
    slices = {"warm": f"warm_{metric}", "cold": "cold_value"}
    slices = {name: column for name, column in slices.items() if column in group.columns}
    rows = group.filter(pl.any_horizontal(pl.col(column).is_not_null() for column in slices.values()))
    figure = d.empty(d.WIDE, 0.9 + 0.27 * len(rows))
    panels = figure.subplots(1, len(slices), sharey=True, squeeze=False)[0]
    for axes, (name, column) in zip(panels, slices.items(), strict=True):
        value = rows[column].fill_null(np.nan).to_numpy()
        axes.barh(np.arange(len(rows)), value, color=d.axis_colours(rows), height=0.62, alpha=0.85)
        for row, number in enumerate(value):
            nothing = "cannot rank" if name == "cold" else "not measured"
            text = nothing if np.isnan(number) else f"{number:.4f}"
            d.note(axes, text, (float(np.nan_to_num(number)), row), (5, 0))
        axes.set_title(f"{name} items")
        axes.set_xlabel(metric if name == "warm" else _on_cold(axes, rows))
        axes.margins(x=0.16)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
    d.row_names(panels[0], rows["model"].to_list())
    return figure


def _on_cold(axes: Axes, rows: pl.DataFrame) -> str:
    """Marks what a random order finds; returns what is shown."""
    known = rows.drop_nulls("cold_metric")
    chance = known["cold_chance"].mean()
    if isinstance(chance, float):
        axes.axvline(chance, color=d.INK, lw=1.0, ls=":")
        d.note(axes, "chance", (chance, -0.6), (3, 0))
    return str(known["cold_metric"][0])


@d.styled
def walk_forward_lines(board: pl.DataFrame, metric: str, highlighted: Sequence[str]) -> Figure:
    """One line a model over windows; `highlighted` ones are coloured and named at the end, others are grey.

    Args:
        board: leaderboard rows of one (protocol, dataset), several windows.
        metric: column of it.
        highlighted: at most six models, in order of importance.
    """
    windows = sorted(board["window"].unique())
    figure, axes = d.canvas(d.WIDE, 4.2)
    colours = dict(zip(highlighted, d.LINES, strict=False))
    places = np.arange(len(windows))
    ends: dict[str, float] = {}
    for key, rows in board.group_by("model", maintain_order=True):
        model = str(key[0])
        values = dict(zip(rows["window"], rows[metric].fill_null(np.nan), strict=True))
        y = np.array([values.get(window, np.nan) for window in windows])
        width, size = (2.0, 4.0) if model in colours else (1.0, 2.5)
        order = 3 if model in colours else 1
        axes.plot(places, y, "o-", ms=size, lw=width, color=colours.get(model, d.FAINT), zorder=order)
        if model in colours and not np.isnan(y).all():
            ends[model] = float(y[~np.isnan(y)][-1])
    axes.set_xticks(places, windows)
    if len(windows) > MAX_WINDOW_LABELS:
        axes.xaxis.set_major_locator(FixedLocator(places[:: -(-len(windows) // MAX_WINDOW_LABELS)].tolist()))
    axes.set_ylabel(metric)
    axes.set_ylim(bottom=0)
    for model, height in d.spread(ends, axes).items():
        end = {"xycoords": ("axes fraction", "data"), "fontsize": 9, "fontweight": "bold"}
        d.note(axes, d.shortened(model), (1, height), (6, 0), colours[model], **end)
    return figure


@d.styled
def training_curves(history: pl.DataFrame, runs: pl.DataFrame, models: Sequence[str]) -> Figure:
    """Small multiples: the validation metric above, the loss terms below, the chosen epoch marked.

    Args:
        history: `inputs.HISTORY` rows of one dataset and window; the first seed of each model is drawn.
        runs: `inputs.RUNS` rows of the same.
        models: which, in this order; those without history are left out.
    """
    drawn = [model for model in models if model in set(history["model"])]
    columns = min(4, max(2, len(drawn)))
    rows = -(-len(drawn) // columns)
    figure = d.empty(d.WIDE, 2.35 * rows)
    grid = figure.add_gridspec(rows, columns)
    terms = history.filter(pl.col("model").is_in(drawn) & (pl.col("term") != VALID_TERM))["term"]
    colours = {
        term: TERMS[place % len(TERMS)] for place, term in enumerate(terms.unique(maintain_order=True))
    }
    for place, model in enumerate(drawn):
        own = history.filter(pl.col("model") == model)
        own = own.filter(pl.col("seed") == own["seed"].min()).sort("epoch")
        cell = grid[place // columns, place % columns].subgridspec(2, 1)
        upper = figure.add_subplot(cell[0])
        lower = figure.add_subplot(cell[1], sharex=upper)
        _validation_panel(upper, own, _best_epoch(runs, model, int(own["seed"][0])))
        _loss_panel(lower, own.filter(pl.col("term") != VALID_TERM), colours)
        upper.set_title(d.shortened(model))
        if place % columns == 0:
            upper.set_ylabel("validation")
            lower.set_ylabel("loss terms")
    return figure


@d.styled
def pretraining_curve(history: pl.DataFrame, best_epoch: int) -> Figure:
    """The loss terms of a pretraining and its held-out loss over the epochs, the chosen epoch marked.

    Args:
        history: epoch, curve, value.
        best_epoch: the epoch whose vectors were kept.
    """
    figure, axes = d.canvas(d.HALF, 3.0)
    for number, (key, rows) in enumerate(history.group_by("curve", maintain_order=True)):
        curve = rows.sort("epoch")
        axes.plot(curve["epoch"], curve["value"], color=d.LINES[number % len(d.LINES)], label=str(key[0]))
    axes.axvline(best_epoch, color=d.FAINT, linestyle=d.DASHED, linewidth=1.0, zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    d.words_inside(axes)
    return figure


@d.styled
def interactions_over_time(over_time: pl.DataFrame) -> Figure:
    """Bars of interactions a period, stacked by split, with the splits named in their colours.

    Args:
        over_time: `inputs.OVER_TIME` rows.
    """
    figure, axes = d.canvas(d.HALF, 3.0)
    wide = (
        over_time.pivot("split", index="period", values="rows", aggregate_function="sum")
        .sort("period")
        .fill_null(0)
    )
    periods = wide["period"].to_numpy().astype("datetime64[D]")
    steps = np.diff(periods).astype(np.float64)
    width = 0.9 * np.append(steps, np.median(steps) if len(steps) else 30.0)  # days; months differ in length
    base = np.zeros(len(wide))
    known = [split for split in SPLIT_COLOURS if split in wide.columns]
    for number, split in enumerate(dict.fromkeys([*known, *wide.columns[1:]])):
        height = wide[split].to_numpy()
        colour = SPLIT_COLOURS.get(split, d.LINES[(number + 2) % len(d.LINES)])
        axes.bar(periods, height, width, bottom=base, color=colour, label=split, align="edge")
        base += height
    axes.set_ylabel("interactions")
    axes.yaxis.set_major_formatter(FuncFormatter(d.thousands))
    axes.grid(visible=False, axis="x")
    d.bar_key(axes)
    return figure


@d.styled
def long_tail(counts: Counts) -> Figure:
    """Share of all interactions that the most popular x % of items hold; the diagonal is equal popularity.

    Args:
        counts: [I] interactions of each item, any order.
    """
    figure, axes = d.canvas(d.HALF, 3.0)
    ordered = np.sort(counts)[::-1]
    share = np.concatenate([[0.0], np.cumsum(ordered) / max(ordered.sum(), 1)])
    x = np.linspace(0, 1, len(share))
    axes.fill_between(x, share, x, color=d.LINES[0], alpha=0.12, linewidth=0)
    axes.plot(x, share, color=d.LINES[0], linewidth=2)
    axes.plot([0, 1], [0, 1], color=d.FAINT, linewidth=1, linestyle=d.DASHED)
    held = float(np.interp(0.2, x, share))
    axes.scatter([0.2], [held], color=d.LINES[1], zorder=3)
    text = f"the top 20 % of items\nhold {d.percent(held)} of interactions"
    d.note(axes, text, (0.2, held), (12, -6), d.LINES[1], va="top", fontsize=9)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(d.percent))
    axes.set_xlabel("items, most popular first")
    axes.set_ylabel("share of interactions")
    return figure


@d.styled
def user_activity(counts: Counts) -> Figure:
    """Histogram of interactions a user in bins that double, the median marked.

    Args:
        counts: [U] interactions of each user, any order; users without any are left out.
    """
    figure, axes = d.canvas(d.HALF, 3.0)
    positive = counts[counts > 0]
    edges = 2.0 ** np.arange(np.floor(np.log2(positive.min())), np.floor(np.log2(positive.max())) + 2)
    heights, _ = np.histogram(positive, edges)
    axes.bar(edges[:-1], heights, np.diff(edges) * 0.94, align="edge", color=d.LINES[0], alpha=0.85)
    axes.set_xscale("log", base=2)
    axes.set_xticks(edges, [d.thousands(edge) for edge in edges])
    axes.xaxis.set_minor_formatter(NullFormatter())
    _marked(axes, float(np.median(positive)), f"median {np.median(positive):g}")
    axes.set_xlabel("interactions of a user (bins double)")
    axes.set_ylabel("users")
    axes.yaxis.set_major_formatter(FuncFormatter(d.thousands))
    axes.grid(visible=False, axis="x")
    return figure


@d.styled
def modality_coverage(coverage: pl.DataFrame) -> Figure:
    """Bars of items with and without content, one a feature set.

    Args:
        coverage: `inputs.COVERAGE` rows.
    """
    figure, axes = d.canvas(d.HALF, 0.8 + 0.42 * len(coverage))
    present, missing = coverage["present"].to_numpy(), coverage["missing"].to_numpy()
    share = present / np.maximum(present + missing, 1)
    y = np.arange(len(coverage))
    axes.barh(y, np.ones(len(y)), color=d.TRACK, height=0.56)
    axes.barh(y, share, color=d.LINES[0], height=0.56, alpha=0.9)
    for row, part in enumerate(share):
        d.note(
            axes,
            f"{d.percent(part)}, {missing[row]:,} missing" if missing[row] else "100 %",
            (1, row),
            (6, 0),
        )
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    axes.xaxis.set_major_formatter(FuncFormatter(d.percent))
    axes.grid(visible=False)
    d.row_names(axes, coverage["feature_set"].to_list())
    return figure


@d.styled
def spectrum_plot(values: npt.NDArray[np.floating]) -> Figure:
    """Share of the variance in each principal direction (log), with how many directions hold 90 % of it.

    Args:
        values: [R] singular values, any order.
    """
    figure, axes = d.canvas(d.HALF, 3.0)
    variance = np.sort(np.asarray(values, np.float64) ** 2)[::-1]
    share = variance / max(variance.sum(), np.finfo(np.float64).tiny)
    rank = np.arange(1, len(share) + 1)
    kept = share > 1e-12  # a log axis cannot show directions that are numerically empty
    axes.plot(rank[kept], share[kept], color=d.LINES[0], linewidth=2)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(d.short_number))
    enough = int(np.searchsorted(np.cumsum(share), 0.9) + 1)
    _marked(axes, enough, f"{enough} of {len(share)} directions hold 90 %")
    axes.set_xlabel("principal direction")
    axes.set_ylabel("share of variance (log)")
    return figure


@d.styled
def norms(values: npt.NDArray[np.floating]) -> Figure:
    """Histogram of row norms.

    Args:
        values: [present] norms.
    """
    figure, axes = d.canvas(d.HALF, 3.0)
    low, high = float(values.min()), float(values.max())
    slack = 1e-3 * max(high, 1.0)  # unit vectors differ by rounding only, too little to be cut into bins
    bins = min(40, max(5, len(values) // 5))
    axes.hist(values, bins=bins, range=(low - slack, high + slack), color=d.LINES[0], alpha=0.85)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.ticklabel_format(
        axis="x", useOffset=False
    )  # else unit vectors read as 0 with a small +1 in the corner
    axes.set_xlabel("Euclidean norm of an item's vector")
    axes.set_ylabel("items")
    axes.yaxis.set_major_formatter(FuncFormatter(d.thousands))
    axes.grid(visible=False, axis="x")
    return figure


@d.styled
def signal(shuffled: Sequence[float], observed: float) -> Figure:
    """Histogram of what shuffled vectors give, and a line at what the real ones give.

    Args:
        shuffled: mean cosines, one a shuffle.
        observed: mean cosine of the vectors as they are.
    """
    figure, axes = d.canvas(d.HALF, 3.0)
    axes.hist(list(shuffled), bins=12, color=d.LINES[0], alpha=0.85)
    _marked(axes, observed, "as they are")
    axes.margins(x=0.12)
    axes.set_xlabel("mean cosine of items that share users")
    axes.set_ylabel("shuffles")
    axes.grid(visible=False, axis="x")
    return figure


def _reference_line(axes: Axes, rows: pl.DataFrame, metric: str, model: str) -> None:
    """A dashed line at one model's value, named at the end away from the model's own dot."""
    found = rows["model"].to_list()
    if model not in found:
        return
    x = float(rows[metric][found.index(model)])
    bottom = found.index(model) < len(found) / 2
    axes.axvline(x, color=d.MUTED, linewidth=1, linestyle=d.DASHED, zorder=1)
    at, offset, side = ((x, 0.0), (4, 3), "bottom") if bottom else ((x, 1.0), (4, -3), "top")
    d.note(axes, d.shortened(model), at, offset, d.MUTED, xycoords=("data", "axes fraction"), va=side)


def _marked(axes: Axes, x: float, text: str) -> None:
    """A vertical line with a word above the plot."""
    axes.axvline(x, color=d.LINES[1], linewidth=1.4)
    side = "left" if np.mean(axes.get_xlim()) > x else "right"
    more = {"xycoords": ("data", "axes fraction"), "va": "bottom", "ha": side, "fontsize": 9}
    d.note(axes, text, (x, 1), (0, 2), d.LINES[1], **more)


def _best_epoch(runs: pl.DataFrame, model: str, seed: int) -> int | None:
    found = runs.filter((pl.col("model") == model) & (pl.col("seed") == seed))["best_epoch"]
    return int(found[0]) if len(found) and found[0] is not None else None


def _validation_panel(axes: Axes, own: pl.DataFrame, best_epoch: int | None) -> None:
    rows = own.filter((pl.col("term") == VALID_TERM) & pl.col("value").is_not_null())
    axes.plot(rows["epoch"], rows["value"], color=d.LINES[0], linewidth=1.8)
    chosen = rows.filter(pl.col("epoch") == best_epoch) if best_epoch is not None else rows.clear()
    if len(chosen):
        at, value = chosen["epoch"][0], chosen["value"][0]
        axes.scatter([at], [value], color=d.LINES[1], s=26, zorder=3)
        place = {"xycoords": "axes fraction", "ha": "right", "fontsize": 8}
        d.note(axes, f"epoch {at}: {value:.4f}", (1, 0), (0, 8), d.LINES[1], **place)
    axes.tick_params(axis="both", labelsize=8, labelbottom=False)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.margins(y=0.15)


def _loss_panel(axes: Axes, losses: pl.DataFrame, colours: Mapping[str, str]) -> None:
    """One line a term in the term's colour, on a log scale where all are positive."""
    for key, rows in losses.group_by("term", maintain_order=True):
        term = str(key[0])
        axes.plot(
            rows["epoch"], rows["value"], color=colours[term], linewidth=1.3, label=d.shortened(term, 16)
        )
    if len(losses):
        d.words_above(axes)
        if (losses["value"] > 0).all():
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(d.short_number))
            axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="both", labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
