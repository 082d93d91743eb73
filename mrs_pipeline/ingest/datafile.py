"""One raw file as a relation: its format, its columns, its rows numbered, and where in it a row stands.

Text formats are read with every column as VARCHAR, so that a value which cannot be converted is found by us,
with its line, and not by a type guess over a sample. What a column means is for `interactions` and `items`.
"""

import codecs
import csv
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.encodings import as_utf8, marked_encoding
from mrs_pipeline.ingest.packing import data_suffix, is_packed, plain
from mrs_pipeline.ingest.sql import first_row, quoted_text
from mrs_pipeline.machine import machine_fault

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FileKind = Literal["csv", "json", "parquet"]

ROW = "__row__"
"""Column of `scan_sql`: the 1-based data row (a header is not counted)."""

_KINDS: dict[str, FileKind] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".inter": "csv",
    ".kg": "csv",
    ".link": "csv",
    ".parquet": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
}
_TABBED = (".tsv", ".inter", ".kg", ".link")
_DELIMITERS = (",", ";", "\t", "|")
_BLOCK = 1 << 20
_TOO_LONG = ("Maximum line size", "maximum_object_size")
_LONGEST_FIELD = 1 << 30


@dataclass(frozen=True)
class DataFile:
    """A raw file that has been looked at.

    Attributes:
        path: absolute path.
        name: path relative to the source's root, as messages and `source_file` show it.
        kind: format family.
        columns: column -> DuckDB type; for text formats VARCHAR, or JSON where a value may be a JSON list.
        delimiter: of a CSV.
        header: whether the first line of a CSV names the columns.
        copy: the same text, unpacked and in UTF-8, where the file is packed or has another encoding.
    """

    path: Path
    name: str
    kind: FileKind
    columns: dict[str, str]
    delimiter: str = ""
    header: bool = True
    copy: Path | None = None

    @property
    def text(self) -> Path:
        """What is read: the file, or its copy."""
        return self.copy or self.path

    def scan_sql(self) -> str:
        """SELECT giving all columns and `ROW`, in the file's order.

        `row_number()` over an unordered window keeps the order of insertion, so it numbers the rows of a text
        file as they stand there.
        """
        source = quoted_text(_literal_glob(self.text))
        if self.kind == "parquet":
            options = "hive_partitioning=false, file_row_number=true"
            return f"SELECT *, file_row_number + 1 AS {ROW} FROM read_parquet({source}, {options})"
        names = ", ".join(f"{quoted_text(name)}: 'VARCHAR'" for name in self.columns)
        if self.kind == "json":
            reader = (
                f"read_json({source}, format='newline_delimited', records=true, columns={{{names}}}, "
                "hive_partitioning=false)"
            )
        else:
            reader = (
                f"read_csv({source}, auto_detect=false, header={self.header}, columns={{{names}}}, "
                f"delim={quoted_text(self.delimiter)}, "
                """quote='"', escape='"', nullstr='', hive_partitioning=false)"""
            )
        return f"SELECT *, row_number() OVER () AS {ROW} FROM {reader}"

    def place(self, row: int) -> str:
        """`<file>, line 12` of a data row (header and quoted line ends counted); `row 12` for Parquet."""
        if self.kind == "parquet":
            return f"{self.name}, row {row}"
        line = _csv_line(self, row) if self.kind == "csv" else _json_line(self.text, row)
        return f"{self.name}, line {line}"

    def readable_rows(self, con: "DuckDBPyConnection", select: str) -> int:
        """Number of rows of a SELECT from this file, every value of it read; InputError if one cannot be."""
        with self.reading():
            *_, rows = first_row(con, f"SELECT count(COLUMNS(*)), count(*) FROM ({select})")
        return int(rows)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turns what DuckDB has to say about a broken file into one sentence."""
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            raise InputError(machine_fault(error) or self._fault(str(error))) from error

    def _fault(self, message: str) -> str:
        fault = _csv_fault(self) if self.kind == "csv" else _json_fault(self) if self.kind == "json" else None
        if fault:
            return fault
        if self.kind == "csv" and (line := _other_line_end(self.text)):
            remedy = "save it with one kind, for example by `sed -i 's/\\r$//'`"
            return f"{self.name}, line {line} ends otherwise than the line before (LF, CRLF or CR); {remedy}"
        if self.kind == "parquet":
            return f"{self.name} is not a readable Parquet file ({_first_line(message)}); write it again"
        if any(words in message for words in _TOO_LONG):
            named = re.search(r"[Ll]ine: (\d+)", message)
            place = f"{self.name}, line {named.group(1)}" if named else self.name
            return (
                f"{place} is longer than any line may be (2 MB in CSV, 16 MB in JSON); shorten or remove it"
            )
        return f"{self.name} cannot be read ({_first_line(message)}); correct the file"


def open_data_file(
    con: "DuckDBPyConnection",
    root: Path,
    path: Path,
    *,
    encoding: str | None = None,
    names: Sequence[str] | None = None,
) -> DataFile:
    """Look at a file's encoding, header and columns; InputError if it is empty, not text or not readable.

    Args:
        con: any connection.
        root: the source's root.
        path: the file.
        encoding: of a text file that is not UTF-8 (UTF-16 with its mark is recognised).
        names: of the columns of a CSV without a header; `-` or nothing for one that is not read.
    """
    name = path.relative_to(root).as_posix()
    kind = _KINDS[data_suffix(path)]
    text = plain(path, name)
    if text.stat().st_size == 0:
        raise InputError(f"{name} is empty; it needs {'a header line and ' if kind == 'csv' else ''}rows")
    if kind == "parquet":
        return _described(con, DataFile(path, name, kind, {}))
    copy, quotes = _utf8(text, name, encoding)
    copy = copy or (text if is_packed(path) else None)
    if kind == "json":
        return _with_keys(con, DataFile(path, name, kind, {}, copy=copy))
    file = _with_header(DataFile(path, name, kind, {}, copy=copy), names)
    if quotes % 2:
        # An unclosed quote swallows the rest of the file, and DuckDB drops that record without a word.
        fault = _csv_fault(file)
        if fault:
            raise InputError(fault)
    return file


def first_cells(path: Path, rows: int, encoding: str | None = None) -> list[list[str]]:
    """The first records of a CSV, its header among them, without judging them."""
    path = plain(path, path.name)
    copy, _ = _utf8(path, path.name, encoding)
    csv.field_size_limit(_LONGEST_FIELD)
    with (copy or path).open(encoding="utf-8-sig", newline="") as stream:
        delimiter = _delimiter(path, stream.readline())
        stream.seek(0)
        try:
            return list(islice(csv.reader(stream, delimiter=delimiter), rows))
        except csv.Error:
            return []


def is_utf8(path: Path) -> bool:
    """Whether a file of text is UTF-8, or UTF-16 with its mark, which is read as well."""
    try:
        _utf8(plain(path, path.name), path.name, None)
    except InputError:
        return False
    return True


def _utf8(path: Path, name: str, encoding: str | None) -> tuple[Path | None, int]:
    """(the copy in UTF-8 of a file in another encoding, number of quote characters)."""
    marked = marked_encoding(path)
    if marked:
        copy = as_utf8(path, name, marked)
        return copy, _check_encoding(copy, name)
    try:
        return None, _check_encoding(path, name)
    except InputError:
        if encoding is None:
            raise
    copy = as_utf8(path, name, encoding)
    return copy, _check_encoding(copy, name)


def _delimiter(path: Path, first: str) -> str:
    if data_suffix(path) in _TABBED:
        return "\t"
    return max(_DELIMITERS, key=first.count)


def _literal_glob(path: Path) -> str:
    """The path with the characters that DuckDB takes for patterns taken literally."""
    return "".join(f"[{mark}]" if mark in "*?[" else mark for mark in path.as_posix())


def _first_line(message: str) -> str:
    """What DuckDB says first, without the name of its kind of error."""
    return re.sub(r"^[\w ]+ Error: ", "", message.strip().splitlines()[0]).rstrip(". ")


def _check_encoding(path: Path, name: str) -> int:
    """Refuse bytes that are not UTF-8 text, with their place; returns the number of quote characters."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = lines = quotes = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            bad = _bad_byte(decoder, block)
            if bad is not None:
                _refuse_byte(name, offset + bad, lines + block.count(b"\n", 0, max(bad, 0)) + 1)
            offset += len(block)
            lines += block.count(b"\n")
            quotes += block.count(b'"')
    if decoder.getstate()[0]:
        _refuse_byte(name, offset - len(decoder.getstate()[0]), lines + 1)
    return quotes


