"""Relations over the files of a layout, as SQL text: tables, lines, JSON objects, Python literals, streams of batches.

DuckDB reads plain, `.gz` and `.zst` files itself. Members of archives, text that is not UTF-8, Python literals and the
like are first written to a scratch folder, a block at a time.
"""

import ast
import codecs
import csv
import json
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.layouts.contents import Entry
from mrs_pipeline.ingest.sql import quoted_name, quoted_text

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK: Final = 1 << 20
_LONGEST_LINE: Final = 1 << 20
"""Bytes of a line of Python literals; longer ones count as unreadable."""
_UNREADABLE: Final = 0.01
"""Share of unreadable lines from which a file is refused."""
_LARGEST_OBJECT: Final = 1 << 28
"""Bytes of a file that is one JSON object and has to be read whole."""
_COMPRESSIONS: Final = {"": "none", ".gz": "gzip", ".zst": "zstd"}
_ALONE: Final = "'\\x01'"


@dataclass
class Workbench:
    """Where one table is made.

    Attributes:
        scratch: an empty folder for what has to be rewritten; removed with everything in it afterwards.
        remarks: what was met on the way, a sentence each.
    """

    scratch: Path
    remarks: list[str] = field(default_factory=list)

    def csv(
        self,
        entry: Entry,
        columns: Sequence[str] | None = None,
        *,
        delimiter: str = ",",
        quote: str = '"',
        escape: str | None = None,
        skip: int = 0,
        legacy: bool = False,
    ) -> str:
        """A relation of text columns, empty values as NULL.

        Args:
            entry: the file.
            columns: their names for a file without a header; None if the first line names them.
            delimiter: one or more characters.
            quote: "" for a file without quoting.
            escape: character before a quote within quotes; doubled quotes by default.
            skip: lines to leave out at the beginning.
            legacy: whether the text may be in Windows' or ISO's western encoding.
        """
        names = header_of(entry, delimiter, quote) if columns is None else list(columns)
        declared = ", ".join(f"{quoted_text(name)}: 'VARCHAR'" for name in names)
        path, packing = self._utf8(entry) if legacy else self._local(entry)
        return (
            f"read_csv({_source(path)}, auto_detect=false, header={str(columns is None).lower()}, "
            f"columns={{{declared}}}, delim={quoted_text(delimiter)}, quote={quoted_text(quote)}, "
            f"escape={quoted_text(quote if escape is None else escape)}, nullstr='', hive_partitioning=false, "
            f"skip={skip}, compression={quoted_text(_COMPRESSIONS[packing])})"
        )

    def lines(self, entry: Entry, *, legacy: bool = False) -> str:
        """A relation of one column `line`, for files that no dialect describes; empty lines are left out."""
        path, packing = self._utf8(entry) if legacy else self._local(entry)
        return (
            f"(SELECT line FROM read_csv({_source(path)}, auto_detect=false, header=false, "
            f"columns={{'line': 'VARCHAR'}}, delim={_control()}, quote='', escape='', hive_partitioning=false, "
            f"new_line={quoted_text(_line_end(entry))}, compression={quoted_text(_COMPRESSIONS[packing])}) "
            "WHERE line <> '')"
        )

    def objects(self, entry: Entry, columns: Mapping[str, str]) -> str:
        """A relation of the keys of the objects of a file, one a line, as JSON or as Python literals.

        Args:
            entry: the file.
            columns: key -> DuckDB type; a key that an object lacks is NULL.
        """
        path, packing = self._local(entry)
        if not _is_json(entry):
            path, packing = self._literals(entry, columns), ""
        declared = ", ".join(f"{quoted_text(name)}: {quoted_text(each)}" for name, each in columns.items())
        return (
            f"read_json({_source(path)}, format='newline_delimited', records=true, columns={{{declared}}}, "
            f"hive_partitioning=false, compression={quoted_text(_COMPRESSIONS[packing])})"
        )

    def parquet(self, entry: Entry) -> str:
        """A relation of a Parquet file's columns."""
        return f"read_parquet({_source(self._local(entry)[0])}, hive_partitioning=false)"

    def batches(self, schema: "pa.Schema", batches: Iterable["pa.RecordBatch"]) -> str:
        """A relation of what a stream yields, which is written down batch by batch."""
        import pyarrow.parquet as pq

        path = self._scratch_file(".parquet")
        with pq.ParquetWriter(path, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        return f"read_parquet({_source(path)})"

    def whole_object(self, entry: Entry) -> Any:
        """A file that is one JSON value; InputError where it is broken or too large to be read whole."""
        with entry.open() as stream:
            text = stream.read(_LARGEST_OBJECT + 1)
        if len(text) > _LARGEST_OBJECT:
            raise InputError(
                f"{entry.shown} is one JSON object of more than {_LARGEST_OBJECT >> 20} MB; write its pairs to "
                "interactions.csv with the columns user_id, item_id and split"
            )
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{entry.shown} is not readable JSON ({error}); download it again") from error

    def local(self, entry: Entry) -> Path:
        """A plain file with the entry's bytes, unpacked."""
        if entry.member is None and not entry.packing:
            return entry.path
        return self._copied(entry, lambda stream: iter(lambda: stream.read(_BLOCK), b""))

    def _local(self, entry: Entry) -> tuple[Path, str]:
        """(file that DuckDB can open, its packing)."""
        if entry.member is None:
            return entry.path, entry.packing
        return self.local(entry), ""

    def _utf8(self, entry: Entry) -> tuple[Path, str]:
        """The same, in UTF-8: bytes that are none are read as cp1252, those that are not even that as latin-1."""
        if _is_utf8(entry):
            return self._local(entry)
        self.remarks.append(f"{entry.shown} is not UTF-8 text and was read as cp1252")
        return self._copied(entry, _transcoded), ""

    def _copied(self, entry: Entry, blocks: Callable[[Any], Iterator[bytes]]) -> Path:
        path = self._scratch_file(".txt")
        try:
            with entry.open() as stream, path.open("wb") as target:
                for block in blocks(stream):
                    target.write(block)
        except (EOFError, OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{entry.shown} cannot be unpacked ({error}); download it again") from error
        return path

    def _literals(self, entry: Entry, columns: Mapping[str, str]) -> Path:
        """The wanted keys of Python literals, a line each, as JSON Lines. Nothing is evaluated but literals."""
        path = self._scratch_file(".jsonl")
        read = skipped = 0
        first = ""
        with entry.open() as stream, path.open("w", encoding="utf-8") as target:
            for number, line in enumerate(_bounded_lines(stream), start=1):
                if not line.strip():
                    continue
                found = _literal(line)
                if found is None:
                    skipped += 1
                    first = first or f"line {number}"
                    continue
                read += 1
                wanted = {name: found[name] for name in columns if name in found}
                target.write(json.dumps(wanted, default=str) + "\n")
        if skipped > _UNREADABLE * (read + skipped):
            raise InputError(
                f"{entry.shown}: {skipped:,} of {read + skipped:,} lines are neither JSON nor a Python literal "
                f"(first: {first}); download it again"
            )
        if skipped:
            self.remarks.append(
                f"{entry.shown}: {skipped:,} lines were left out, not readable (first: {first})"
            )
        return path

    def _scratch_file(self, suffix: str) -> Path:
        self.scratch.mkdir(parents=True, exist_ok=True)
        return self.scratch / f"{len(list(self.scratch.iterdir()))}{suffix}"

    def clear(self) -> None:
        """Remove what was rewritten."""
        shutil.rmtree(self.scratch, ignore_errors=True)


def header_of(entry: Entry, delimiter: str, quote: str = '"') -> list[str]:
    """The cells of the first line."""
    if not quote:
        return [cell.strip() for cell in entry.first_line.split(delimiter)]
    row = next(csv.reader([entry.first_line], delimiter=delimiter, quotechar=quote), [])
    return [cell.strip() for cell in row]


def _source(path: Path) -> str:
    return quoted_text("".join(f"[{mark}]" if mark in "*?[" else mark for mark in path.as_posix()))


def _control() -> str:
    """A delimiter that no text holds."""
    return "chr(1)"


def _line_end(entry: Entry) -> str:
    return "\\r\\n" if "\r\n" in entry.head()[:_BLOCK] else "\\n"


def _is_json(entry: Entry) -> bool:
    line = next((line for line in entry.lines if line.strip()), "{}")
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _is_utf8(entry: Entry) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with entry.open() as stream:
        try:
            while block := stream.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _transcoded(stream: Any) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield "".join(_WESTERN[byte] for byte in block).encode() if not block.isascii() else block


def _western() -> list[str]:
    letters = []
    for byte in range(256):
        one = bytes([byte])
        try:
            letters.append(one.decode("cp1252"))
        except UnicodeDecodeError:
            letters.append(one.decode("latin-1"))
    return letters


_WESTERN: Final = _western()
"""The letter of each byte."""


def _bounded_lines(stream: Any) -> Iterator[bytes]:
    """Lines; of one that is too long only its beginning comes, which is no literal."""
    while line := stream.readline(_LONGEST_LINE):
        yield line
        while line and not line.endswith(b"\n"):
            line = stream.readline(_LONGEST_LINE)


def _literal(line: bytes) -> dict[str, Any] | None:
    try:
        value = ast.literal_eval(line.decode("utf-8", errors="replace").strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, dict) else None


def joined(column: str, separator: str = "|") -> str:
    """SQL: a JSON column as text. The elements of a list, also of a list of lists, are joined."""
    name = quoted_name(column)
    elements = f"list_filter({name}->>'$[*]', lambda x: x <> '')"
    nested = f"list_filter({name}->>'$[*][*]', lambda x: x <> '')"
    return (
        f"CASE json_type({name}) WHEN 'NULL' THEN NULL WHEN 'ARRAY' THEN NULLIF(array_to_string("
        f"CASE WHEN json_type({name}, '$[0]') = 'ARRAY' THEN {nested} ELSE {elements} END, "
        f"{quoted_text(separator)}), '') ELSE NULLIF({name}->>'$', '') END"
    )


def cleanly(expression: str) -> str:
    """SQL: text without HTML: tags out, the usual entities resolved, white space collapsed; NULL if nothing is left."""
    text = f"regexp_replace({expression}, '<[^<>]*>', ' ', 'g')"
    for entity, letter in _ENTITIES.items():
        text = f"replace({text}, {quoted_text(entity)}, {quoted_text(letter)})"
    return f"NULLIF(trim(regexp_replace({text}, '\\s+', ' ', 'g')), '')"


_ENTITIES: Final = {
    "&quot;": '"',
    "&#34;": '"',
    "&#39;": "'",
    "&#039;": "'",
    "&apos;": "'",
    "&#x27;": "'",
    "&rsquo;": "’",
    "&lsquo;": "‘",
    "&ldquo;": "“",
    "&rdquo;": "”",
    "&ndash;": "–",
    "&mdash;": "—",
    "&hellip;": "…",
    "&eacute;": "é",
    "&reg;": "®",
    "&trade;": "™",
    "&nbsp;": " ",
    "&lt;": "<",
    "&gt;": ">",
    "&amp;": "&",
}


def moment_sql(expression: str, form: str) -> str:
    """SQL: a date of that strptime form as ISO text in UTC; what has another form stays as it is, to be refused."""
    parsed = f"try_strptime({expression}, {quoted_text(form)})"
    if "%z" in form:
        parsed = f"make_timestamp(epoch_us({parsed}))"
    return f"coalesce(strftime({parsed}, '%Y-%m-%d %H:%M:%S'), {expression})"


def held_out(*columns: str) -> str:
    """SQL: whether a row of a training part without a validation part validates: one in ten, by its ids alone."""
    key = " || chr(31) || ".join(columns)
    return f"(md5_number_lower({key}) % 10 = 0)"


def title_or_null(expression: str) -> str:
    """SQL: a clean title; one that begins with markup is page source and no title."""
    page = f"regexp_matches({expression}, '^\\s*<(span|img|div|script)')"
    return f"CASE WHEN {page} THEN NULL ELSE {cleanly(expression)} END"
