"""The page of drift: how each window differs from the one before it, a plot a part, with the bounds that warn.

Rows come from `quality.drift`; what the statistics mean is `functional.shift`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mrs_pipeline.reporting import drawing as d
from mrs_pipeline.reporting import sections
from mrs_pipeline.reporting.html import Plot, inline_plot, render
from mrs_pipeline.reporting.inputs import PageLinks

MOST_NAMED: Final = len(d.LINES)
"""Lines of a plot that have a colour and a name; the others are drawn faint."""
_KEY_COLUMNS: Final = 4
"""Names in a line above a plot, at most."""
_KEY_LETTERS: Final = 100
"""Letters that fit into a line above a plot as wide as the page; a mark takes as much as five."""
STATISTIC_WORDS: Final = {
    "psi": "population stability index",
    "ks": "largest Kolmogorov-Smirnov distance",
    "cosine": "cosine of the mean vectors",
    "overlap": "share of a list that stays",
    "share": "share that is new",
}
_PARTS: Final = {
    "interactions": (
        "Interactions",
        "How active users and items are, and how many of them no earlier window had. New ones have no bound: a shop "
        "that grows has many. A population stability index below 0.1 is commonly read as no change, above 0.25 as a "
        "large one.",
    ),
    "catalogue": ("Catalogue", "Attributes of what was taken, an event each."),
    "features": (
        "Features",
        "Vectors of the items that were taken. A distance of 0 means the same values in every dimension, 1 that one "
        "has none in common; a cosine of 1 means that the mean has not turned. A cosine warns below its bound, a "
        "distance above it.",
    ),
    "recommendations": (
        "Recommendations",
        "Lists of the same users, and how popular what is listed is. The share that stays warns below its bound.",
    ),
}
_READING: Final = (
    "The dashed line is the bound. A filled mark lies beyond it and beyond what chance reaches in one of a hundred "
    "cases; a hollow one does not."
)
_LOW_IS_BAD: Final = frozenset({"cosine", "overlap"})
_SHOWN: Final = ("window", "part", "about", "statistic", "value", "bound", "chance", "n_before", "n_now")


@dataclass(frozen=True)
class DriftPageInputs:
    """What the page shows.

    Attributes:
        dataset: its name.
        generated: when, for people.
        rows: `quality.drift` of all windows, with the column `window`.
        links: to other pages.
    """

    dataset: str
    generated: str
    rows: pl.DataFrame
    links: PageLinks = field(default_factory=PageLinks)


def drift_page(inputs: DriftPageInputs) -> str:
    """The page as HTML text."""
    drifted = inputs.rows.filter("drifted").sort("window", "part", "about", descending=[True, False, False])
    return render(
        "drift_page.html.j2",
        inputs=inputs,
        answer=drift_in_words(inputs.rows),
        plots=[_part_plot(part, inputs.rows) for part in _PARTS if len(inputs.rows.filter(part=part))],
        table=sections.plain_table(drifted.select(_SHOWN)) if len(drifted) else None,
    )


def drift_in_words(rows: pl.DataFrame) -> str:
    """What of the last window is beyond its bounds.

    >>> drift_in_words(pl.DataFrame({"window": ["1"], "about": ["genre"], "drifted": [True]}))
    'Window 1 differs from the one before it in 1 of 1 comparisons: genre.'
    """
    if rows.is_empty():
        return "No window has another before it to be compared with, or too few rows."
    last = rows.filter(pl.col("window") == pl.col("window").max())
    window, drifted = last["window"][0], last.filter("drifted")["about"].unique(maintain_order=True).to_list()
    if not drifted:
        return (
            f"Window {window} is like the one before it: {last.height} comparisons, all within their bounds."
        )
    return (
        f"Window {window} differs from the one before it in {last.filter('drifted').height} of {last.height} "
        f"comparisons: {', '.join(drifted)}."
    )


@d.styled
def drift_plot(rows: pl.DataFrame) -> Figure:
    """One part over the windows: a panel a statistic, a line a thing that is compared.

    Args:
        rows: `quality.drift` of one part, with the column `window`.
    """
    statistics = [name for name in STATISTIC_WORDS if name in set(rows["statistic"])]
    windows = sorted(rows["window"].unique())
    figure = d.empty(d.WIDE, 3.4)
    for axes, statistic in zip(
        figure.subplots(1, len(statistics), squeeze=False)[0], statistics, strict=True
    ):
        colours = _panel(axes, rows.filter(statistic=statistic), windows)
        columns = key_columns([*map(_shown_name, colours)], len(statistics))
        lines = -(-len(colours) // columns) if len(colours) > 1 else 0
        axes.set_title(STATISTIC_WORDS[statistic], pad=6 + 14 * lines)
        _names(axes, colours, columns)
    return figure


def key_columns(names: Sequence[str], panels: int) -> int:
    """How many names stand side by side above one of so many panels.

    >>> key_columns(["ease", "most_pop"], 2), key_columns(["image_color_gradient"] * 4, 2)
    (3, 2)
    """
    longest = max(map(len, names), default=0)
    return max(1, min(_KEY_COLUMNS, _KEY_LETTERS // panels // (longest + 5)))


def _panel(axes: Axes, rows: pl.DataFrame, windows: Sequence[str]) -> dict[str, str]:
    """Draws one statistic; the names that have a colour of their own."""
    statistic = rows["statistic"][0]
    place = {window: at for at, window in enumerate(windows)}
    order = rows.group_by("about", maintain_order=True).agg(
        pl.col("drifted").sum(),
        extreme=pl.col("value").min() if statistic in _LOW_IS_BAD else -pl.col("value").max(),
    )
    named = order.sort("drifted", "extreme", descending=[True, False])["about"].head(MOST_NAMED).to_list()
    colours = dict(zip(sorted(named), d.LINES, strict=False))
    for about, line in rows.sort("window").group_by("about", maintain_order=True):
        colour = colours.get(str(about[0]), d.FAINT)
        x = np.array([place[window] for window in line["window"]])
        y = line["value"].to_numpy()
        beyond = line["drifted"].to_numpy()
        axes.plot(x, y, "-", color=colour, lw=1.6, zorder=2 if about[0] in colours else 1)
        axes.plot(x[~beyond], y[~beyond], "o", ms=4, mfc="none", color=colour, zorder=3)
        axes.plot(x[beyond], y[beyond], "o", ms=7, color=colour, zorder=4)
    bounds = rows["bound"].drop_nulls()
    if len(bounds):
        axes.axhline(float(bounds[-1]), linestyle=d.DASHED, color=d.INK, lw=1)
        d.note(
            axes,
            f"bound {bounds[-1]:g}",
            (len(windows) - 0.6, float(bounds[-1])),
            (0, 6),
            ha="right",
            fontsize=7.5,
        )
    axes.set_xticks(*_ticks(windows))
    axes.set_xlim(-0.4, len(windows) - 0.6)
    axes.set_ylim(bottom=min(0.0, float(rows["value"].min())))  # type: ignore[arg-type]
    top = max(float(rows["value"].max()), float(bounds.max()) if len(bounds) else 0.0)  # type: ignore[arg-type]
    axes.set_ylim(top=1.12 * top if top > 0 else 1.0)
    return colours


def _names(axes: Axes, colours: Mapping[str, str], columns: int) -> None:
    """Names in their colours between plot and title; nothing where there is but one."""
    d.colour_key(axes, [(_shown_name(name), colour) for name, colour in colours.items()], columns)
    key = axes.get_legend()
    if key is not None:
        key.set_in_layout(False)  # long names shall not squeeze the plot; the title leaves them their lines


def _shown_name(about: str) -> str:
    """What is compared, short enough for a key."""
    return d.shortened(about.removeprefix("popularity of what ").removesuffix(" lists"), 22)


def _ticks(windows: Sequence[str], most: int = 8) -> tuple[list[int], list[str]]:
    """At most so many windows named, the last among them."""
    step = -(-len(windows) // most)
    places = list(range(len(windows) - 1, -1, -step))[::-1]
    return places, [windows[place] for place in places]


def _part_plot(part: str, rows: pl.DataFrame) -> Plot:
    title, caption = _PARTS[part]
    return inline_plot(drift_plot(rows.filter(part=part)), f"drift-{part}", title, f"{caption} {_READING}")
