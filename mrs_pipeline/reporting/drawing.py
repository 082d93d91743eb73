"""Palette, style and small drawing steps of the figures, and the way a figure becomes inline SVG.

Not here: the figures themselves (`plots`), captions and page layout (`html`). Figures are built without
pyplot: no global state, nothing to close. Colours follow Okabe and Ito and stay apart for colour-blind
readers; colour is never the only carrier of a fact.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final, ParamSpec

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from mrs_pipeline.reporting.taxonomy_matrix import AXIS_TITLES
from mrs_pipeline.taxonomy import Axis

PlotValues = npt.NDArray[np.float64]
Drawing = ParamSpec("Drawing")

INK: Final = "#1f2933"
MUTED: Final = "#616e7c"
FAINT: Final = "#cbd2d9"
TRACK: Final = "#e4e7eb"
AXIS_COLOURS: Final = {
    Axis.BASELINE: "#7b8794",
    Axis.INTERACTION: "#0072b2",
    Axis.ENHANCEMENT: "#d55e00",
    Axis.OPTIMISATION: "#009e73",
}
LINES: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHED: Final = (0, (4, 3))
WIDE: Final = 10.4
"""Inches of a figure over the full text width; with 72 units an inch 9-point text is then about 13 pixels."""
HALF: Final = 5.0

THEMED: Final[Mapping[str, str]] = {
    INK: "ink",
    MUTED: "muted",
    FAINT: "faint",
    TRACK: "line",
    "#ffffff": "paper",
    AXIS_COLOURS[Axis.BASELINE]: "baseline",
    **dict(zip(LINES, ("blue", "vermilion", "green", "pink", "amber", "sky"), strict=True)),
}
"""Colour -> the page's variable for it, which is another one in the dark."""

STYLE: Final[dict[Any, Any]] = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib: one layout everywhere, wider than what CSS sets
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "axes.edgecolor": FAINT,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "grid.color": TRACK,
    "grid.linewidth": 0.7,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "mrs_pipeline",
}


@contextmanager
def _style() -> Iterator[None]:
    """The look of every figure; silent about glyphs that only a browser has (names in other scripts)."""
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def styled(draw: Callable[Drawing, Figure]) -> Callable[Drawing, Figure]:
    """Run a figure function under the common style."""

    @wraps(draw)
    def drawn(*args: Drawing.args, **kwargs: Drawing.kwargs) -> Figure:
        with _style():
            return draw(*args, **kwargs)

    return drawn


def svg(figure: Figure, name: str) -> str:
    """The figure as an inline `<svg>` element whose ids start with `name`, so that figures share a page.

    Text stays text (searchable, small); nothing refers outside the element, no date is written.
    """
    buffer = io.StringIO()
    with _style():
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    opening, rest = text.split(">", 1)
    opening = re.sub(r'\s(?:xmlns(?::\w+)?|width|height|version)="[^"]*"', "", opening)
    rest = re.sub(r'(<[^<>]*?\s)id="', rf'\g<1>id="{name}-', rest)
    rest = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", rest)
    rest = re.sub(r"(?<=: )#[0-9a-f]{6}", _themed, rest.replace("xlink:href", "href"))
    return f"{opening}>{rest}".strip()


def _themed(colour: re.Match[str]) -> str:
    name = THEMED.get(colour.group())
    return colour.group() if name is None else f"var(--{name}, {colour.group()})"


def png(figure: Figure) -> bytes:
    """The figure as PNG, for places that show no SVG."""
    buffer = io.BytesIO()
    with _style():
        figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def empty(width: float, height: float) -> Figure:
    """A figure of `width` x `height` inches that lays itself out."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one plot."""
    figure = empty(width, height)
    return figure, figure.add_subplot()


def note(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    offset: tuple[float, float],
    colour: str = INK,
    **more: Any,
) -> Annotation:
    """Text `offset` points away from `at`; allowed to stand outside the axes."""
    settings = {"va": "center", "fontsize": 8.5, "annotation_clip": False, **more}
    return axes.annotate(text, at, offset, textcoords="offset points", color=colour, **settings)


def axis_colours(rows: pl.DataFrame) -> list[str]:
    """The colour of each row's branch of the taxonomy; ink where it is unknown."""
    return [AXIS_COLOURS[Axis(axis)] if axis else INK for axis in rows["axis"]]


def shortened(name: str, limit: int = 30) -> str:
    """The name, cut with an ellipsis where it would squeeze the plot."""
    return name if len(name) <= limit else name[: limit - 1] + "…"


