"""Which model covers which cell of the survey's taxonomy, as a frame and as plain text. No HTML."""

from collections.abc import Collection, Sequence
from textwrap import wrap

import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.taxonomy import Axis, Cell

AXIS_TITLES = {
    Axis.BASELINE: "Collaborative baseline",
    Axis.INTERACTION: "Feature interaction",
    Axis.ENHANCEMENT: "Feature enhancement",
    Axis.OPTIMISATION: "Model optimisation",
}
"""Axis -> words for people, for models grouped by `axis_of`."""


def as_cell(value: str) -> Cell:
    """The cell of a stored string.

    Raises:
        InputError: no such cell.
    """
    try:
        return Cell(value)
    except ValueError:
        raise InputError(
            f"{value!r} is no cell of the taxonomy ({', '.join(Cell)}); train the run again."
        ) from None


def axis_of(cells: Collection[str]) -> Axis:
    """The one axis a model is grouped under: the last step of the survey's chain that it does specially.

    Optimisation builds on enhancement, that on interaction; a model without cells counts as a baseline.
    """
    axes = {as_cell(cell).axis for cell in cells}
    return next((axis for axis in reversed(Axis) if axis in axes), Axis.BASELINE)


def cell_title(cell: Cell) -> str:
    """The cell without its axis in words: `bridge: user item graph`."""
    return cell.value.partition("/")[2].replace("/", ": ").replace("_", " ")


def taxonomy_matrix(models: Sequence[tuple[str, Collection[str]]]) -> pl.DataFrame:
    """One row a cell of the taxonomy, in its order, also of cells that no model covers.

    Args:
        models: (name, cells) pairs.

    Returns:
        Columns axis, cell, n_models, models (names in the order given).

    Raises:
        InputError: a cell is unknown.
    """
    covered = {name: {as_cell(cell) for cell in cells} for name, cells in models}
    names = [[name for name, cells in covered.items() if cell in cells] for cell in Cell]
    return pl.DataFrame(
        {
            "axis": [cell.axis.value for cell in Cell],
            "cell": [cell.value for cell in Cell],
            "n_models": [len(row) for row in names],
            "models": names,
        },
        schema={"axis": pl.String, "cell": pl.String, "n_models": pl.Int64, "models": pl.List(pl.String)},
    )


def matrix_text(matrix: pl.DataFrame, width: int = 100) -> str:
    """The matrix as aligned plain text, at most `width` characters wide where names allow.

    Args:
        matrix: result of `taxonomy_matrix`.
        width: characters of a line.
    """
    titles = [cell_title(Cell(cell)) for cell in matrix["cell"]]
    indent = max(map(len, titles)) + 8
    lines: list[str] = []
    axis = ""
    for title, row in zip(titles, matrix.iter_rows(named=True), strict=True):
        if row["axis"] != axis:
            axis = row["axis"]
            lines += [*([""] if lines else []), axis]
        names = wrap(", ".join(row["models"]) or "none", max(width - indent, 20), break_on_hyphens=False)
        lines.append(f"  {title:<{indent - 8}}  {row['n_models']:>2}  {names[0]}")
        lines += [" " * indent + name for name in names[1:]]
    return "\n".join(lines)
