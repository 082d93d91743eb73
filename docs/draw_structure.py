"""Draws docs/images/structure_before.png and structure_after.png from the imports: `python docs/draw_structure.py`.

A room is a top-level module or package of `mrs_pipeline`. Its layer is the longest way down from it through imports,
so that every arrow points down; rooms that no other imports stand at the top. An arrow that other arrows imply (A to B
to C implies A to C) is left out. Imports that only type checkers read do not count, imports inside functions do.

`python docs/draw_structure.py REVISION FILE.png` draws any other revision. It needs a clone with its history, grimp
(which import-linter brings), networkx (which torch brings) and matplotlib.
"""

import importlib
import io
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import grimp
import networkx as nx
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

PACKAGE = "mrs_pipeline"
ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
BEFORE = "a6fc900"
KINDS = {
    "imports Dagster": ("#f4c7a1", {"dagster", "dagster_pandas"}),
    "imports torch": ("#c9d8ee", {"torch"}),
    "imports DuckDB or Polars": ("#cfe3c8", {"duckdb", "polars"}),
    "none of these": ("#eeeeee", set[str]()),
}
"""What a colour says: the first line that fits a room."""
BOX_HEIGHT, LAYER_HEIGHT, GAP, LETTER = 0.62, 1.25, 0.35, 0.092
"""In inches."""
LINE = {"color": "#8a8a8a", "linewidth": 0.8, "zorder": 2}


@dataclass(frozen=True)
class Room:
    """One box."""

    name: str
    files: int
    lines: int
    kind: str

    @property
    def label(self) -> str:
        """Two short lines."""
        return (
            f"{self.name}\n{self.files} files, {self.lines:,} lines"
            if self.files > 1
            else f"{self.name}\n{self.lines:,} lines"
        )

    @property
    def width(self) -> float:
        """In inches, from its longer line."""
        return 0.2 + LETTER * max(map(len, self.label.splitlines()))


def structure(folder: Path) -> tuple[dict[str, Room], "nx.DiGraph[str]"]:
    """The rooms of the package in `folder`, and who imports whom."""
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        found = grimp.build_graph(
            PACKAGE, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
        )
    finally:
        sys.path.remove(str(folder))
    rooms: dict[str, list[Path]] = {}
    outside: dict[str, set[str]] = {}
    imports: nx.DiGraph[str] = nx.DiGraph()
    for module in sorted(found.modules):
        if not _inside(module) or module == PACKAGE:
            continue
        room = _room(module)
        rooms.setdefault(room, []).append(_file(folder, module))
        imports.add_node(room)
        for other in sorted(found.find_modules_directly_imported_by(module)):
            if not _inside(other):
                outside.setdefault(room, set()).add(other)
            elif other != PACKAGE and _room(other) != room:
                imports.add_edge(room, _room(other))
    described = {
        name: Room(
            name,
            len(files),
            sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files),
            next(kind for kind, (_, names) in KINDS.items() if not names or names & outside.get(name, set())),
        )
        for name, files in rooms.items()
    }
    return described, imports


def layers_of(imports: "nx.DiGraph[str]") -> list[list[str]]:
    """Rooms by layer, from the ground up.

    Rooms that import one another in a circle share a layer; those that nobody imports are on the top one.
    """
    circles = nx.condensation(imports)
    height: dict[int, int] = {}
    for circle in reversed(list(nx.topological_sort(circles))):
        height[circle] = 1 + max((height[below] for below in circles.successors(circle)), default=-1)
    top = max(height.values())
    layers: list[list[str]] = [[] for _ in range(top + 1)]
    for circle, level in height.items():
        layers[level if circles.in_degree(circle) else top] += circles.nodes[circle]["members"]
    return [sorted(layer) for layer in layers]


def drawn_arrows(imports: "nx.DiGraph[str]") -> "nx.DiGraph[str]":
    """The arrows that others do not imply, and those of circles."""
    circles = nx.condensation(imports)
    place = circles.graph["mapping"]
    kept = set(nx.transitive_reduction(circles).edges)
    arrows: nx.DiGraph[str] = nx.DiGraph()
    seen = set()
    for one, other in sorted(imports.edges):
        between = place[one], place[other]
        if between[0] == between[1] or (between in kept and between not in seen):
            seen.add(between)
            arrows.add_edge(one, other)
    return arrows


def routed(arrows: "nx.DiGraph[str]", layers: list[list[str]]) -> tuple["nx.DiGraph[str]", list[list[str]]]:
    """Arrows cut at every layer that they pass, and the layers with the bends, named `ROOM@LAYER`, among the rooms.

    Arrows into one room share its bends, so that they run together and around the boxes.
    """
    level = {name: number for number, layer in enumerate(layers) for name in layer}
    parts: nx.DiGraph[str] = nx.DiGraph()
    for one, other in arrows.edges:
        bends = [f"{other}@{between}" for between in range(level[one] - 1, level[other], -1)]
        nx.add_path(parts, [one, *bends, other])
    bent: list[list[str]] = [list(layer) for layer in layers]
    for name in sorted(set(parts.nodes) - set(level)):
        bent[int(name.partition("@")[2])].append(name)
    return parts, bent