def _bad_byte(decoder: codecs.IncrementalDecoder, block: bytes) -> int | None:
    """Place in the block of the first byte that is no text; negative if it came with the block before."""
    pending = len(decoder.getstate()[0])
    try:
        decoder.decode(block)
    except UnicodeDecodeError as error:
        return error.start - pending
    return block.index(0) if 0 in block else None


def _refuse_byte(name: str, offset: int, line: int) -> NoReturn:
    raise InputError(
        f"{name} is not UTF-8 text: byte {offset:,} in line {line:,}; save the file as UTF-8, or name its encoding "
        "(`--encoding cp1252` of `mrs init`, `encoding: cp1252` under source)"
    )


def _with_header(file: DataFile, names: Sequence[str] | None) -> DataFile:
    csv.field_size_limit(_LONGEST_FIELD)
    with file.text.open(encoding="utf-8-sig", newline="") as stream:
        delimiter = _delimiter(file.path, stream.readline())
        stream.seek(0)
        cells = next(csv.reader(stream, delimiter=delimiter), [])
    if not cells:
        raise InputError(f"{file.name} begins with an empty line; its first line must name the columns")
    if names is not None and len(names) != len(cells):
        raise InputError(
            f"{file.name} has {len(cells)} columns, but {len(names)} are named; write one name a column, in order, and "
            "`-` for one that is not used"
        )
    # A table written with its index has a first column without a name.
    given = cells if names is None else ["" if name == "-" else name for name in names]
    header = [cell.strip() or f"column_{number}" for number, cell in enumerate(given, start=1)]
    _refuse_twins(header, file.name)
    columns = dict.fromkeys(header, "VARCHAR")
    return replace(file, columns=columns, delimiter=delimiter, header=names is None)


