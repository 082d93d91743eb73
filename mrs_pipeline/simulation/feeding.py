"""The files of a year: a dataset's rows cut by month, and how a file of them lands, whole or spoilt.

A file lands in one rename, as a sender who knows the sensor would do it. What a month's file holds depends on the
dataset alone, so that two homes that are fed in different orders end with the same files.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.opening import open_source
from mrs_pipeline.ingest.source import Source
from mrs_pipeline.schema import ITEM_ID, SOURCE_FILE, SOURCE_ROW, TIMESTAMP
from mrs_pipeline.storage.connection import open_memory
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.sql import literal
from mrs_pipeline.stored.raw_rows import moment
from mrs_pipeline.windows import window_end, window_start

FED_READERS: Final = ("folder", "demo")
"""Readers whose folders can be fed: tables that are found by name."""
LANDING: Final = "landing"
"""The source's folder in a home that is fed."""
OTHER_NAME: Final = "article_no"
"""What a file with a changed schema calls the item."""
_FOLDER: Final = "interactions"
_HISTORY: Final = "history"


@dataclass(frozen=True)
class Stock:
    """All files of a year before they land.

    Attributes:
        root: `interactions/` with a file a month and one of what came before; all else of the source beside it.
    """

    root: Path

    def file(self, month: str) -> Path:
        """The rows of a month."""
        return self.root / _FOLDER / f"{month}.parquet"


def stock_up(config: DatasetConfig, home: Home, months: Sequence[str], root: Path) -> Stock:
    """Cut a dataset's rows by month; items, media and matrices are linked. Rows after the last month are left out.

    Memory: that of one DuckDB connection, which spills to disk below `root`.

    Args:
        config: the dataset, with windows.
        home: which its source is relative to.
        months: keys of consecutive windows, each a file; what is earlier, or has no time, is the history.
        root: a new folder.

    Raises:
        InputError: the source cannot be cut by month, or cannot be read.
    """
    if config.source.reader not in FED_READERS:
        raise InputError(
            f"{config.name} is read by `{config.source.reader}`, whose files cannot be cut by month; `mrs simulate` "
            f"feeds datasets of the readers {' and '.join(FED_READERS)}."
        )
    source = open_source(config.source, home.root)
    stock = Stock(root)
    (root / _FOLDER).mkdir(parents=True)
    every = config.window.every
    first = window_start(every, months[0])
    with open_memory(root / ".spill") as con:
        con.execute(f"CREATE TEMP TABLE fed AS {source.interactions_sql(con)}")
        bounds = [(month, window_start(every, month), window_end(every, month)) for month in months]
        conditions = {_HISTORY: f"{TIMESTAMP} IS NULL OR {TIMESTAMP} < {moment(first)}"} | {
            month: f"{TIMESTAMP} >= {moment(start)} AND {TIMESTAMP} < {moment(end)}"
            for month, start, end in bounds
        }
        for name, condition in conditions.items():
            con.execute(
                f"COPY (SELECT * EXCLUDE ({SOURCE_FILE}, {SOURCE_ROW}) FROM fed WHERE {condition} "
                f"ORDER BY {SOURCE_FILE}, {SOURCE_ROW}) TO {literal(str(stock.file(name)))} (FORMAT parquet)"
            )
    _link_others(source, root)
    return stock


def land_all(stock: Stock, home: Home) -> None:
    """Every file of the year, as if it had always been there."""
    shutil.copytree(stock.root, home.root / LANDING, copy_function=_link, ignore=shutil.ignore_patterns(".*"))


def land_history(stock: Stock, home: Home) -> None:
    """What there is before the first month: the rows until then, items, media, matrices."""
    land_all(stock, home)
    for path in (home.root / LANDING / _FOLDER).iterdir():
        if path.stem != _HISTORY:
            path.unlink()


def land(stock: Stock, home: Home, month: str) -> Path:
    """The file of a month, as it should be; in place of a spoilt one, if that is there."""
    return _put(home, month, stock.file(month).read_bytes())


def land_cut_off(stock: Stock, home: Home, month: str) -> Path:
    """The first half of a month's file: its transfer was interrupted."""
    content = stock.file(month).read_bytes()
    return _put(home, month, content[: len(content) // 2])


def land_changed(stock: Stock, home: Home, month: str) -> Path:
    """A month's file whose sender has begun to call the item otherwise."""
    renamed = stock.root / f".{month}.renamed"
    with open_memory(stock.root / ".spill") as con:
        con.execute(
            f"COPY (SELECT * RENAME ({ITEM_ID} AS {OTHER_NAME}) FROM read_parquet({literal(str(stock.file(month)))})) "
            f"TO {literal(str(renamed))} (FORMAT parquet)"
        )
    content = renamed.read_bytes()
    renamed.unlink()
    return _put(home, month, content)


def fed_source(config: DatasetConfig) -> dict[str, Any]:
    """The `source:` section of a home that is fed: what the files of `stock_up` are called and hold."""
    given = config.source.model_dump(mode="json")
    kept = ("ids", "items", "item_columns", "items_header", "encoding", "media_folders", "matrices")
    return {"reader": "folder", "path": LANDING} | {name: given[name] for name in kept if name in given}


def _put(home: Home, month: str, content: bytes) -> Path:
    path = home.root / LANDING / _FOLDER / f"{month}.parquet"
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_bytes(content)
    return unfinished.replace(path)


def _link_others(source: Source, root: Path) -> None:
    """All that lies in the source's folder but interactions and hidden files."""
    landings = set(source.landings())
    for folder, names, files in os.walk(source.root):
        names[:] = [name for name in names if not name.startswith(".")]
        for name in files:
            path = Path(folder) / name
            if path in landings or name.startswith("."):
                continue
            target = root / path.relative_to(source.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(path, target)


def _link(path: str | Path, target: str | Path) -> None:
    try:
        os.link(Path(path).resolve(), target)
    except OSError:  # another file system, or one without links
        shutil.copy2(path, target)
