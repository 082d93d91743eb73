"""What an opened source can be asked, and the one implementation behind all readers.

A reader (`folder`, `mmrec`, `demo`) only says which files there are and how their columns are called; the
rest is here. Writing what the SELECTs yield is the lake's work (`storage`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import facts, landing, media
from mrs_pipeline.ingest.datafile import DataFile, open_data_file
from mrs_pipeline.ingest.ids import IdOptions
from mrs_pipeline.ingest.interactions import InteractionLayout, interactions_select
from mrs_pipeline.ingest.items import bare_items_select, item_columns, items_select, read_ids
from mrs_pipeline.ingest.matrices import MatrixFile, SourceMatrix, read_matrix
from mrs_pipeline.ingest.sql import first_row
from mrs_pipeline.schema import FIRST_SEEN, ITEM_ID, TIMESTAMP

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class MediaPlaces:
    """Where media files are looked for, relative to a source's root.

    Attributes:
        trees: folders of files named by item, with all folders in them.
        folders: folders that the items name, each for itself.
    """

    trees: tuple[str, ...]
    folders: tuple[str, ...]


class Source(Protocol):
    """A dataset's raw files, opened. Methods with a connection may raise InputError with file and line."""

    @property
    def root(self) -> Path:
        """The folder below which everything lies; media paths are relative to it."""

    @property
    def ids(self) -> IdOptions:
        """Which spellings of an identifier mean the same."""

    def files(self) -> list[Path]:
        """All files whose content decides the raw tables and matrices (media are not among them)."""

    def landings(self) -> list[Path]:
        """The interaction files in name order: what a sensor watches."""

    def matrices(self) -> Mapping[str, MatrixFile]:
        """Ready feature matrices by name."""

    def interactions_sql(self, con: "DuckDBPyConnection") -> str:
        """SELECT yielding `raw.interactions` rows in no order, once every value has been checked."""

    def items_sql(self, con: "DuckDBPyConnection") -> str:
        """SELECT yielding `raw.items` rows in no order, checked; it works on this connection only."""

    def read_matrix(self, con: "DuckDBPyConnection", name: str) -> SourceMatrix:
        """A ready feature matrix, checked."""

    def describe(
        self, con: "DuckDBPyConnection", interactions: str | None = None, items: str | None = None
    ) -> facts.SourceFacts:
        """Counts, coverage and time range; of rows that were parsed before, where SELECTs of them are given."""

    def windows_of(self, con: "DuckDBPyConnection", file: Path, every: str) -> list[str]:
        """Keys of the windows (`day`, `week`, `month`, `year`) that a landing file has rows in, in order."""

    def landing_sql(self, con: "DuckDBPyConnection", file: Path) -> str:
        """SELECT of the rows of one landing file, which may be empty, once every value has been checked."""

    def row_names(self, file: Path) -> list[str]:
        """What rows of a landing file have as `source_file`."""

    def unreadable(self, con: "DuckDBPyConnection") -> dict[Path, str]:
        """The landing files that cannot be read while others can, each with the sentence that says why."""

    def without(self, files: Collection[Path]) -> "Source":
        """The same source without some of its landing files."""

    def media_places(self, con: "DuckDBPyConnection") -> MediaPlaces:
        """Where files of items are looked for."""


def _nothing() -> None:
    """Files that lie there need no preparation."""


