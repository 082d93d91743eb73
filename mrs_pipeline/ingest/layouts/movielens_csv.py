"""MovieLens 20M, 25M, 32M and latest: `ratings.csv`, `movies.csv`, `links.csv`, `tags.csv` with headers."""

from functools import partial
from typing import Final

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.movielens_100k import GROUPLENS, LIKED, year_of
from mrs_pipeline.ingest.layouts.movielens_dat import genres_of, with_tags
from mrs_pipeline.ingest.layouts.workbench import Workbench, header_of

_RATINGS: Final = ["userId", "movieId", "rating", "timestamp"]


def recognise(contents: Contents) -> str | None:
    """By two names and a header."""
    ratings = contents.get("ratings.csv")
    if ratings is None or contents.get("movies.csv") is None or header_of(ratings, ",") != _RATINGS:
        return None
    return "ratings.csv (userId,movieId,rating,timestamp) and movies.csv"


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """All ratings; titles, genres, tags and the numbers of other film databases."""
    ratings, movies = contents.names["ratings.csv"], contents.names["movies.csv"]
    links, tags = contents.get("links.csv"), contents.get("tags.csv")
    notes = (
        ("genome-scores.csv (tags by relevance) is left aside",) if contents.get("genome-scores.csv") else ()
    )
    return Reading(
        interactions=(LayoutTable((ratings,), partial(_ratings, ratings)),),
        items=LayoutTable(
            (movies, *(entry for entry in (links, tags) if entry)), partial(_items, movies, links, tags)
        ),
        rules=LIKED,
        notes=notes,
    )


def _ratings(entry: Entry, bench: Workbench) -> str:
    return f"SELECT userId AS user_id, movieId AS item_id, rating, timestamp FROM {bench.csv(entry)}"


def _items(movies: Entry, links: Entry | None, tags: Entry | None, bench: Workbench) -> str:
    films = (
        f"SELECT movieId AS item_id, title, {year_of('title')} AS year, {genres_of('genres')} AS genres "
        f"FROM {bench.csv(movies)}"
    )
    if links is not None:
        numbers = f"SELECT movieId AS item_id, imdbId AS imdb_id, tmdbId AS tmdb_id FROM {bench.csv(links)}"
        films = (
            "SELECT * EXCLUDE (link_row) FROM (SELECT *, row_number() OVER () AS link_row FROM "
            f"({films})) LEFT JOIN ({numbers}) USING (item_id) ORDER BY link_row"
        )
    if tags is None:
        return films
    return with_tags(films, f"SELECT movieId AS item_id, tag FROM {bench.csv(tags)}")


LAYOUTS = (
    Layout(
        name="ml-csv",
        title="MovieLens 20M, 25M, 32M or latest",
        licence=GROUPLENS,
        where="the MovieLens page of GroupLens, ml-25m.zip or ml-32m.zip",
        recognise=recognise,
        read=read,
    ),
)
