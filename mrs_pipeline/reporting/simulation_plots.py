"""Figures of a simulated year: its runs over time, and how often each thing was made for each month."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mrs_pipeline.reporting import drawing as d
from mrs_pipeline.reporting.simulation_inputs import Happening, RunBar

OUTCOMES: Final = {"done": d.LINES[0], "ended early": d.LINES[1], "gone on": d.LINES[2]}
"""How a run ended -> its colour."""
_STAGES: Final = {
    "raw/interactions": "raw rows",
    "core": "core tables",
    "core/splits": "splits",
    "features": "features",
    "trained": "chosen weights",
    "final": "served weights",
    "metrics": "metrics",
    "recommendations": "lists",
}
"""Asset, or its kind -> what the page calls it, in the order of the pipeline."""
_LANE: Final = 0.42
_FEWEST_ROWS: Final = 2
_NEAR: Final = 0.025
"""Share of the whole time within which two marks of a row would cover each other."""


@d.styled
def timeline(happenings: Sequence[Happening], runs: Sequence[RunBar]) -> Figure:
    """A row a month with its runs as bars, and a numbered mark where something happened.

    Args:
        happenings: the numbers are their places in this order.
        runs: of all windows.
    """
    windows = sorted(
        {run.window for run in runs} | {each.month for each in happenings if each.month != "history"}
    )
    place = {window: row for row, window in enumerate(windows)}
    unit, seconds = _unit(max([each.began + each.seconds for each in happenings], default=1.0))
    figure, axes = d.canvas(d.WIDE, 1.0 + _LANE * max(len(windows), _FEWEST_ROWS))
    for outcome, colour in OUTCOMES.items():
        chosen = [run for run in runs if run.outcome == outcome]
        axes.barh(
            [place[run.window] for run in chosen],
            [run.seconds / seconds for run in chosen],
            left=[run.began / seconds for run in chosen],
            height=0.46,
            color=colour,
            label=_outcome_words(outcome),
            zorder=3,
        )
    for first, last, each in _marks(happenings, windows):
        at = (each.began / seconds, place[each.month])
        axes.plot(*at, "|", ms=17, mew=1.2, color=d.INK, zorder=4)
        d.note(axes, first if first == last else f"{first}–{last}", at, (0, 13), fontsize=8, ha="center")
    d.row_names(axes, windows)
    axes.set_ylim(len(windows) - 0.4, -0.8)
    axes.grid(visible=False, axis="y")
    axes.set_xlim(left=0)
    axes.set_xlabel(f"{unit} since the beginning")
    d.bar_key(axes)
    return figure


def _marks(happenings: Sequence[Happening], windows: Sequence[str]) -> list[tuple[str, str, Happening]]:
    """First and last number of steps of one month that stand so close that they share a mark, and the first of them."""
    near = _NEAR * max(each.began for each in happenings)
    marks: list[tuple[str, str, Happening]] = []
    for number, each in enumerate(happenings, 1):
        if each.month not in windows:
            continue
        first, _, before = marks[-1] if marks else ("", "", None)
        if before is not None and before.month == each.month and each.began - before.began < near:
            marks[-1] = (first, str(number), before)
        else:
            marks.append((str(number), str(number), each))
    return marks


def stage_of_asset(asset: str) -> str | None:
    """What the page calls an asset; None for what it does not show."""
    return _STAGES.get(asset) or _STAGES.get(asset.partition("/")[0])


@d.styled
def months_by_stage(made: pl.DataFrame, compared: pl.DataFrame, months: Sequence[str]) -> Figure:
    """Stages by months: how many runs made it, green where both years end with the same, red where they differ.

    Args:
        made: `asset`, `window`, `runs`.
        compared: `month`, `asset`, `same`.
        months: the columns.
    """
    counts = _most(made.select(pl.col("asset"), month="window", value="runs"))
    equal = _least(compared.select("asset", "month", value=pl.col("same").cast(pl.Int64)))
    stages = [stage for stage in dict.fromkeys(_STAGES.values()) if any(key[0] == stage for key in equal)]
    figure, axes = d.canvas(d.WIDE, 0.7 + 0.36 * len(stages))
    for row, stage in enumerate(stages):
        for column, month in enumerate(months):
            same = equal.get((stage, month))
            colour = d.TRACK if same is None else d.LINES[2] if same else d.LINES[1]
            runs = counts.get((stage, month), 0)
            strength = 0.25 + 0.2 * min(runs, 4)
            axes.add_patch(
                Rectangle(
                    (column - 0.47, row - 0.42), 0.94, 0.84, facecolor=colour, alpha=min(strength, 1.0), lw=0
                )
            )
            text = "" if same is None else f"{runs}" if same else f"{runs}, differs"
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                fontsize=9,
                weight="bold" if runs > 1 else "normal",
            )
    d.row_names(axes, stages)
    axes.set_xticks(np.arange(len(months)), months)
    axes.set_xlim(-0.5, len(months) - 0.5)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="x", length=0)
    return figure


def _most(rows: pl.DataFrame) -> Mapping[tuple[str, str], int]:
    return _by_stage(rows, pl.col("value").max())


def _least(rows: pl.DataFrame) -> Mapping[tuple[str, str], int]:
    return _by_stage(rows, pl.col("value").min())


def _by_stage(rows: pl.DataFrame, chosen: pl.Expr) -> Mapping[tuple[str, str], int]:
    """(stage, month) -> one value of its assets."""
    stages = rows["asset"].map_elements(stage_of_asset, return_dtype=pl.String)
    grouped = rows.with_columns(stage=stages).drop_nulls("stage").group_by("stage", "month").agg(chosen)
    return {(stage, month): int(value) for stage, month, value in grouped.iter_rows()}


def _unit(longest: float) -> tuple[str, float]:
    """Minutes or hours, and their seconds."""
    return ("hours", 3600.0) if longest > 3 * 3600 else ("minutes", 60.0)


def _outcome_words(outcome: str) -> str:
    return {"done": "run", "ended early": "run that ended early", "gone on": "started again by the daemon"}[
        outcome
    ]
