"""Douban: films, books and music of Song et al., and the short comments on films (DMSC)."""

from functools import partial
from pathlib import PurePosixPath

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench, header_of

_HEADER = ["UserId", "ItemId", "Rating", "Timestamp"]
_DOMAINS = ("movie", "book", "music")
_COMMENTS = "DMSC.csv"


def _ratings(contents: Contents) -> dict[str, Entry]:
    """Domain -> its file."""
    files = contents.anywhere("*douban_*.tsv")
    headed = [entry for entry in files if header_of(entry, "\t", "") == _HEADER]
    return {name: entry for entry in headed for name in _DOMAINS if name in PurePosixPath(entry.name).name}


def _ratings_reason(contents: Contents) -> str | None:
    found = _ratings(contents)
    return f"{next(iter(found.values())).shown} with UserId, ItemId, Rating and Timestamp" if found else None


def _read_ratings(contents: Contents, choices: Choices) -> Reading:
    found = _ratings(contents)
    domain = choices.get("domain") or next(iter(found))
    if domain not in found or ("domain" not in choices and len(found) > 1):
        raise InputError(
            f"films, books and music number their items alike, so one of {', '.join(found)} has to be chosen; run "
            f"again with `--choose domain={next(iter(found))}`"
        )
    entry = found[domain]
    return Reading(
        interactions=(LayoutTable((entry,), partial(_rows, entry)),),
        rules={"min_rating": None},
        notes=("every row counts; a rating of -1 is none",),
    )


def _rows(entry: Entry, bench: Workbench) -> str:
    return (
        "SELECT UserId AS user_id, ItemId AS item_id, Timestamp AS timestamp, CASE WHEN TRY_CAST(Rating AS DOUBLE) "
        f"= -1 THEN NULL ELSE Rating END AS rating FROM {bench.csv(entry, delimiter=chr(9), quote='')}"
    )


def _comments_reason(contents: Contents) -> str | None:
    return _COMMENTS if contents.get(_COMMENTS) else None


def _read_comments(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    entry = contents.names[_COMMENTS]
    return Reading(
        interactions=(LayoutTable((entry,), partial(_commented, entry)),),
        items=LayoutTable((entry,), partial(_films, entry)),
        rules={"min_rating": 4},
        notes=("the data set has 28 films: metrics of a ranking mean little on so few items",),
    )


def _commented(entry: Entry, bench: Workbench) -> str:
    return (
        "SELECT Username AS user_id, Movie_Name_EN AS item_id, Date AS timestamp, Star AS rating "
        f"FROM {bench.csv(entry)}"
    )


def _films(entry: Entry, bench: Workbench) -> str:
    return (
        "SELECT Movie_Name_EN AS item_id, Movie_Name_EN AS title, min(Movie_Name_CN) AS chinese_title "
        f"FROM {bench.csv(entry)} GROUP BY Movie_Name_EN ORDER BY 1"
    )


LAYOUTS = (
    Layout(
        name="douban",
        title="Douban (Song et al.)",
        licence="not recorded here; read its page before use",
        where="the DGRec repository of Weiping Song",
        recognise=_ratings_reason,
        read=_read_ratings,
        choices={"domain": _DOMAINS},
    ),
    Layout(
        name="douban-dmsc",
        title="Douban short comments on films (DMSC)",
        licence="not recorded here; read its page before use",
        where="Kaggle, Douban Movie Short Comments",
        recognise=_comments_reason,
        read=_read_comments,
    ),
)
