"""The champions of a dataset over its windows, and what was promoted, refused and rolled back."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mrs_pipeline.evaluation.options import COMPARED
from mrs_pipeline.reporting import drawing as d
from mrs_pipeline.reporting.leaderboard import POPULARITY_MODEL

_MARKS: Final = {"promoted": "^", "refused": "x", "rolled back": "v"}


def served_in(log: pl.DataFrame, windows: Sequence[str]) -> dict[str, str]:
    """Window -> the champion from that window on, once all decisions have been made; earlier windows have none.

    Args:
        log: rows of `serving.promotions`.
        windows: in order.
    """
    served: dict[str, str] = {}
    before: list[dict[str, str]] = []
    for row in log.sort("decision").iter_rows(named=True):
        if row["outcome"] == "promoted":
            before.append(dict(served))
            served |= {window: row["model"] for window in windows if window >= row["window"]}
        elif row["outcome"] == "rolled back":
            served = before.pop()
    return served


@d.styled
def champion_history(board: pl.DataFrame, log: pl.DataFrame) -> Figure:
    """The champion's accuracy over windows between the best model's and that of popularity.

    Args:
        board: leaderboard rows of one protocol, several windows; a model's value is that of its training there.
        log: rows of `serving.promotions`.
    """
    metric = COMPARED[0]
    rows = board.filter(~pl.col("stale"))
    windows = sorted(rows["window"].unique())
    places = np.arange(len(windows))
    values = {(row["window"], row["model"]): row[metric] for row in rows.iter_rows(named=True)}
    served = served_in(log, windows)
    models = list(dict.fromkeys(log["model"]))
    colours = dict(zip(models, d.LINES, strict=False))
    figure, axes = d.canvas(d.WIDE, 4.0)
    best = [max((v for (w, _), v in values.items() if w == window and v is not None)) for window in windows]
    axes.plot(
        places, best, "-", color=d.FAINT, lw=6, solid_capstyle="round", label="best of the window", zorder=1
    )
    popular = [values.get((window, POPULARITY_MODEL), np.nan) for window in windows]
    axes.plot(places, popular, linestyle=d.DASHED, color=d.MUTED, lw=1.2, label="popularity", zorder=2)
    champion = np.array([values.get((window, served.get(window, "")), np.nan) for window in windows], float)
    axes.plot(places, champion, "-", color=d.INK, lw=2, label="champion", zorder=3)
    for place, window, height in zip(places, windows, champion, strict=True):
        axes.plot(place, height, "o", ms=6, color=colours.get(served.get(window, ""), d.INK), zorder=4)
    _decisions(axes, log, windows, values, colours)
    axes.set_xticks(places, windows)
    axes.set_xlim(-0.5, len(windows) - 0.5)
    axes.set_ylim(bottom=0, top=1.25 * max(best))
    axes.set_ylabel(metric)
    axes.legend(loc="upper right", ncols=3, fontsize=9)
    return figure


def _decisions(
    axes: Axes,
    log: pl.DataFrame,
    windows: Sequence[str],
    values: dict[tuple[str, str], Any],
    colours: dict[str, str],
) -> None:
    """A mark and a word a decision, above the windows that they are about, in their order."""
    stacked: dict[str, int] = {}
    for row in log.sort("decision").iter_rows(named=True):
        window, model = row["window"], row["model"]
        about = row["champion_window"] if row["outcome"] == "rolled back" else window
        if about not in windows:
            continue
        level = stacked[about] = stacked.get(about, 0) + 1
        height = values.get((about, row["champion_model"] if about != window else model))
        if height is None:
            continue
        word = f"{row['outcome']}: {d.shortened(model, 16)}" + (" (forced)" if row["forced"] else "")
        colour = colours.get(model, d.INK)
        at = (windows.index(about), float(height))
        axes.plot(*at, _MARKS[row["outcome"]], ms=9, color=colour, mew=2, zorder=5)
        last = at[0] == len(windows) - 1
        d.note(
            axes,
            word,
            at,
            (-6 if last else 6, 4 + 11 * level),
            colour,
            fontsize=8,
            ha="right" if last else "left",
        )