def _described(con: "DuckDBPyConnection", file: DataFile) -> DataFile:
    with file.reading():
        rows = con.execute(
            f"DESCRIBE SELECT * FROM read_parquet({quoted_text(_literal_glob(file.path))}, "
            "hive_partitioning=false)"
        ).fetchall()
    names = [row[0] for row in rows]
    _refuse_row_column(names, file.name)
    return replace(file, columns={row[0]: row[1] for row in rows})


def _with_keys(con: "DuckDBPyConnection", file: DataFile) -> DataFile:
    with file.reading():
        rows = con.execute(
            f"DESCRIBE SELECT * FROM read_json({quoted_text(_literal_glob(file.text))}, records=true, "
            "format='newline_delimited', maximum_depth=2, sample_size=-1, hive_partitioning=false)"
        ).fetchall()
    _refuse_twins([row[0] for row in rows], file.name)
    # Lists are recognised value by value: one row may hold a list where another holds a text.
    types = {row[0]: "JSON" if row[1] == "JSON" or row[1].endswith("[]") else "VARCHAR" for row in rows}
    return replace(file, columns=types)


def _refuse_row_column(names: list[str], file: str) -> None:
    if ROW in [name.lower() for name in names]:
        raise InputError(f"{file} has a column '{ROW}', a name that the reader needs for itself; rename it")


def _refuse_twins(names: list[str], file: str) -> None:
    _refuse_row_column(names, file)
    seen: dict[str, str] = {}
    for name in names:
        twin = seen.setdefault(name.lower(), name)
        if twin is not name:
            raise InputError(
                f"{file} has two columns '{twin}' and '{name}' (case is ignored); rename one of them"
            )


def _records(file: DataFile, *, strict: bool) -> Iterator[tuple[int, list[str]]]:
    """(line on which it starts, cells) of each data record; only walked to explain a fault."""
    csv.field_size_limit(_LONGEST_FIELD)
    with file.text.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=file.delimiter, strict=strict)
        if file.header:
            next(reader, None)
        start = reader.line_num + 1
        for cells in reader:
            # DuckDB skips empty lines, except where there is one column only: there they are empty values.
            if cells or len(file.columns) == 1:
                yield start, cells
            start = reader.line_num + 1


def _csv_line(file: DataFile, row: int) -> int:
    for number, (line, _) in enumerate(_records(file, strict=False), start=1):
        if number == row:
            return line
    return row + file.header


def _csv_fault(file: DataFile) -> str | None:
    line, width = 1, len(file.columns)
    try:
        for line, cells in _records(file, strict=True):
            extra = len(cells) - width
            if extra < 0 or (extra > 0 and any(cells[width:])):
                named = "the header names" if file.header else "there are names for"
                return (
                    f"{file.name}, line {line}: {len(cells)} fields, but {named} {width}; "
                    f"correct the line or quote the value that holds '{file.delimiter}'"
                )
    except csv.Error as error:
        return (
            f"{file.name}, after line {line}: a quoted value is not closed or followed by text "
            f"({error}); correct the quotes"
        )
    return None


def _other_line_end(path: Path) -> int | None:
    """The first line that ends otherwise than the first one; None where all end alike."""
    first = None
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for number, line in enumerate(stream, start=1):
            end = "\r\n" if line.endswith("\r\n") else line[-1:]
            first = first or end
            if end not in (first, "") and end in "\r\n":
                return number
    return None


def _json_line(path: Path, row: int) -> int:
    rows = 0
    with path.open(encoding="utf-8-sig") as stream:
        for line, text in enumerate(stream, start=1):
            rows += bool(text.strip())
            if rows == row:
                return line
    return row


def _json_fault(file: DataFile) -> str | None:
    with file.text.open(encoding="utf-8-sig") as stream:
        for line, text in enumerate(stream, start=1):
            if text.strip() and not _is_object(text):
                return f"{file.name}, line {line} is not one JSON object; write one object a line"
    return None


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
