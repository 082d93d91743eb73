"""The page above all reports: each dataset, its windows with their leaders, and the pages about its parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from mrs_pipeline.evaluation.options import COMPARED
from mrs_pipeline.reporting.html import render
from mrs_pipeline.reporting.leaderboard import current
from mrs_pipeline.reporting.narrative import choice_for_known, choice_for_new
from mrs_pipeline.reporting.sections import CellValue, Header, PageTable, shown_number


@dataclass(frozen=True)
class DatasetEntry:
    """One dataset of the index.

    Attributes:
        dataset: its name.
        board: its leaderboard, all windows.
        report: address of its report relative to the index; None where it has not been made.
        pages: heading -> (title, address) of its other pages.
    """

    dataset: str
    board: pl.DataFrame
    report: str | None
    pages: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)

    @property
    def windows(self) -> PageTable:
        """One row a window and protocol, the latest first."""
        return _windows_table(self.board)


def index_page(entries: Sequence[DatasetEntry], generated: str) -> str:
    """The page as HTML text.

    Args:
        entries: in their order on the page.
        generated: moment of generation, for people.
    """
    return render("index.html.j2", entries=entries, generated=generated)


def _windows_table(board: pl.DataFrame) -> PageTable:
    metric = COMPARED[0]
    headers = (
        Header("Window", numeric=False),
        Header("Leads", numeric=False),
        Header(metric),
        Header("Deploy", "the cheapest of those that cannot be told apart from the leader", numeric=False),
        Header("Deploy for new items", numeric=False),
        Header("Models"),
        Header("Users"),
    )
    groups = current(board).filter(pl.col(metric).is_not_null()).sort("rank")
    rows = []
    for group in groups.partition_by("protocol", "window", maintain_order=True):
        found = group.to_dicts()
        new = choice_for_new(found)
        names = (found[0]["window"], found[0]["model"])
        chosen = str(choice_for_known(found, metric).row["model"])
        rows.append(
            (
                *(CellValue(name, name) for name in names),
                shown_number(found[0][metric]),
                CellValue(chosen, chosen),
                CellValue("–") if new is None else CellValue(str(new.row["model"]), str(new.row["model"])),
                shown_number(len(found), 0),
                shown_number(found[0]["n_users"], 0),
            )
        )
    rows.sort(key=lambda row: str(row[0].sort), reverse=True)
    return PageTable(headers, tuple(rows))
