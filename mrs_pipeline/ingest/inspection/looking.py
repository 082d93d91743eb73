"""The tables that lie in a folder, each looked at, and what keeps one from being read. For `mrs init`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import paths
from mrs_pipeline.ingest.datafile import DataFile, first_cells, is_utf8, open_data_file
from mrs_pipeline.ingest.encodings import likely_encoding
from mrs_pipeline.ingest.inspection import headers
from mrs_pipeline.ingest.packing import data_suffix, plain

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PEEK: Final = 200
_TEXT: Final = (".csv", ".tsv")


@dataclass
class Tables:
    """What was found directly in a folder, and in what is named outside it.

    Attributes:
        root: the folder.
        encoding: of texts that are not UTF-8, where a person has said it.
        readable: tables with a header.
        headless: name -> first row, of tables that seem to have none.
        unreadable: name -> the sentence that says why.
        guessed: name -> encoding that was taken because the text is not UTF-8.
    """

    root: Path
    encoding: str | None
    readable: list[DataFile] = field(default_factory=list)
    headless: dict[str, list[str]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    guessed: dict[str, str] = field(default_factory=dict)

    def open(self, con: "DuckDBPyConnection", path: Path, names: Sequence[str] | None = None) -> DataFile:
        """A table, with its encoding guessed where it must be.

        Raises:
            InputError: it cannot be read, or its first row looks like data and no names are given.
        """
        name = path.relative_to(self.root).as_posix()
        encoding = self.encoding
        if encoding is None and data_suffix(path) != ".parquet" and not is_utf8(path):
            encoding = self.guessed[name] = likely_encoding(plain(path, name))
        if names is None and data_suffix(path) in _TEXT:
            rows = first_cells(path, _PEEK, encoding)
            if headers.looks_like_data(rows):
                self.headless[name] = rows[0]
                raise InputError(self.without_header([name]))
        return open_data_file(con, self.root, path, encoding=encoding, names=names)

    def without_header(self, names: Sequence[str], option: str = "--columns user_id,item_id,...") -> str:
        """The sentence for tables whose first row looks like data."""
        first = names[0]
        others = f" (so does that of {', '.join(names[1:])})" if len(names) > 1 else ""
        return (
            f"{first}: the first row ({headers.shown(self.headless[first])}) looks like data{others}, so it has no "
            f"header; name its {len(self.headless[first])} columns in order, e.g. `{option}`, with `-` for one that is "
            "not used"
        )


def look(con: "DuckDBPyConnection", root: Path, encoding: str | None) -> Tables:
    """Open every table directly in the folder; what cannot be read is kept with the reason."""
    tables = Tables(root, encoding)
    for path in paths.top_tables(root):
        name = path.relative_to(root).as_posix()
        try:
            tables.readable.append(tables.open(con, path))
        except InputError as error:
            if name not in tables.headless:
                tables.unreadable[name] = str(error)
    return tables