def row_names(axes: Axes, names: Sequence[str]) -> None:
    """Row names on the left, the first on top, without tick marks."""
    axes.set_yticks(np.arange(len(names)), [shortened(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def axis_key(axes: Axes, rows: pl.DataFrame) -> None:
    """The branches of the taxonomy that occur, as coloured words above the plot."""
    kinds = [axis for axis in Axis if axis.value in set(rows["axis"])]
    _key(axes, [(AXIS_TITLES[axis], AXIS_COLOURS[axis]) for axis in kinds], "o")


def bar_key(axes: Axes) -> None:
    """The labels of the bars drawn, as coloured words above the plot."""
    bars = [bar for bar in axes.containers if isinstance(bar, BarContainer)]
    _key(axes, [(str(bar.get_label()), bar.patches[0].get_facecolor()) for bar in bars], "s")


def colour_key(axes: Axes, entries: Sequence[tuple[str, str]], columns: int = 4) -> None:
    """Names in their colours above the plot, so many in a line; nothing where there is but one."""
    if len(entries) > 1:
        _key(axes, entries, "o", columns)


def _key(axes: Axes, entries: Sequence[tuple[str, Any]], marker: str, columns: int = 4) -> None:
    handles = [
        Line2D([], [], marker=marker, linestyle="", color=colour, label=text) for text, colour in entries
    ]
    if handles:
        axes.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=columns, labelcolor="linecolor",
            handletextpad=0.1, columnspacing=1.4, borderaxespad=0.1, fontsize=9,
        )  # fmt: skip


def words_inside(axes: Axes) -> None:
    """The labels of the lines drawn, as coloured words in the upper right corner."""
    legend = axes.legend(
        fontsize=7.5, labelcolor="linecolor", handlelength=0, handletextpad=0, ncols=3, loc="upper right",
        borderaxespad=0, columnspacing=0.8,
    )  # fmt: skip
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_visible(False)


def words_above(axes: Axes) -> None:
    """The labels of the lines drawn, as coloured words between the plot and what stands above it."""
    legend = axes.legend(
        fontsize=7, labelcolor="linecolor", handlelength=0, handletextpad=0, ncols=3, loc="lower left",
        bbox_to_anchor=(0, 1), borderaxespad=0.1, columnspacing=0.8,
    )  # fmt: skip
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_visible(False)


_PLACES: Final = (
    (7, 0, "left"), (-7, 0, "right"), (0, 10, "center"), (0, -10, "center"),
    (7, 9, "left"), (7, -9, "left"), (-7, 9, "right"), (-7, -9, "right"),
)  # fmt: skip


def label_points(axes: Axes, x: PlotValues, y: PlotValues, names: Sequence[str]) -> None:
    """Write each name beside its point where it hits no other name or point, else in the least bad place."""
    axes.get_figure(root=True).draw_without_rendering()  # type: ignore[union-attr]  # a root figure, never a part
    points = axes.transData.transform(np.column_stack([x, y]))
    taken = [Bbox.from_bounds(px - 4, py - 4, 8, 8) for px, py in points]
    backing = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
    for row in np.argsort(-y):
        tried = [
            note(axes, shortened(names[row]), (x[row], y[row]), (dx, dy), ha=side, zorder=2, bbox=backing)
            for dx, dy, side in _PLACES
        ]
        boxes = [text.get_window_extent() for text in tried]
        chosen = int(np.argmin([_hits(box, taken, axes.bbox) for box in boxes]))
        taken.append(boxes[chosen])
        for text in tried[:chosen] + tried[chosen + 1 :]:
            text.remove()


def _hits(box: Bbox, taken: Sequence[Bbox], frame: Any) -> int:
    """How many boxes this one overlaps; leaving the plot sideways is worse than any overlap."""
    outside = box.x0 < frame.x0 or box.x1 > frame.x1
    return sum(bool(box.overlaps(other)) for other in taken) + 1000 * bool(outside)


def spread(heights: Mapping[str, float], axes: Axes) -> dict[str, float]:
    """Heights pushed apart just enough that labels at them do not overlap; their order is kept.

    The mean of pushing all upwards and of pushing all downwards: both keep the gap, so their mean does.
    """
    low, high = axes.get_ylim()
    gap = (high - low) * 0.055
    names = sorted(heights, key=heights.__getitem__)
    wanted = np.array([heights[name] for name in names]) - gap * np.arange(len(names))
    up = np.maximum.accumulate(wanted)
    down = np.minimum.accumulate(wanted[::-1])[::-1]
    return dict(zip(names, (up + down) / 2 + gap * np.arange(len(names)), strict=True))


def cost_axis(axes: Axes, costs: PlotValues, label: str) -> None:
    """The x axis of a cost: linear where the costs are within a factor of four, else logarithmic with ticks 1, 2, 5.

    A logarithmic axis within one decade would have no named tick at all.
    """
    if not len(costs) or costs.max() <= 4 * costs.min():
        axes.set_xlabel(label)
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(short_number))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"{label} (log scale)")


def short_number(value: float, _position: int | None = None) -> str:
    """Tick label: 0.1, 1, 100 instead of powers."""
    return f"{value:g}"


def percent(share: float, _position: int | None = None) -> str:
    """Tick label of a share."""
    return f"{100 * share:.0f} %"


def thousands(value: float, _position: int | None = None) -> str:
    """Tick label of a count."""
    return f"{value:,.0f}"
