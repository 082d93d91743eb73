"""Digests: the names under which contents are compared. Hexadecimal SHA-256 throughout.

Pure functions of bytes, arrays, tables and texts; digests of code are `mrs_pipeline.code`. What a digest is compared
with, and what a difference means, belongs to `provenance`.
"""

import hashlib
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from mrs_pipeline.storage.sql import identifier

_CHUNK_BYTES = 1 << 24


def file_digest(path: Path | str) -> str:
    """Digest of a file's bytes, read in chunks."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_digest(*parts: str) -> str:
    """Digest of a sequence of texts; where one part ends and the next begins counts."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(f"{len(encoded)}:".encode() + encoded)
    return digest.hexdigest()


def array_digest(*arrays: npt.NDArray[np.generic]) -> str:
    """Digest of arrays of numbers by type, shape and values; memory maps are read in chunks of rows."""
    digest = hashlib.sha256()
    for array in arrays:
        if array.dtype.hasobject:
            raise TypeError("arrays of Python objects have no stable digest")
        digest.update(f"{array.dtype.str}{array.shape};".encode())
        rows = np.atleast_1d(array)
        step = max(1, _CHUNK_BYTES // max(1, rows[:1].nbytes))
        for start in range(0, len(rows), step):
            digest.update(np.ascontiguousarray(rows[start : start + step]).tobytes())
    return digest.hexdigest()


def rows_digest(con: duckdb.DuckDBPyConnection, relation: str) -> str:
    """Digest of a table's columns, types and rows, whatever the order of the rows.

    Each row becomes a length-prefixed text, each text an MD5; the sums of both halves over all rows make a
    digest of the multiset. MD5 and casts to text are fixed, unlike DuckDB's `hash`, which may change between
    versions.

    Args:
        con: connection that knows `relation`.
        relation: quoted name of a table or view.
    """
    described = con.execute(f"DESCRIBE {relation}").fetchall()
    columns = [(str(name), str(kind)) for name, kind, *_ in described]
    row = ", ".join(_field_text(name) for name, _ in columns)
    lower, upper = "CAST(md5 >> 64 AS UBIGINT)", f"CAST(md5 & {2**64 - 1} AS UBIGINT)"
    counted = con.execute(
        f"SELECT count(*), coalesce(sum({lower}), 0), coalesce(sum({upper}), 0) "
        f"FROM (SELECT md5_number(concat({row})) AS md5 FROM {relation})"
    ).fetchall()[0]  # all rows: an unfinished result keeps a connection busy
    return text_digest(*(part for column in columns for part in column), *(str(number) for number in counted))


def _field_text(column: str) -> str:
    text = f"CAST({identifier(column)} AS VARCHAR)"
    return f"coalesce(length({text}) || ':' || {text}, '-')"
