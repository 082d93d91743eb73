"""Netflix Prize: lines `customer,rating,date` below a line `movie:`, in four files or in one a movie."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

import polars as pl
import pyarrow as pa

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench

_BLOCK: Final = 1 << 22
_SCHEMA: Final = pa.schema([(name, pa.string()) for name in ("user_id", "item_id", "rating", "timestamp")])
_MOVIE = re.compile(r"[0-9]+:\s*")


def recognise(contents: Contents) -> str | None:
    """By the names of the ratings, and a first line that opens a movie."""
    files = _ratings(contents)
    return f"{files[0].shown}, first line {files[0].first_line.strip()}" if files else None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """All ratings; probe and qualifying hold none."""
    files = _ratings(contents)
    single = [files] if files[0].name.startswith("training_set/") else [[entry] for entry in files]
    titles = contents.get("movie_titles.csv") or contents.get("movie_titles.txt")
    return Reading(
        interactions=tuple(LayoutTable(tuple(part), partial(_rows, part)) for part in single),
        items=LayoutTable((titles,), partial(_titles, titles)) if titles else None,
        rules={"min_rating": 4},
    )


def _ratings(contents: Contents) -> list[Entry]:
    files = contents.match("combined_data_[1-4].txt") or contents.match("training_set/mv_*.txt", "mv_*.txt")
    return files if files and _MOVIE.fullmatch(files[0].first_line) else []


def _rows(files: list[Entry], bench: Workbench) -> str:
    return f"SELECT * FROM {bench.batches(_SCHEMA, _batches(files))}"


def _batches(files: list[Entry]) -> Iterator[pa.RecordBatch]:
    """A block of lines at a time; the movie that the last block left open goes on in the next."""
    for entry in files:
        movie, rest, lines = None, b"", 0
        with entry.open() as stream:
            while block := stream.read(_BLOCK):
                whole, newline, after = (rest + block).rpartition(b"\n")
                rest = after if newline else rest + block
                if newline:
                    table, movie = _parsed(entry, whole, movie, lines)
                    lines += whole.count(b"\n") + 1
                    yield from table
        if rest.strip():
            table, movie = _parsed(entry, rest, movie, lines)
            yield from table


def _parsed(
    entry: Entry, text: bytes, movie: str | None, before: int
) -> tuple[list[pa.RecordBatch], str | None]:
    """(the ratings of some lines, the movie that is open after them)."""
    line = pl.col("line")
    frame = pl.DataFrame({"line": text.decode("latin-1").replace("\r", "").split("\n")}).with_row_index(
        "number"
    )
    frame = frame.filter(line != "").with_columns(
        item_id=pl.when(line.str.ends_with(":"))
        .then(line.str.strip_suffix(":"))
        .forward_fill()
        .fill_null(pl.lit(movie, pl.String))
    )
    last = frame["item_id"][-1] if frame.height else movie
    rated = frame.filter(~line.str.ends_with(":")).with_columns(
        cells=line.str.split_exact(",", 2).struct.rename_fields(["user_id", "rating", "timestamp"])
    )
    rated = rated.unnest("cells")
    broken = rated.filter(pl.any_horizontal(pl.col("user_id", "item_id", "rating", "timestamp").is_null()))
    if broken.height:
        raise InputError(
            f"{entry.shown}, line {before + broken['number'][0] + 1}: '{broken['line'][0][:40]}' is no "
            "`customer,rating,date` below a line `movie:`; correct it or download the file again"
        )
    table = rated.select(_SCHEMA.names).to_arrow().cast(_SCHEMA)
    return table.to_batches(), last


def _titles(entry: Entry, bench: Workbench) -> str:
    """Titles hold commas that nothing quotes, so lines are cut at the first two."""
    cells = [f"regexp_extract(line, '^([^,]*),([^,]*),(.*)$', {group})" for group in (1, 2, 3)]
    return (
        f"SELECT {cells[0]} AS item_id, {cells[2]} AS title, NULLIF({cells[1]}, 'NULL') AS year "
        f"FROM {bench.lines(entry, legacy=True)}"
    )


LAYOUTS = (
    Layout(
        name="netflix",
        title="Netflix Prize",
        licence="research only; no redistribution, no commercial use",
        where="Kaggle, Netflix Prize data",
        recognise=recognise,
        read=read,
    ),
)
