"""Book-Crossing: semicolons, quotes with backslashes, Windows' western encoding; a rating of 0 is no rating."""

from functools import partial

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench, cleanly, header_of

_NAMES = {"BX-Book-Ratings.csv": "BX-Books.csv", "Ratings.csv": "Books.csv"}
"""Ratings -> books: the original names, and those of the copies on Kaggle."""
_HEADER = ["User-ID", "ISBN", "Book-Rating"]


def recognise(contents: Contents) -> str | None:
    """By a name and its header."""
    for name in _NAMES:
        entry = contents.get(name)
        if entry and header_of(entry, _delimiter(entry)) == _HEADER:
            return f"{entry.shown} (User-ID, ISBN, Book-Rating)"
    return None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """Every row; explicit ratings go from 1 to 10."""
    name = next(name for name in _NAMES if contents.get(name))
    ratings, books = contents.names[name], contents.get(_NAMES[name])
    return Reading(
        interactions=(LayoutTable((ratings,), partial(_rows, ratings)),),
        items=LayoutTable((books,), partial(_items, books)) if books else None,
        rules={"min_rating": None},
        notes=("every row counts; a rating of 0 says that the book was met, not how it was liked",),
    )


def _delimiter(entry: Entry) -> str:
    return ";" if ";" in entry.first_line else ","


def _relation(entry: Entry, bench: Workbench) -> str:
    delimiter = _delimiter(entry)
    return bench.csv(entry, delimiter=delimiter, escape="\\" if delimiter == ";" else '"', legacy=True)


def _rows(entry: Entry, bench: Workbench) -> str:
    return (
        """SELECT "User-ID" AS user_id, ISBN AS item_id, NULLIF("Book-Rating", '0') AS rating """
        f"FROM {_relation(entry, bench)}"
    )


def _items(entry: Entry, bench: Workbench) -> str:
    images = ', "Image-URL-L" AS image_url' if "Image-URL-L" in header_of(entry, _delimiter(entry)) else ""
    return (
        f"""SELECT ISBN AS item_id, {cleanly('"Book-Title"')} AS title, {cleanly('"Book-Author"')} AS author, """
        f'"Year-Of-Publication" AS year, {cleanly("Publisher")} AS publisher{images} FROM {_relation(entry, bench)}'
    )


LAYOUTS = (
    Layout(
        name="book-crossing",
        title="Book-Crossing",
        licence="free for research, with a citation",
        where="the Book-Crossing page of Cai-Nicolas Ziegler",
        recognise=recognise,
        read=read,
    ),
)
