"""Ready-made feature matrices of a source: read, checked, with the item of each row.

Here: npy files and tables of numbers as they come. Not here: lining rows up with the catalogue, computing
features from content, storing matrices for the models (`encoders`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import values
from mrs_pipeline.ingest.datafile import ROW, DataFile, open_data_file
from mrs_pipeline.ingest.ids import IdOptions
from mrs_pipeline.ingest.items import read_ids
from mrs_pipeline.ingest.sql import first_row, in_short, quoted_name

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BLOCK = 4096
"""Rows looked at together; bounds the memory of the finiteness check."""


@dataclass(frozen=True)
class MatrixFile:
    """A ready matrix that lies in the source.

    Attributes:
        name: as the settings call it.
        path: the file.
        ids: file with the item id of each row, for `.npy` files that have one.
        order: gives the item id of each row, for layouts that state it otherwise.
    """

    name: str
    path: Path
    ids: Path | None = None
    order: Callable[[], Sequence[str]] | None = None


@dataclass(frozen=True)
class SourceMatrix:
    """A matrix as read.

    Attributes:
        name: as the settings call it.
        values: [R, F] floating point; a memory map for `.npy`.
        item_ids: [R] the item of each row.
    """

    name: str
    values: npt.NDArray[np.floating]
    item_ids: tuple[str, ...]


def read_matrix(
    con: "DuckDBPyConnection",
    root: Path,
    matrix: MatrixFile,
    row_order: Callable[[], tuple[str, Sequence[str]]],
    id_column: str,
    *,
    ids: IdOptions,
    encoding: str | None = None,
) -> SourceMatrix:
    """Read and check a matrix.

    Args:
        con: any connection.
        root: the source's root, for names in messages.
        matrix: which one.
        row_order: for an `.npy` without ids: what fixes its rows (for messages), and the item of each.
        id_column: column that holds the item id in a table of features.
        ids: which spellings of an id mean the same.
        encoding: of tables that are not UTF-8.

    Raises:
        InputError: unreadable, wrong number of rows, an item twice, or a value that is not finite.
    """
    name = _name(root, matrix.path)
    if matrix.path.suffix.lower() != ".npy":
        return _read_table(
            con, open_data_file(con, root, matrix.path, encoding=encoding), matrix, id_column, ids
        )
    array = _load_npy(matrix.path, name)
    if matrix.order is not None:
        orderer, item_ids = "its layout", matrix.order()
    elif matrix.ids is None:
        orderer, item_ids = row_order()
    else:
        file = open_data_file(con, root, matrix.ids, encoding=encoding)
        column = id_column if id_column in file.columns else next(iter(file.columns))
        orderer, item_ids = file.name, read_ids(con, file, column, ids)
    _require_rows(name, len(array), orderer, item_ids)
    _require_finite(name, array)
    return SourceMatrix(matrix.name, array, tuple(item_ids))


def _load_npy(path: Path, name: str) -> npt.NDArray[np.floating]:
    """A memory-mapped matrix [R, F]; InputError for anything else than a two-dimensional array of numbers."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError, OverflowError, MemoryError) as error:
        reason = in_short(str(error).partition(": <")[0])
        raise InputError(
            f"{name} is not a readable .npy matrix ({reason}); save it again with numpy.save"
        ) from error
    if (
        not isinstance(array, np.ndarray)
        or array.ndim != 2
        or array.dtype.kind not in "fiu"
        or array.shape[1] == 0
    ):
        found = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else "an archive"
        raise InputError(
            f"{name} holds {found}; a feature matrix has one row an item and one column a number"
        )
    return array


def _read_table(
    con: "DuckDBPyConnection", file: DataFile, matrix: MatrixFile, id_column: str, ids: IdOptions
) -> SourceMatrix:
    columns = [name for name in file.columns if name != id_column]
    if not columns:
        raise InputError(
            f"{file.name} has no columns besides {id_column}; a feature table has one column a number"
        )
    item_ids = read_ids(con, file, id_column, ids)
    _require_numbers(con, file, columns)
    parsed = ", ".join(f"{_number(file, name).sql} AS {quoted_name(name)}" for name in columns)
    with file.reading():
        arrays = con.execute(f"SELECT {parsed} FROM ({file.scan_sql()}) ORDER BY {ROW}").fetchnumpy()
    stacked = np.column_stack([np.asarray(arrays[name], np.float32) for name in columns])
    return SourceMatrix(matrix.name, stacked, tuple(item_ids))


def _number(file: DataFile, column: str) -> values.Value:
    value = values.number(column, file.columns[column])
    if value is None:
        raise InputError(
            f"{file.name}, column {column}: type {file.columns[column]} is not a number; give each number "
            "its own column"
        )
    return value


def _require_numbers(con: "DuckDBPyConnection", file: DataFile, columns: Sequence[str]) -> None:
    """Refuse the first cell that is empty, no number, NaN or infinite."""
    numbers = {name: _number(file, name) for name in columns}
    cells = ", ".join(f"({value.sql}) IS NULL" for value in numbers.values())
    shown = ", ".join(value.shown for value in numbers.values())
    with file.reading():
        bad = first_row(
            con,
            f"SELECT {ROW}, list_position([{cells}], true), [{shown}] FROM ({file.scan_sql()}) "
            f"WHERE list_contains([{cells}], true) ORDER BY {ROW} LIMIT 1",
        )
    if bad:
        row, position, texts = bad
        raise InputError(
            f"{file.place(row)}, column {columns[position - 1]}: '{in_short(texts[position - 1] or '')}' is not "
            "a finite number; correct it or remove the line"
        )


def _require_rows(name: str, found: int, orderer: str, item_ids: Sequence[str]) -> None:
    if found != len(item_ids):
        raise InputError(
            f"{name} has {found:,} rows, but {orderer} lists {len(item_ids):,} items, one row each; "
            "export the matrix again for these items, or name a file with the item of each row under `ids`"
        )


def _require_finite(name: str, values: npt.NDArray[np.floating]) -> None:
    for start in range(0, len(values), _BLOCK):
        finite = np.isfinite(values[start : start + _BLOCK])
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            value = values[start + row, column]
            raise InputError(
                f"{name}, row {start + row} (counted from 0), column {column}: {value} is not a "
                "finite number; export the matrix again without it"
            )


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
