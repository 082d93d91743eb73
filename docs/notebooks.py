"""Runs the notebooks and writes them with what came out: `docs/notebooks/NAME.py` becomes `NAME.md`, by `make docs`.

A notebook is a Python file in cells, as editors know them: `# %%` opens a cell of code, `# %% [markdown]` one of text
in comments. What a cell prints, and the value of its last line, stand below it.
"""

import ast
import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

FOLDER = Path(__file__).parent / "notebooks"
_CELL = re.compile(r"^# %%(?P<text> \[markdown\])?\n", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """One cell: text, or code."""

    source: str
    text: bool


def cells(source: str) -> Iterator[Cell]:
    """The cells of a file, in order."""
    marks = list(_CELL.finditer(source))
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        body = source[mark.end() : following.start() if following else None].strip("\n")
        if mark["text"]:
            yield Cell(
                "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.splitlines()), text=True
            )
        else:
            yield Cell(body, text=False)


def run(source: str) -> Iterator[tuple[Cell, str]]:
    """The cells with what came out of them, run one after the other; an error of a cell ends it."""
    names: dict[str, Any] = {}
    with pl.Config(
        tbl_formatting="ASCII_MARKDOWN", tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True
    ):
        for cell in cells(source):
            yield cell, "" if cell.text else _output(cell.source, names)


def _output(source: str, names: dict[str, Any]) -> str:
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)  # noqa: S102 - our own notebooks
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)  # noqa: S307
            if value is not None:
                printed.write(f"{value}\n")
    return printed.getvalue().rstrip()


def page(path: Path) -> str:
    """A notebook as Markdown."""
    parts = [f"<!-- Made by `make docs` from {path.name}, which is what to edit. -->"]
    for cell, output in run(path.read_text(encoding="utf-8")):
        parts.append(cell.source if cell.text else f"```python\n{cell.source}\n```")
        if output:
            parts.append(output if output.startswith("| ") else f"```text\n{output}\n```")
    return "\n\n".join(parts) + "\n"


def write_pages() -> None:
    """Run all notebooks and write their pages."""
    for path in sorted(FOLDER.glob("*.py")):
        path.with_suffix(".md").write_text(page(path), encoding="utf-8")