def positions(
    layers: list[list[str]], rooms: dict[str, Room], arrows: "nx.DiGraph[str]"
) -> dict[str, tuple[float, float]]:
    """Centre of each room and bend; each stands near those that it shares arrows with."""
    order = [list(layer) for layer in layers]
    centres: dict[str, float] = {}
    for layer in order:
        _spread(layer, rooms, centres)
    for _ in range(30):
        for layer in (*order, *reversed(order)):
            layer.sort(key=lambda name: (_mean(name, centres, arrows), name))
            _spread(layer, rooms, centres)
    return {
        name: (centres[name], level * LAYER_HEIGHT) for level, layer in enumerate(order) for name in layer
    }


def draw(folder: Path, title: str, target: Path) -> None:
    """Write the picture of the package in `folder`."""
    rooms, imports = structure(folder)
    arrows, layers = routed(drawn_arrows(imports), layers_of(imports))
    centres = positions(layers, rooms, arrows)
    right = max(abs(x) + _width(name, rooms) / 2 for name, (x, _) in centres.items()) + 0.4
    top = (len(layers) - 1) * LAYER_HEIGHT + BOX_HEIGHT / 2 + 0.8
    figure = Figure(figsize=(2 * right, top + 1.1), dpi=90)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-right, right), ylim=(-1.1, top), aspect="equal")
    axes.axis("off")
    for level in range(0, len(layers), 2):
        axes.axhspan((level - 0.5) * LAYER_HEIGHT, (level + 0.5) * LAYER_HEIGHT, color="#f8f8f8", zorder=0)
    for one, other in arrows.edges:
        _arrow(axes, centres[one], centres[other], arrives="@" not in other)
    for name, (x, y) in centres.items():
        if name in rooms:
            room = rooms[name]
            _box(axes, (x - room.width / 2, y - BOX_HEIGHT / 2), room.width, BOX_HEIGHT, KINDS[room.kind][0])
            axes.text(x, y, room.label, ha="center", va="center", fontsize=10.5, linespacing=1.25, zorder=4)
        else:
            axes.plot([x, x], [y - BOX_HEIGHT / 2, y + BOX_HEIGHT / 2], **LINE)
    total = sum(room.lines for room in rooms.values())
    words = f"{title}: {len(rooms)} rooms, {total:,} lines, {imports.number_of_edges()} imports between rooms"
    axes.text(-right + 0.3, top - 0.3, words, fontsize=14, va="center", weight="bold")
    for place, (kind, (colour, _)) in enumerate(KINDS.items()):
        left = -right + 0.3 + place * 2.9
        _box(axes, (left, -0.95), 0.3, 0.2, colour)
        axes.text(left + 0.42, -0.85, kind, va="center", fontsize=10.5)
    figure.savefig(target, metadata={"Software": None})


def main() -> None:
    """Draw the two pictures of docs/architecture.md, or the one that is asked for."""
    if len(sys.argv) == 3:
        _draw_revision(sys.argv[1], sys.argv[1], Path(sys.argv[2]))
        return
    _draw_revision(BEFORE, f"Before (commit {BEFORE})", IMAGES / "structure_before.png")
    draw(ROOT, "Now", IMAGES / "structure_after.png")


def _draw_revision(revision: str, title: str, target: Path) -> None:
    command = ["git", "archive", "--format=tar", revision, PACKAGE]
    packed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout  # noqa: S603 - git, and a revision
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        draw(Path(folder), title, target)


def _inside(module: str) -> bool:
    return module.partition(".")[0] == PACKAGE


def _room(module: str) -> str:
    return module.split(".")[1]


def _file(folder: Path, module: str) -> Path:
    path = folder.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _width(name: str, rooms: dict[str, Room]) -> float:
    return rooms[name].width if name in rooms else 0.0


def _spread(layer: list[str], rooms: dict[str, Room], centres: dict[str, float]) -> None:
    """Put the rooms and bends of a layer side by side, centred, in their order."""
    left = -sum(_width(name, rooms) + GAP for name in layer) / 2
    for name in layer:
        centres[name] = left + (_width(name, rooms) + GAP) / 2
        left += _width(name, rooms) + GAP


def _mean(name: str, centres: dict[str, float], arrows: "nx.DiGraph[str]") -> float:
    if name not in arrows:
        return centres[name]
    near = [centres[other] for other in (*arrows.successors(name), *arrows.predecessors(name))]
    return sum(near) / len(near)


def _box(axes: Axes, corner: tuple[float, float], width: float, height: float, colour: str) -> None:
    style = "round,pad=0,rounding_size=0.08"
    axes.add_patch(
        FancyBboxPatch(
            corner, width, height, style, facecolor=colour, edgecolor="#555555", linewidth=0.8, zorder=3
        )
    )


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], *, arrives: bool) -> None:
    """From below one to above the other; straight through the same height where the two import one another."""
    half = BOX_HEIGHT / 2 if start[1] > end[1] else 0.0
    style = "-|>" if arrives else "-"
    ends = (start[0], start[1] - half), (end[0], end[1] + half)
    axes.add_patch(FancyArrowPatch(*ends, arrowstyle=style, mutation_scale=9, shrinkA=0, shrinkB=0, **LINE))


if __name__ == "__main__":
    main()
