"""MovieLens 100k: `u.data` and `u.item`, tab and bar, western encoding, genres as flags."""

from functools import partial
from typing import Final

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench

GROUPLENS: Final = (
    "research only, with a citation; no commercial use and no redistribution without permission"
)
LIKED: Final = {"min_rating": 4}
"""What GroupLens' data are usually cut at; ratings go from 0.5 or 1 to 5."""

_GENRES: Final = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *(
        "Fantasy",
        "Film-Noir",
        "Horror",
        "Musical",
        "Mystery",
        "Romance",
        "Sci-Fi",
        "Thriller",
        "War",
        "Western",
    ),
)


def recognise(contents: Contents) -> str | None:
    """By the two names."""
    return "u.data and u.item" if contents.get("u.data") and contents.get("u.item") else None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """All ratings; the ready parts u1 to u5, ua and ub hold the same rows."""
    ratings, items = contents.names["u.data"], contents.names["u.item"]
    return Reading(
        interactions=(LayoutTable((ratings,), partial(_ratings, ratings)),),
        items=LayoutTable((items,), partial(_items, items)),
        rules=LIKED,
        notes=("u1 to u5, ua and ub repeat the rows of u.data and are left aside",)
        if contents.get("u1.base")
        else (),
    )


def _ratings(entry: Entry, bench: Workbench) -> str:
    columns = ["user_id", "item_id", "rating", "timestamp"]
    return f"SELECT * FROM {bench.csv(entry, columns, delimiter=chr(9), quote='')}"


def _items(entry: Entry, bench: Workbench) -> str:
    flags = [f"g{number}" for number in range(len(_GENRES))]
    columns = ["item_id", "title", "release_date", "video_date", "imdb_url", *flags]
    named = ", ".join(
        f"CASE WHEN {flag} = '1' THEN '{genre.replace(chr(39), chr(39) * 2)}' END"
        for flag, genre in zip(flags, _GENRES, strict=True)
    )
    return (
        f"SELECT item_id, title, {year_of('title')} AS year, "
        f"NULLIF(array_to_string(list_filter([{named}], lambda x: x IS NOT NULL), '|'), '') AS genres, release_date, "
        f"imdb_url FROM {bench.csv(entry, columns, delimiter='|', quote='', legacy=True)}"
    )


def year_of(title: str) -> str:
    """SQL: the last four digits in brackets, which end most titles."""
    return f"NULLIF(regexp_extract({title}, '.*[(]([0-9]{{4}})[)]', 1), '')"


LAYOUTS = (
    Layout(
        name="ml-100k",
        title="MovieLens 100k",
        licence=GROUPLENS,
        where="the MovieLens page of GroupLens, ml-100k.zip",
        recognise=recognise,
        read=read,
    ),
)
