"""Goodreads (UCSD): shelves as JSON lines, or as CSV whose ids are row numbers that a map leads to books."""

from functools import partial
from typing import Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench, cleanly, moment_sql

_TIME: Final = "%a %b %d %H:%M:%S %z %Y"
_LICENCE: Final = "academic use only; no redistribution, no commercial use"
_WHERE: Final = "the UCSD Book Graph page of Mengting Wan"
_RULES: Final = {"min_rating": None}
_NOTES: Final = ("books that were read count, shelving alone does not; a rating of 0 is none",)


def _json_reason(contents: Contents) -> str | None:
    found = contents.match("goodreads_interactions_*.json")
    return found[0].shown if found else None


def _read_json(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    files = contents.match("goodreads_interactions_*.json")
    return Reading(
        interactions=tuple(LayoutTable((entry,), partial(_shelved, entry)) for entry in files),
        items=_books(contents),
        rules=_RULES,
        notes=_NOTES,
    )


def _csv_reason(contents: Contents) -> str | None:
    return "goodreads_interactions.csv" if contents.get("goodreads_interactions.csv") else None


def _read_csv(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    entry, books = contents.names["goodreads_interactions.csv"], contents.get("book_id_map.csv")
    if books is None and contents.match("goodreads_books*.json"):
        raise InputError(
            "goodreads_interactions.csv numbers its books by row; add book_id_map.csv, which leads to the books file"
        )
    return Reading(
        interactions=(LayoutTable((entry, *([books] if books else [])), partial(_numbered, entry, books)),),
        items=_books(contents),
        rules=_RULES,
        notes=_NOTES,
    )


def _shelved(entry: Entry, bench: Workbench) -> str:
    keys = ("user_id", "book_id", "is_read", "rating", "date_added", "date_updated")
    when = "coalesce(NULLIF(date_updated, ''), NULLIF(date_added, ''))"
    return (
        f"SELECT user_id, book_id AS item_id, {moment_sql(when, _TIME)} AS timestamp, NULLIF(rating, '0') AS rating "
        f"FROM {bench.objects(entry, dict.fromkeys(keys, 'VARCHAR'))} WHERE is_read = 'true'"
    )


def _numbered(entry: Entry, books: Entry | None, bench: Workbench) -> str:
    rows = (
        f"SELECT user_id, book_id, NULLIF(rating, '0') AS rating FROM {bench.csv(entry)} WHERE is_read = '1'"
    )
    if books is None:
        return f"SELECT user_id, book_id AS item_id, rating FROM ({rows})"
    numbered = f"SELECT *, row_number() OVER () AS shelf_row FROM ({rows})"
    return (
        "SELECT user_id, map.book_id AS item_id, rating "
        f"FROM ({numbered}) AS shelved LEFT JOIN {bench.csv(books)} AS map ON shelved.book_id = map.book_id_csv "
        "ORDER BY shelf_row"
    )


def _books(contents: Contents) -> LayoutTable | None:
    files = contents.match("goodreads_books*.json")
    return LayoutTable(tuple(files), partial(_items, files)) if files else None


def _items(files: list[Entry], bench: Workbench) -> str:
    names = (
        "book_id",
        "title",
        "description",
        "image_url",
        "isbn",
        "publisher",
        "publication_year",
        "language_code",
    )
    others = ", ".join(f"NULLIF({name}, '') AS {name}" for name in names[3:])
    return " UNION ALL ".join(
        f"SELECT book_id AS item_id, {cleanly('title')} AS title, {cleanly('description')} AS description, {others} "
        f"FROM {bench.objects(entry, dict.fromkeys(names, 'VARCHAR'))}"
        for entry in files
    )


LAYOUTS = (
    Layout(
        name="goodreads",
        title="Goodreads, JSON",
        licence=_LICENCE,
        where=_WHERE,
        recognise=_json_reason,
        read=_read_json,
    ),
    Layout(
        name="goodreads-csv",
        title="Goodreads, CSV",
        licence=_LICENCE,
        where=_WHERE,
        recognise=_csv_reason,
        read=_read_csv,
    ),
)
