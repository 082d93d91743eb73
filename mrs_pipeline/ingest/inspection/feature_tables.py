"""Which files are ready features, told by their contents: one row an item, numbers throughout, wide or with fractions.

A name never makes a file a feature set; it only says of which modality one is, where it is nothing but the name of a
modality (`audio_features.csv`, `image_feat.npy`). Reading them is `matrices`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mrs_pipeline.ingest import values
from mrs_pipeline.ingest.datafile import ROW, DataFile
from mrs_pipeline.ingest.inspection.columns import item_columns_of
from mrs_pipeline.ingest.packing import data_stem
from mrs_pipeline.ingest.sql import first_row, quoted_name

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SAMPLE: Final = 1000
_NEARLY: Final = 0.9
"""Share of a sample's cells that are numbers from which a table can be features with holes."""
_WIDE: Final = 8
"""Whole numbers are features from this many columns on; fewer are counts, years or identifiers."""
_ENDINGS: Final = ("_features", "_feature", "_feats", "_feat", "_embeddings", "_embedding", "_emb")
_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("image", "images", "img", "visual"), "image"),
    **dict.fromkeys(("text", "txt", "textual"), "text"),
    **dict.fromkeys(("audio", "acoustic", "sound"), "audio"),
    "video": "video",
}


@dataclass(frozen=True)
class Judgement:
    """What a table of numbers is.

    Attributes:
        column: the one with the item.
        features: whether it can be read as features as it stands.
        finding: what to tell people where it cannot; None for a table of something else.
    """

    column: str
    features: bool
    finding: str | None = None


def judge(con: "DuckDBPyConnection", file: DataFile, item_column: str) -> Judgement | None:
    """Whether a table is features; None where it is not even numbers about items. `items.*` is the catalogue."""
    named = item_columns_of(file.columns, item_column)
    if data_stem(file.path) == "items" or len(named) != 1 or len(file.columns) < 3:
        return None
    columns = [column for column in file.columns if column != named[0]]
    numbers = [values.number(column, file.columns[column]) for column in columns]
    cells = [value.sql for value in numbers if value is not None]
    if len(cells) < len(columns):
        return None
    total = " + ".join(f"count({cell})" for cell in cells)
    with file.reading():
        rows, filled = first_row(
            con, f"SELECT count(*), {total} FROM ({file.scan_sql()}) WHERE {ROW} <= {_SAMPLE}"
        )
    if rows == 0 or filled < _NEARLY * rows * len(columns):
        return None
    return _judged(con, file, named[0], columns, cells)


def _judged(
    con: "DuckDBPyConnection", file: DataFile, item_column: str, columns: Sequence[str], cells: Sequence[str]
) -> Judgement:
    fractions = " OR ".join(f"({cell}) <> trunc({cell})" for cell in cells)
    holes = " + ".join(f"(({cell}) IS NULL)::INT" for cell in cells)
    places = ", ".join(f"({cell}) IS NULL" for cell in cells)
    item = quoted_name(item_column)
    with file.reading():
        rows, items, fractional, empty, hole, place = first_row(
            con,
            f"SELECT count(*), count(DISTINCT {item}), coalesce(bool_or({fractions}), false), sum({holes}), "
            f"min({ROW}) FILTER ({holes} > 0), arg_min(list_position([{places}], true), {ROW}) FILTER ({holes} > 0) "
            f"FROM ({file.scan_sql()})",
        )
    if items < rows:
        return Judgement(item_column, features=False)
    if not fractional and len(columns) < _WIDE:
        return Judgement(
            item_column,
            False,
            f"{file.name} holds whole numbers ({', '.join(columns)}), which are no features",
        )
    if empty:
        count = "1 empty cell" if empty == 1 else f"{empty:,} empty cells"
        where = file.place(hole).removeprefix(f"{file.name}, ")
        return Judgement(
            item_column,
            False,
            f"{file.name} looks like features but has {count} ({where}, column {columns[place - 1]}"
            f"{', first' if empty > 1 else ''}); put numbers there or remove the lines to use it",
        )
    return Judgement(item_column, features=True)


def matrix_name(file: str) -> str:
    """What the settings call a file of features: its stem in lower case without `_features` and the like."""
    stem = data_stem(Path(file))
    for ending in _ENDINGS:
        stem = stem.removesuffix(ending)
    return stem


def named_modality(file: str) -> str | None:
    """The modality that a file of features is called, where its whole name says nothing else."""
    return _NAMES.get(matrix_name(file).lower())
