"""Media files of a source: which exist, which item they belong to, and that none lies outside the root.

Existence and place only: opening and decoding an image, a sound or a film is the encoders' work.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.datafile import ROW, DataFile
from mrs_pipeline.ingest.ids import LITERAL, IdOptions, cleaned
from mrs_pipeline.ingest.sql import first_row, quoted_name
from mrs_pipeline.ingest.values import text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEDIA_SUFFIXES: Final = {
    "image": (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic", ".heif"),
    "audio": (".wav", ".flac", ".ogg", ".mp3", ".opus", ".m4a"),
    "video": (".mp4", ".mov", ".avi", ".mkv", ".webm", ".mpg"),
}
"""What counts as a media file in a folder of files named by item id."""

MEDIA_COLUMNS: Final = tuple(MEDIA_SUFFIXES)
"""Columns of `raw.items` that hold a path below the source's root."""


@dataclass(frozen=True)
class MediaTable:
    """A temporary table of the files that exist.

    Attributes:
        name: of the table, which has `key` (item id, or the path as the items file has it) and `path`.
        by_item: whether `key` is an item id.
    """

    name: str
    by_item: bool


def from_column(
    con: "DuckDBPyConnection", root: Path, items: DataFile, modality: str, column: str
) -> MediaTable:
    """The existing files among those that a column of the items file names.

    Raises:
        InputError: a path is absolute, climbs with `..` or leads outside the root through a symbolic link.
    """
    value = text(column, items.columns[column])
    relation = f"(SELECT {value} AS path, {ROW} FROM ({items.scan_sql()}))"
    with items.reading():
        outside = first_row(
            con,
            f"SELECT {ROW}, path FROM {relation} WHERE regexp_matches(path, '^([/\\\\]|[A-Za-z]:[/\\\\])') "
            f"OR regexp_matches(path, '(^|[/\\\\])[.][.]([/\\\\]|$)') ORDER BY {ROW} LIMIT 1",
        )
    if outside:
        _refuse(items.place(outside[0]), column, outside[1], modality)
    found, leading_out = _list(root, named_folders(con, items, column))
    if leading_out:
        row = first_row(
            con,
            f"SELECT {ROW}, path FROM {relation} WHERE list_contains(?, path) ORDER BY {ROW} LIMIT 1",
            [leading_out],
        )
        if row:
            _refuse(items.place(row[0]), column, row[1], modality)
    return _table(con, f"media_{modality}", found, found, by_item=False)


def named_folders(con: "DuckDBPyConnection", items: DataFile, column: str) -> list[str]:
    """The folders that a column of paths names, each with a `/` at its end; those of URLs are none of this machine."""
    value = text(column, items.columns[column])
    with items.reading():
        folders = con.execute(
            f"SELECT DISTINCT regexp_replace(path, '[^/]*$', '') AS folder FROM (SELECT {value} AS path "
            f"FROM ({items.scan_sql()})) WHERE path IS NOT NULL ORDER BY 1"
        ).fetchall()
    return [row[0] for row in folders if "://" not in row[0]]


def from_folder(
    con: "DuckDBPyConnection", root: Path, modality: str, folder: str, ids: IdOptions = LITERAL
) -> MediaTable | None:
    """The media files below a folder by item id (the name without its ending); None where there is no folder.

    Folders in it are looked into as well (`images/010/0108775015.jpg`), links to folders are not.

    Raises:
        InputError: two files have the same item id, or one leads outside the root.
    """
    if not (root / folder).is_dir():
        return None
    found, leading_out = _list(root, _folders_below(root, folder.strip("/")))
    if leading_out:
        raise InputError(
            f"{leading_out[0]} is a link to a file outside the source folder; put the file there itself"
        )
    paths = [path for path in found if PurePosixPath(path).suffix.lower() in MEDIA_SUFFIXES[modality]]
    owner: dict[str, str] = {}
    for path in paths:
        twin = owner.setdefault(PurePosixPath(path).stem, path)
        if twin is not path:
            raise InputError(
                f"{twin} and {path} both carry the name of item '{PurePosixPath(path).stem}'; keep one"
            )
    table = _table(con, f"media_{modality}", list(owner), paths, by_item=True)
    if ids.merging:
        con.execute(f"UPDATE {quoted_name(table.name)} SET key = {cleaned('key', ids)}")
    return table


def _folders_below(root: Path, folder: str) -> list[str]:
    """The folder and all folders in it, each with a `/` at its end, below the root; hidden ones are left out."""
    found = []
    for place, inner, _ in os.walk(root / folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        found.append(f"{Path(place).relative_to(root).as_posix()}/")
    return found


def _refuse(place: str, column: str, path: str, modality: str) -> None:
    raise InputError(
        f"{place}, column {column}: '{path}' lies outside the source folder; give a path below it, or leave the files "
        f"out (`--no-modality {modality}` of `mrs init`, another name for the column under source.item_columns)"
    )


def _list(root: Path, folders: Iterable[str]) -> tuple[list[str], list[str]]:
    """Files in folders below the root, as written there: (those inside the root, those a link leads out)."""
    home = root.resolve()
    inside: list[str] = []
    outside: list[str] = []
    for folder in folders:
        if not (root / folder).is_dir():
            continue
        folder_inside = (root / folder).resolve().is_relative_to(home)
        with os.scandir(root / folder) as entries:
            for entry in entries:
                if not entry.is_file():
                    continue
                safe = folder_inside and (
                    not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(home)
                )
                (inside if safe else outside).append(f"{folder}{entry.name}")
    return sorted(inside), sorted(outside)


def _table(
    con: "DuckDBPyConnection", name: str, keys: list[str], paths: list[str], *, by_item: bool
) -> MediaTable:
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {quoted_name(name)} AS "
        "SELECT unnest($keys::VARCHAR[]) AS key, unnest($paths::VARCHAR[]) AS path",
        {"keys": keys, "paths": paths},
    )
    return MediaTable(name, by_item)
