"""MovieLens 1M and 10M: `.dat` files with `::` between fields, also within titles and tags."""

from functools import partial

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.movielens_100k import GROUPLENS, LIKED, year_of
from mrs_pipeline.ingest.layouts.workbench import Workbench


def _recognise(contents: Contents, *, users: bool) -> str | None:
    wanted = contents.get("ratings.dat"), contents.get("movies.dat")
    if not all(wanted) or (contents.get("users.dat") is not None) != users:
        return None
    return f"ratings.dat and movies.dat {'with' if users else 'without'} users.dat"


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """All ratings; tags are words about films, not interactions."""
    ratings, movies, tags = (
        contents.names["ratings.dat"],
        contents.names["movies.dat"],
        contents.get("tags.dat"),
    )
    return Reading(
        interactions=(LayoutTable((ratings,), partial(_ratings, ratings)),),
        items=LayoutTable((movies, *([tags] if tags else [])), partial(_items, movies, tags)),
        rules=LIKED,
    )


def _ratings(entry: Entry, bench: Workbench) -> str:
    return f"SELECT * FROM {bench.csv(entry, ['user_id', 'item_id', 'rating', 'timestamp'], delimiter='::', quote='')}"


def _items(movies: Entry, tags: Entry | None, bench: Workbench) -> str:
    """Lines are cut from both ends, since a title may hold `::`."""
    parts = [f"regexp_extract(line, '^(.*?)::(.*)::(.*?)$', {part})" for part in (1, 2, 3)]
    films = (
        f"SELECT item_id, title, {year_of('title')} AS year, {genres_of('genres')} AS genres FROM (SELECT {parts[0]} "
        f"AS item_id, {parts[1]} AS title, {parts[2]} AS genres FROM {bench.lines(movies, legacy=True)})"
    )
    if tags is None:
        return films
    cut = [f"regexp_extract(line, '^([0-9]+)::([0-9]+)::(.*)::([0-9]+)$', {part})" for part in (2, 3)]
    words = f"SELECT {cut[0]} AS item_id, {cut[1]} AS tag FROM {bench.lines(tags, legacy=True)}"
    return with_tags(films, words)


def genres_of(column: str) -> str:
    """SQL: genres, where there are any."""
    return f"NULLIF(NULLIF({column}, '(no genres listed)'), '')"


def with_tags(films: str, words: str) -> str:
    """SQL: the films, in order, each with its distinct tags in lower case."""
    return (
        "SELECT films.* EXCLUDE (film_row), tags FROM (SELECT *, row_number() OVER () AS film_row FROM "
        f"({films})) AS films LEFT JOIN (SELECT item_id, string_agg(DISTINCT lower(trim(tag)), '|' ORDER BY "
        f"lower(trim(tag))) AS tags FROM ({words}) WHERE trim(tag) <> '' GROUP BY item_id) USING (item_id) "
        "ORDER BY film_row"
    )


LAYOUTS = (
    Layout(
        name="ml-1m",
        title="MovieLens 1M",
        licence=GROUPLENS,
        where="the MovieLens page of GroupLens, ml-1m.zip",
        recognise=partial(_recognise, users=True),
        read=read,
    ),
    Layout(
        name="ml-10m",
        title="MovieLens 10M",
        licence=GROUPLENS,
        where="the MovieLens page of GroupLens, ml-10m.zip",
        recognise=partial(_recognise, users=False),
        read=read,
    ),
)
