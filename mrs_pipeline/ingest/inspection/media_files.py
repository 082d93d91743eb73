"""Media of an unknown folder: columns that name files which are there, and folders of files named by item.

A column of links or of paths on another machine stays an attribute: there is nothing to decode.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import media, values
from mrs_pipeline.ingest.datafile import DataFile
from mrs_pipeline.ingest.options import MEDIA_FOLDERS
from mrs_pipeline.ingest.sql import first_row

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ENOUGH: Final = 3
"""Media files in a folder from which it is taken as one of media."""
_SIGHT: Final = 2000
"""Entries of a folder that are looked at to tell what it holds."""


def without_files(
    con: "DuckDBPyConnection",
    root: Path,
    items: DataFile | None,
    columns: dict[str, str],
    *,
    without: Sequence[str],
    findings: list[str],
) -> dict[str, str]:
    """Take media columns out of `columns` where no file of theirs is there, or nobody wants them.

    Returns:
        attribute -> column, for those whose own name would make them media again.
    """
    renamed: dict[str, str] = {}
    for modality in media.MEDIA_COLUMNS:
        if items is None or modality not in columns:
            continue
        column = columns[modality]
        if modality not in without:
            named, example = _named(con, items, column)
            if _present(con, root, items, modality, column):
                continue
            findings.append(
                f"column {column} of {items.name} names no file in the folder ({named:,} entries, e.g. '{example}'); "
                f"it stays an attribute, and there is no {modality} to decode"
            )
        del columns[modality]
        if column.lower() == modality:
            renamed[f"{modality}_link"] = column
    return renamed


def _named(con: "DuckDBPyConnection", items: DataFile, column: str) -> tuple[int, str]:
    value = values.text(column, items.columns[column])
    return first_row(con, f"SELECT count({value}), coalesce(min({value}), '') FROM ({items.scan_sql()})")


def _present(con: "DuckDBPyConnection", root: Path, items: DataFile, modality: str, column: str) -> int:
    """Number of items whose file is there; none where paths lead out of the folder."""
    try:
        table = media.from_column(con, root, items, modality, column)
    except InputError:
        return 0
    value = values.text(column, items.columns[column])
    (found,) = first_row(
        con, f"SELECT count(*) FROM ({items.scan_sql()}) WHERE {value} IN (SELECT key FROM {table.name})"
    )
    return int(found)


def other_folders(root: Path, without: Sequence[str]) -> dict[str, str] | None:
    """Modality -> folder to write under `media_folders`, None where the usual ones will do.

    Where a usual folder is not there, the only other one with media of its kind is taken; a modality that nobody wants
    has none.
    """
    chosen: dict[str, str] = {}
    for modality, usual in MEDIA_FOLDERS.items():
        if modality in without:
            continue
        found = folders_of(root, modality)
        if not (root / usual).is_dir() and len(found) == 1:
            chosen[str(modality)] = found[0]
    if not chosen and not set(without) & {str(modality) for modality in MEDIA_FOLDERS}:
        return None
    usual_ones = {
        str(modality): folder for modality, folder in MEDIA_FOLDERS.items() if modality not in without
    }
    return usual_ones | chosen


def folders_of(root: Path, modality: str) -> list[str]:
    """Folders directly in `root` that hold media of a modality, here or further down."""
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [folder.name for folder in folders if _holds(folder, media.MEDIA_SUFFIXES[modality])]


def _holds(folder: Path, suffixes: Sequence[str]) -> bool:
    seen = hits = 0
    for _, inner, names in os.walk(folder):
        inner.sort()
        for name in names:
            seen += 1
            hits += name.lower().endswith(tuple(suffixes))
            if hits >= _ENOUGH or seen >= _SIGHT:
                return hits > 0
    return hits > 0


def unseen(root: Path, used: Sequence[str], folders: Sequence[str]) -> list[str]:
    """Entries of the folder that nothing reads, in name order; notes and hidden files do not count."""
    quiet = (".md", ".txt", ".pdf", ".rst", ".html")
    found = []
    for path in sorted(root.iterdir()):
        if path.name.startswith((".", "_")) or path.suffix.lower() in quiet or path.stem.upper() == "LICENSE":
            continue
        known = folders if path.is_dir() else used
        if path.name not in known:
            found.append(f"{path.name}/" if path.is_dir() else path.name)
    return found