@dataclass(frozen=True)
class TabularSource:
    """A source of tables: interaction files, perhaps an items file, media folders, matrices. See `Source`.

    Attributes:
        root: the source's folder, resolved.
        interaction_files: at least one.
        items_file: None where the items are those of the interactions.
        layout: how the interactions' columns are called.
        item_mapping: our name -> the items file's, where they differ.
        media_folders: modality -> folder of files named by item id.
        matrix_files: ready features by name.
        encoding: of text files that are not UTF-8.
        names: of the columns of interaction files without a header.
        item_names: the same of the items file.
        numbered_items: whether item ids are the row numbers 0, 1, ... of the `.npy` matrices.
        prepare: makes the files before they are first read.
        open_file: looks at a file of interactions or items (connection, root, path); `layouts` puts its tables here.
    """

    root: Path
    interaction_files: tuple[Path, ...]
    items_file: Path | None
    layout: InteractionLayout
    item_mapping: Mapping[str, str] = field(default_factory=dict)
    media_folders: Mapping[str, str] = field(default_factory=dict)
    matrix_files: Mapping[str, MatrixFile] = field(default_factory=dict)
    encoding: str | None = None
    names: Sequence[str] | None = None
    item_names: Sequence[str] | None = None
    numbered_items: bool = False
    prepare: Callable[[], None] = _nothing
    open_file: Callable[["DuckDBPyConnection", Path, Path], DataFile] | None = None

    @property
    def ids(self) -> IdOptions:
        """Which spellings of an identifier mean the same."""
        return self.layout.ids

    def files(self) -> list[Path]:
        """Everything that decides raw tables and matrices."""
        self.prepare()
        matrices = [
            path for matrix in self.matrix_files.values() for path in (matrix.path, matrix.ids) if path
        ]
        return [*self.interaction_files, *([self.items_file] if self.items_file else []), *matrices]

    def landings(self) -> list[Path]:
        """Interaction files in name order."""
        self.prepare()
        return list(self.interaction_files)

    def matrices(self) -> Mapping[str, MatrixFile]:
        """Ready feature matrices by name."""
        return self.matrix_files

    def interactions_sql(self, con: "DuckDBPyConnection") -> str:
        """Checked SELECT of `raw.interactions` rows."""
        return self._select(con, self.interaction_files)

    def items_sql(self, con: "DuckDBPyConnection") -> str:
        """Checked SELECT of `raw.items` rows."""
        catalogue = self._catalogue(con)
        if catalogue is None:
            return bare_items_select(self._bare_ids(con), self._media(con, None))
        file, columns = catalogue
        return items_select(con, file, columns, self._media(con, catalogue), self.ids)

    def read_matrix(self, con: "DuckDBPyConnection", name: str) -> SourceMatrix:
        """A ready feature matrix, checked."""
        if name not in self.matrix_files:
            known = ", ".join(self.matrix_files) or "none"
            raise InputError(
                f"the source has no matrix '{name}' (it has: {known}); name its file under source.matrices"
            )
        matrix = self.matrix_files[name]
        return read_matrix(
            con,
            self.root,
            matrix,
            lambda: self._row_order(con),
            self.item_mapping.get(ITEM_ID, ITEM_ID),
            ids=self.ids,
            encoding=self.encoding,
        )

    def describe(
        self, con: "DuckDBPyConnection", interactions: str | None = None, items: str | None = None
    ) -> facts.SourceFacts:
        """Counts, coverage and time range."""
        catalogue = self._catalogue(con)
        named: dict[str, str] = {}
        if catalogue is not None:
            file, columns = catalogue
            named = {
                modality: facts.named_paths(file.scan_sql(), columns[modality])
                for modality in media.MEDIA_COLUMNS
                if modality in columns
            }
        return facts.gather(
            con,
            interactions or self.interactions_sql(con),
            items or self.items_sql(con),
            named,
            tuple(self.matrix_files),
        )

    def windows_of(self, con: "DuckDBPyConnection", file: Path, every: str) -> list[str]:
        """Keys of the windows that a landing file touches."""
        keys = landing.keys_in(con, self.landing_sql(con, file), every)
        return [key for key in keys if key != landing.UNTIMED]

    def landing_sql(self, con: "DuckDBPyConnection", file: Path) -> str:
        """SELECT of one landing file of several."""
        return self._select(con, [file], alone=True)

    def row_names(self, file: Path) -> list[str]:
        """The file's path below the root."""
        return [file.relative_to(self.root).as_posix()]

    def unreadable(self, con: "DuckDBPyConnection") -> dict[Path, str]:
        """The landing files with a fault of their own; every file is read."""
        faults = {}
        for path in self.landings():
            try:
                self.landing_sql(con, path)
            except InputError as fault:
                faults[path] = str(fault)
        return faults

    def without(self, files: Collection[Path]) -> "TabularSource":
        """The same source without some of its files of interactions."""
        return replace(
            self, interaction_files=tuple(path for path in self.interaction_files if path not in files)
        )

    def media_places(self, con: "DuckDBPyConnection") -> MediaPlaces:
        """The media folders, and the folders that the items name."""
        catalogue = self._catalogue(con)
        if catalogue is None:
            return MediaPlaces(tuple(self.media_folders.values()), ())
        file, columns = catalogue
        trees = (folder for modality, folder in self.media_folders.items() if modality not in columns)
        named = {
            folder
            for modality in media.MEDIA_COLUMNS
            if modality in columns
            for folder in media.named_folders(con, file, columns[modality])
        }
        return MediaPlaces(tuple(trees), tuple(sorted(named)))

    def _opened(self, con: "DuckDBPyConnection", paths: Sequence[Path]) -> list[DataFile]:
        self.prepare()
        return [self._open(con, path, self.names) for path in paths]

    def _open(self, con: "DuckDBPyConnection", path: Path, names: Sequence[str] | None) -> DataFile:
        if self.open_file is not None:
            return self.open_file(con, self.root, path)
        return open_data_file(con, self.root, path, encoding=self.encoding, names=names)

    def _select(self, con: "DuckDBPyConnection", paths: Sequence[Path], *, alone: bool = False) -> str:
        return interactions_select(con, self._opened(con, paths), self.layout, alone=alone)

    def _catalogue(self, con: "DuckDBPyConnection") -> tuple[DataFile, dict[str, str]] | None:
        """The items file and its columns by our names."""
        self.prepare()
        if self.items_file is None:
            return None
        file = self._open(con, self.items_file, self.item_names)
        return file, item_columns(file, self.item_mapping)

    def _media(
        self, con: "DuckDBPyConnection", catalogue: tuple[DataFile, dict[str, str]] | None
    ) -> dict[str, media.MediaTable]:
        """Modality -> its existing files: those a column names, else those of the modality's folder."""
        tables: dict[str, media.MediaTable | None] = {
            modality: media.from_folder(con, self.root, modality, folder, self.ids)
            for modality, folder in self.media_folders.items()
            if catalogue is None or modality not in catalogue[1]
        }
        if catalogue is not None:
            file, columns = catalogue
            for modality in media.MEDIA_COLUMNS:
                if modality in columns:
                    tables[modality] = media.from_column(con, self.root, file, modality, columns[modality])
        return {modality: table for modality, table in tables.items() if table is not None}

    def _bare_ids(self, con: "DuckDBPyConnection") -> str:
        """SELECT of the item ids of a source without an items file, and since when each is known."""
        if self.numbered_items and self.matrix_files:
            # Items that nobody has touched have a row in the matrices too.
            return (
                f"SELECT CAST(unnest(range({self._highest_number(con) + 1})) AS VARCHAR) AS {ITEM_ID}, "
                f"CAST(NULL AS TIMESTAMP) AS {FIRST_SEEN}"
            )
        return (
            f"SELECT {ITEM_ID}, min({TIMESTAMP}) AS {FIRST_SEEN} FROM ({self.interactions_sql(con)}) "
            f"WHERE {ITEM_ID} IS NOT NULL GROUP BY {ITEM_ID}"
        )

    def _row_order(self, con: "DuckDBPyConnection") -> tuple[str, list[str]]:
        """What fixes the rows of an `.npy` matrix, for messages, and the item of each row."""
        if self.numbered_items:
            count = self._highest_number(con) + 1
            return f"the item numbers up to {count - 1:,} in the data", [
                str(number) for number in range(count)
            ]
        catalogue = self._catalogue(con)
        if catalogue is None:
            raise InputError(
                f"{self.root}: an .npy matrix needs an items file for the order of its rows; add items.csv, "
                "or name a file with the item of each row under `ids`"
            )
        file, columns = catalogue
        return file.name, read_ids(con, file, columns[ITEM_ID], self.ids)

    def _highest_number(self, con: "DuckDBPyConnection") -> int:
        """The largest item number in the interactions and the items file."""
        ids = f"SELECT {ITEM_ID} FROM ({self.interactions_sql(con)})"
        if self.items_file is not None:
            ids += f" UNION ALL SELECT {ITEM_ID} FROM ({self.items_sql(con)})"
        row = first_row(
            con,
            f"SELECT max(TRY_CAST({ITEM_ID} AS BIGINT)), "
            f"min({ITEM_ID}) FILTER (NOT regexp_full_match({ITEM_ID}, '[0-9]{{1,9}}')) FROM ({ids})",
        )
        if row[1] is not None:
            raise InputError(
                f"{self.root}: item '{row[1]}' is not a row number 0, 1, ..., which this reader "
                "needs for its *_feat.npy matrices; use reader: folder with `matrices` and `ids`"
            )
        return int(row[0])
