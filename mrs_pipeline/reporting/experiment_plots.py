"""The figures of an experiment's page, as functions from its rows to Matplotlib figures.

Not here: palette and style (`drawing`), the figures of the report (`plots`).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from mrs_pipeline.reporting import drawing as d

WHOLE_MODEL: Final = "whole"


@d.styled
def accuracy_by_arm(rows: pl.DataFrame) -> Figure:
    """Dots with 95 % intervals, whiskers over seeds, and a dashed line at the control if it is one.

    Args:
        rows: `eval.experiments` of one experiment; parts other than the whole are left out.
    """
    whole = rows.filter(part=WHOLE_MODEL)
    figure, axes = d.canvas(d.WIDE, 1.0 + 0.32 * len(whole))
    y = np.arange(len(whole))
    value, low, high = (whole[name].to_numpy() for name in ("value", "ci_low", "ci_high"))
    colours = _colours(whole)
    if whole["difference"].null_count() == 1:
        axes.axvline(value[0], color=d.MUTED, linewidth=1, linestyle=d.DASHED, zorder=1)
    axes.hlines(y, low, high, colors=colours, linewidth=2.2, alpha=0.45)
    axes.scatter(value, y, c=colours, s=42, zorder=3)
    spread = whole["spread"].fill_null(0.0).to_numpy()  # null: one seed
    over_seeds = "; whisker: deviation over seeds" if spread.any() else ""
    if over_seeds:
        axes.errorbar(value, y, xerr=spread, fmt="none", ecolor=d.INK, elinewidth=1, capsize=3, zorder=2)
    for row, right in enumerate(np.maximum(high, value + spread)):
        d.note(axes, f"{value[row]:.4f}", (right, row), (7, 0))
    d.row_names(axes, whole["arm"].to_list())
    axes.set_xlabel(f"{whole['metric'][0]}, mean over users and seeds (bar: 95 % interval{over_seeds})")
    axes.margins(x=0.09)
    d.colour_key(axes, _legend(whole))
    return figure


@d.styled
def accuracy_against_cost(rows: pl.DataFrame, cost: str, label: str) -> Figure:
    """Accuracy over a cost, all arms named; a grey line joins those that nothing cheaper beats.

    Args:
        rows: `eval.experiments` of one experiment.
        cost: column of it.
        label: of the axis, with its unit.
    """
    whole = rows.filter(part=WHOLE_MODEL).sort(cost)
    figure, axes = d.canvas(d.WIDE, 4.4)
    x, y = whole[cost].to_numpy(), whole["value"].to_numpy()
    front = y >= np.maximum.accumulate(y)
    axes.plot(x[front], y[front], color=d.FAINT, linewidth=1.4, zorder=1, drawstyle="steps-post")
    axes.scatter(x, y, c=_colours(whole), s=44, zorder=3)
    axes.margins(x=0.12, y=0.14)
    d.cost_axis(axes, x, label)
    axes.set_ylabel(whole["metric"][0])
    d.colour_key(axes, _legend(whole))
    d.label_points(axes, x, y, whole["arm"].to_list())
    return figure


@d.styled
def accuracy_by_share_removed(rows: pl.DataFrame) -> Figure:
    """A line a series over the share of rows taken away, with its interval; the control as a dashed line.

    Args:
        rows: `eval.experiments` of one experiment, the control first.
    """
    whole = rows.filter(part=WHOLE_MODEL)
    control, others = whole.head(1), whole.slice(1)
    figure, axes = d.canvas(d.WIDE, 4.4)
    ends: dict[str, float] = {}
    colours = dict(zip(others["series"].unique(maintain_order=True), d.LINES, strict=False))
    for (series,), own in others.group_by("series", maintain_order=True):
        line = own.sort("removed")
        colour = colours.get(str(series), d.MUTED)
        axes.plot(line["removed"], line["value"], color=colour, linewidth=1.9, marker="o", markersize=4)
        axes.fill_between(
            line["removed"], line["ci_low"], line["ci_high"], color=colour, alpha=0.08, linewidth=0
        )
        ends[str(series)] = float(line["value"][-1])
    axes.axhline(control["value"][0], color=d.MUTED, linewidth=1, linestyle=d.DASHED)
    ends[control["arm"][0]] = float(control["value"][0])
    right = float(others["removed"].max())  # type: ignore[arg-type]  # a number: the column is DOUBLE
    axes.set_xlim(-0.02, right * 1.02)
    for series, height in d.spread(ends, axes).items():
        d.note(axes, series, (right, height), (9, 0), colours.get(series, d.MUTED), ha="left")
    axes.xaxis.set_major_formatter(FuncFormatter(d.percent))
    axes.set_xlabel("share of each modality's rows taken away")
    axes.set_ylabel(f"{whole['metric'][0]}, mean over users and seeds")
    return figure


@d.styled
def accuracy_by_part(rows: pl.DataFrame) -> Figure:
    """Bars: each model scored with its whole vectors, then with one part of them alone.

    Args:
        rows: `eval.experiments` of one experiment with parts.
    """
    figure, axes = d.canvas(d.WIDE, 0.9 + 0.28 * len(rows))
    y = np.arange(len(rows))
    whole = [part == WHOLE_MODEL for part in rows["part"]]
    axes.barh(y, rows["value"], color=[d.LINES[0] if each else d.LINES[5] for each in whole], height=0.62)
    for row, value in enumerate(rows["value"]):
        d.note(axes, f"{value:.4f}", (value, row), (5, 0))
    names = [
        arm if part == WHOLE_MODEL else f"{part} alone"
        for arm, part in rows.select("arm", "part").iter_rows()
    ]
    d.row_names(axes, names)
    axes.set_xlabel(f"{rows['metric'][0]}, mean over users and seeds")
    axes.set_xlim(left=0)
    axes.margins(x=0.1)
    axes.grid(visible=False, axis="y")
    return figure


@d.styled
def dependence_by_arm(rows: pl.DataFrame) -> Figure:
    """Bars from 0 to 1: how much the parts of each model's vectors say the same.

    Args:
        rows: `eval.experiments` of one experiment with parts.
    """
    shown = rows.filter((pl.col("part") == WHOLE_MODEL) & pl.col("dependence").is_not_null())
    figure, axes = d.canvas(d.WIDE, 0.9 + 0.32 * len(shown))
    y = np.arange(len(shown))
    axes.barh(y, np.ones(len(shown)), color=d.TRACK, height=0.5)
    axes.barh(y, shown["dependence"], color=d.LINES[1], height=0.5)
    for row, value in enumerate(shown["dependence"]):
        d.note(axes, f"{value:.2f}", (value, row), (5, 0))
    d.row_names(axes, shown["arm"].to_list())
    axes.set_xlim(0, 1)
    axes.set_xlabel("mean distance correlation between parts: 0 independent, 1 the same")
    axes.grid(visible=False, axis="y")
    return figure


def _colours(rows: pl.DataFrame) -> list[str]:
    key = dict(_legend(rows))
    return [key[series] for series in rows["series"]]


def _legend(rows: pl.DataFrame) -> Sequence[tuple[str, str]]:
    """Series -> colour; the control's series is grey."""
    series = rows.sort("position")["series"].unique(maintain_order=True).to_list()
    palette = [d.MUTED, *d.LINES] if len(series) > 1 else [d.LINES[0]]
    return [(name, palette[number % len(palette)]) for number, name in enumerate(series)]
