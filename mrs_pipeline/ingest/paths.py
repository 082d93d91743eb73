"""Where a source's files are: expansion of `source.path`, containment below the root, discovery by name.

No file is opened here; reading is `datafile`, media files are `media`.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.packing import PACKED, data_suffix, is_packed

DATA_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".inter")
"""Formats that can be read, by the end of the file's name; text also packed (`.csv.gz`, `.jsonl.zst`)."""

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


class SourceAbsent(InputError):  # noqa: N818 - a state of the machine, not a fault of the data
    """The source's folder is not on this machine; its dataset can be left out with a notice."""


def expanded(path: str) -> str:
    """`source.path` with its variables replaced; SourceAbsent where one is not set."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        if name not in os.environ:
            raise SourceAbsent(
                f"source.path '{path}' uses ${name}, which is not set; export {name}=FOLDER or "
                "write the path itself"
            )
        return os.environ[name]

    return _VARIABLE.sub(value, path)


def expand_pattern(path: str, home_root: Path) -> Path:
    """`source.path` as an absolute path: variables replaced, `~` expanded, relative to `home_root`."""
    return (home_root / Path(expanded(path)).expanduser()).resolve()


def inside(root: Path, relative: str, setting: str) -> Path:
    """`root / relative`, refused where it leaves `root` (absolute, `..` or a symbolic link)."""
    path = root / relative
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{setting}: '{relative}' leaves the source folder {root}; name something below it")
    return path


def named_files(root: Path, pattern: str, setting: str) -> list[Path]:
    """The files that a setting names: one file, all data files of a folder, or those that match a pattern."""
    if any(mark in pattern for mark in "*?["):
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise InputError(
                f"{setting}: '{pattern}' leaves the source folder {root}; name something below it"
            )
        found = _data_files(root, root.glob(pattern))
    else:
        path = inside(root, pattern, setting)
        if path.is_file():
            _require_format(path, setting)
            return [path]
        found = _data_files(root, path.rglob("*"))
    if not found:
        raise InputError(f"{setting}: nothing to read at '{pattern}' in {root}; {_content(root)}")
    return found


def named_file(root: Path, relative: str, setting: str, also: tuple[str, ...] = ()) -> Path:
    """The one file that a setting names, of a readable format or one of `also`."""
    path = inside(root, relative, setting)
    if not path.is_file():
        raise InputError(f"{setting}: no file '{relative}' in {root}; {_content(root)}")
    _require_format(path, setting, also)
    return path


def find_interactions(root: Path) -> list[Path]:
    """`interactions.*`, else the files of `interactions/`; InputError where there is neither."""
    alone = _single(root, "interactions")
    if alone:
        return [alone]
    folder = root / "interactions"
    found = _data_files(root, folder.rglob("*")) if folder.is_dir() else []
    if not found:
        raise InputError(
            f"{root} has no interactions.csv (or .parquet, .jsonl, .tsv) and no folder interactions/ with "
            f"such files; name the file under source.interactions (`--interactions` of `mrs init`); {_content(root)}"
        )
    return found


def has_interactions(root: Path) -> bool:
    """Whether the interactions can be found by name."""
    return _single(root, "interactions") is not None or (root / "interactions").is_dir()


def top_tables(root: Path) -> list[Path]:
    """All data files directly in the folder, in name order."""
    return _data_files(root, root.iterdir())


def find_items(root: Path) -> Path | None:
    """`items.*`, if there is one."""
    return _single(root, "items")


def _require_format(path: Path, setting: str, also: tuple[str, ...] = ()) -> None:
    readable = (*DATA_SUFFIXES, *also)
    if data_suffix(path) not in readable:
        raise InputError(
            f"{setting}: '{path.name}' is none of the readable formats ({', '.join(readable)}); convert it"
        )


def _single(root: Path, stem: str) -> Path | None:
    candidates = (f"{stem}{suffix}{packing}" for suffix in DATA_SUFFIXES for packing in ("", *PACKED))
    found = _without_twins(path for name in candidates if data_suffix(path := root / name) and path.is_file())
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise InputError(f"{root} holds {names}; name the one to read under source.{stem}")
    return found[0] if found else None


def _data_files(root: Path, paths: Iterable[Path]) -> list[Path]:
    """Files of a readable format in name order; hidden and unfinished (`.x`, `_x`) ones are not looked at."""
    found = [
        path for path in paths if data_suffix(path) in DATA_SUFFIXES and not path.name.startswith((".", "_"))
    ]
    files = _without_twins(path for path in found if path.is_file())
    return sorted(inside(root, str(path.relative_to(root)), "source") for path in files)


def _without_twins(paths: Iterable[Path]) -> list[Path]:
    """Without packed files whose unpacked form lies beside them: an archiver has made one and not removed the other."""
    found = list(paths)
    return [path for path in found if not (is_packed(path) and path.with_suffix("") in found)]


def _content(root: Path) -> str:
    names = sorted(path.name for path in root.iterdir())[:12]
    return f"it holds: {', '.join(names)}" if names else "it is empty"
