"""A folder in an official layout as a source like any other: the layout's tables behind the shared readers."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.datafile import DataFile
from mrs_pipeline.ingest.interactions import InteractionLayout
from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import look_into
from mrs_pipeline.ingest.layouts.conversion import CONVERTED_FOLDER, Converter, version_of
from mrs_pipeline.ingest.layouts.registry import asked_for
from mrs_pipeline.ingest.source import MediaPlaces, TabularSource
from mrs_pipeline.ingest.values import KNOWN_SPLITS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_INTERACTIONS, _ITEMS = "interactions", "items"
_CATALOGUE = Path("items")
"""Stands for the table of items where the shared readers want a path."""


@dataclass(frozen=True, kw_only=True)
class LayoutSource(TabularSource):
    """A folder in an official layout.

    Attributes:
        official: the layout.
        reading: what it reads here.
        converter: makes the tables.
    """

    official: Layout
    reading: Reading
    converter: Converter

    def files(self) -> list[Path]:
        """The files as they were downloaded, and the matrices."""
        tables = [*self.reading.interactions, *([self.reading.items] if self.reading.items else [])]
        paths = [entry.path for table in tables for entry in table.entries]
        paths += [matrix.path for matrix in self.matrix_files.values()]
        return list(dict.fromkeys(paths))

    def landings(self) -> list[Path]:
        """The files of interactions as they were downloaded."""
        return list(dict.fromkeys(table.entries[0].path for table in self.reading.interactions))

    def remarks(self) -> list[str]:
        """What was met while the tables were made."""
        tables = [(each, _INTERACTIONS) for each in self.reading.interactions]
        tables += [(self.reading.items, _ITEMS)] if self.reading.items else []
        return [remark for table, part in tables for remark in self.converter.remarks(table, part)]

    def row_names(self, file: Path) -> list[str]:
        """The tables that came with a downloaded file."""
        return [table.entries[0].shown for table in self._tables_of(file)]

    def unreadable(self, con: "DuckDBPyConnection") -> dict[Path, str]:  # noqa: ARG002
        """None is left out: the files of a download belong together."""
        return {}

    def media_places(self, con: "DuckDBPyConnection") -> MediaPlaces:  # noqa: ARG002
        """The media folders; the items of a layout name no files."""
        return MediaPlaces(tuple(self.media_folders.values()), ())

    def _tables_of(self, file: Path) -> list[LayoutTable]:
        return [table for table in self.reading.interactions if table.entries[0].path == file]

    def landing_sql(self, con: "DuckDBPyConnection", file: Path) -> str:
        """SELECT of the rows that came with one downloaded file."""
        tables = self._tables_of(file)
        return self._select(con, [_key(table) for table in tables], alone=True)


def open_layout(layout: str, choices: Choices, root: Path, home_root: Path) -> LayoutSource:
    """The source below `root`, by the layout of that name; what is converted goes below `home_root`.

    Raises:
        InputError: the folder has another layout, or leaves a choice that `source.choices` does not make.
    """
    official, contents = asked_for(root, layout).layout, look_into(root)
    reading = official.read(contents, _checked(official, choices))
    modules = [Path(str(sys.modules[function.__module__].__file__)) for function in (official.read,)]
    converter = Converter(home_root / CONVERTED_FOLDER, version_of(modules))
    tables = {_key(table): table for table in reading.interactions}
    opener = _Opener(converter, tables, reading.items)
    return LayoutSource(
        root=root,
        interaction_files=tuple(tables),
        items_file=_CATALOGUE if reading.items else None,
        layout=InteractionLayout({}, {}, KNOWN_SPLITS),
        media_folders=reading.media_folders,
        matrix_files=reading.matrices,
        numbered_items=reading.numbered_items,
        open_file=opener,
        official=official,
        reading=reading,
        converter=converter,
    )


@dataclass(frozen=True)
class _Opener:
    """What the shared readers call to open a file: looks the table up by its path and has it made."""

    converter: Converter
    interactions: dict[Path, LayoutTable]
    items: LayoutTable | None

    def __call__(self, con: "DuckDBPyConnection", root: Path, path: Path) -> DataFile:  # noqa: ARG002
        if path != _CATALOGUE:
            return self.converter.open(con, self.interactions[path], _INTERACTIONS)
        assert self.items is not None
        made = [self.converter.open(con, table, _INTERACTIONS) for table in self.interactions.values()]
        return self.converter.open(con, self.items, _ITEMS, tuple(made))


def _key(table: LayoutTable) -> Path:
    """What the shared readers call a table's file: never opened, only looked up."""
    first = table.entries[0]
    return first.path if first.member is None else first.path / first.member


def _checked(official: Layout, choices: Choices) -> Choices:
    for name, value in choices.items():
        allowed = official.choices.get(name)
        if allowed is None:
            known = ", ".join(official.choices) or "none"
            raise InputError(
                f"the layout {official.name} has no choice '{name}' (it has: {known}); leave it out"
            )
        if allowed and value not in allowed:
            raise InputError(
                f"the layout {official.name} has no {name}={value}; choose one of {', '.join(allowed)}, for example "
                f"`--choose {name}={allowed[0]}`"
            )
    return choices
