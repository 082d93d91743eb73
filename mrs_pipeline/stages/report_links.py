"""How pages find each other: addresses between report, feature pages and studies, and the index of all reports."""

from collections.abc import Iterator
from datetime import UTC, datetime
from os.path import relpath
from pathlib import Path
from typing import Final

import polars as pl
from filelock import FileLock

from mrs_pipeline.reporting.index_page import DatasetEntry, index_page
from mrs_pipeline.reporting.inputs import PageLinks
from mrs_pipeline.schema import DATASET
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.pages import replace_text
from mrs_pipeline.storage.table import Table

INDEX: Final = "index.html"
REPORT_PAGE: Final = "report.html"
DRIFT_PAGE: Final = "drift.html"
_BELOW: Final = {"Feature sets": "features", "Studies": "experiments"}
"""Heading -> folder below the dataset's, whose folders are windows."""

Pages = dict[str, tuple[tuple[str, str], ...]]


def links_of_report(home: Home, dataset: str) -> PageLinks:
    """From the report of a dataset to its feature pages and studies, and to the index."""
    folder = home.reports / dataset
    return PageLinks((("All reports", f"../{INDEX}"),), _pages(folder, folder))


def links_of_part(home: Home, dataset: str, page: Path) -> PageLinks:
    """From a page about a part back to the report and the index."""
    report = home.reports / dataset / REPORT_PAGE
    above = ((f"Report of {dataset}", report), ("All reports", home.reports / INDEX))
    return PageLinks(tuple((title, _address(path, page.parent)) for title, path in above))


def write_index_page(home: Home) -> Path:
    """Write `data/reports/index.html` anew: every dataset that has a leaderboard.

    It is computed from what is stored whenever a report or study ends, and is no asset of its own.
    """
    path = home.reports / INDEX
    home.reports.mkdir(parents=True, exist_ok=True)
    with FileLock(home.data / ".index.lock"):
        text = index_page(list(_entries(home)), f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
        replace_text(path, text)
    return path


def _entries(home: Home) -> Iterator[DatasetEntry]:
    lake = Lake(home.lake)
    for table in sorted(lake.partitions("eval", "leaderboard"), key=str):
        dataset = dict(table.keys)[DATASET]
        board = lake.read(Table.of("eval", "leaderboard", dataset=dataset))
        if "stale" not in board.columns:  # of an earlier version, which the next run replaces
            continue
        page = home.reports / dataset / REPORT_PAGE
        yield DatasetEntry(
            dataset,
            board.with_columns(pl.lit(dataset).alias(DATASET)),
            _address(page, home.reports) if page.is_file() else None,
            _pages(home.reports / dataset, home.reports),
        )


def _pages(folder: Path, start: Path) -> Pages:
    """The pages below a dataset's folder by kind, windows in order."""
    found: Pages = {}
    drift = folder / DRIFT_PAGE
    if drift.is_file():
        found["Drift"] = (("from window to window", _address(drift, start)),)
    for heading, below in _BELOW.items():
        pages = sorted((folder / below).glob("*/*.html"))
        if pages:
            several = len({page.parent for page in pages}) > 1
            found[heading] = tuple(
                (f"{page.stem}, {page.parent.name}" if several else page.stem, _address(page, start))
                for page in pages
            )
    return found


def _address(path: Path, start: Path) -> str:
    return Path(relpath(path, start)).as_posix()
