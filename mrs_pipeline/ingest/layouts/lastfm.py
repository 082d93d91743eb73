"""Last.fm: HetRec 2011 (2K users), the 360K users with play counts, the 1K users with every play."""

import re
from functools import partial
from typing import Final

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench, header_of

_COUNTS: Final = "usersha1-artmbid-artname-plays.tsv"
_PLAYS: Final = "userid-timestamp-artid-artname-traid-traname.tsv"
_HASH = re.compile(r"[0-9a-f]{40}\t.*")
_LICENCE: Final = "non-commercial use only"
_NOTE: Final = "every pair counts once; plays are counts and no ratings"


def _hetrec_reason(contents: Contents) -> str | None:
    there = contents.get("user_artists.dat") and contents.get("artists.dat")
    return "user_artists.dat and artists.dat" if there else None


def _read_hetrec(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    plays, artists = contents.names["user_artists.dat"], contents.names["artists.dat"]
    tags, tagged = contents.get("tags.dat"), contents.get("user_taggedartists.dat")
    tagged = tagged or contents.get("user_taggedartists-timestamps.dat")
    words = (tags, tagged) if tags and tagged else ()
    return Reading(
        interactions=(LayoutTable((plays,), partial(_hetrec_pairs, plays)),),
        items=LayoutTable((artists, *words), partial(_artists, artists, *(words or (None, None)))),
        notes=(_NOTE,),
    )


def _tabbed(entry: Entry, bench: Workbench, columns: list[str] | None = None) -> str:
    return bench.csv(entry, columns, delimiter="\t", quote="", legacy=True)


def _hetrec_pairs(entry: Entry, bench: Workbench) -> str:
    return f"SELECT userID AS user_id, artistID AS item_id FROM {_tabbed(entry, bench)}"


def _artists(artists: Entry, tags: Entry | None, tagged: Entry | None, bench: Workbench) -> str:
    pictures = ", pictureURL AS picture_url" if "pictureURL" in header_of(artists, "\t", "") else ""
    listed = f"SELECT id AS item_id, name AS title{pictures} FROM {_tabbed(artists, bench)}"
    if tags is None or tagged is None:
        return listed
    words = (
        "SELECT artistID AS item_id, string_agg(DISTINCT lower(tagValue), '|' ORDER BY lower(tagValue)) AS tags FROM "
        f"{_tabbed(tagged, bench)} JOIN {_tabbed(tags, bench)} USING (tagID) GROUP BY 1"
    )
    return f"SELECT * FROM ({listed}) LEFT JOIN ({words}) USING (item_id)"


def _counts_reason(contents: Contents) -> str | None:
    return _COUNTS if contents.get(_COUNTS) else None


def _read_counts(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    entry = contents.names[_COUNTS]
    return Reading(
        interactions=(LayoutTable((entry,), partial(_counted, entry)),),
        items=LayoutTable((entry,), partial(_counted_artists, entry)),
        notes=(
            _NOTE,
            "an artist is its MusicBrainz id, or where there is none its name in lower case",
            "broken lines keep no user and are quarantined",
        ),
    )


_ARTIST: Final = "coalesce(NULLIF(artist, ''), lower(name))"


def _counted_columns(entry: Entry, bench: Workbench) -> str:
    return bench.csv(entry, ["user_id", "artist", "name", "plays"], delimiter="\t", quote="")


def _counted(entry: Entry, bench: Workbench) -> str:
    """Lines without a count, or among users named by digests without one, are broken."""
    whole = "TRY_CAST(plays AS DOUBLE) IS NOT NULL"
    if entry.lines and all(_HASH.fullmatch(line) for line in entry.lines):
        whole += " AND regexp_full_match(user_id, '[0-9a-f]{40}')"
    return (
        f"SELECT CASE WHEN {whole} THEN user_id END AS user_id, {_ARTIST} AS item_id "
        f"FROM {_counted_columns(entry, bench)}"
    )


def _counted_artists(entry: Entry, bench: Workbench) -> str:
    return (
        f"SELECT {_ARTIST} AS item_id, min(name) AS title FROM {_counted_columns(entry, bench)} "
        "WHERE TRY_CAST(plays AS DOUBLE) IS NOT NULL GROUP BY 1 ORDER BY 1"
    )


def _plays_reason(contents: Contents) -> str | None:
    return _PLAYS if contents.get(_PLAYS) else None


def _read_plays(contents: Contents, choices: Choices) -> Reading:
    entry, by = contents.names[_PLAYS], choices.get("item", "artist")
    other = "track" if by == "artist" else "artist"
    return Reading(
        interactions=(LayoutTable((entry,), partial(_played, entry, by)),),
        items=LayoutTable((entry,), partial(_played_names, entry, by)),
        rules={"deduplicate": "first"},
        notes=(f"an item is the {by}; `--choose item={other}` takes the {other} instead", _NOTE),
    )


def _key(by: str) -> str:
    ours = "coalesce(NULLIF({0}_id, ''), lower({1}))"
    return (
        ours.format("artist", "artist")
        if by == "artist"
        else ours.format("track", "artist || ' - ' || track")
    )


def _played_columns(entry: Entry, bench: Workbench) -> str:
    columns = ["user_id", "timestamp", "artist_id", "artist", "track_id", "track"]
    return bench.csv(entry, columns, delimiter="\t", quote="")


def _played(entry: Entry, by: str, bench: Workbench) -> str:
    return f"SELECT user_id, {_key(by)} AS item_id, timestamp FROM {_played_columns(entry, bench)}"


def _played_names(entry: Entry, by: str, bench: Workbench) -> str:
    name = "min(artist)" if by == "artist" else "min(track)"
    return f"SELECT {_key(by)} AS item_id, {name} AS title FROM {_played_columns(entry, bench)} GROUP BY 1 ORDER BY 1"


LAYOUTS = (
    Layout(
        name="lastfm-2k",
        title="Last.fm, HetRec 2011",
        licence=_LICENCE,
        where="the HetRec 2011 page of GroupLens",
        recognise=_hetrec_reason,
        read=_read_hetrec,
    ),
    Layout(
        name="lastfm-360k",
        title="Last.fm 360K",
        licence=_LICENCE,
        where="Oscar Celma's page of music recommendation data",
        recognise=_counts_reason,
        read=_read_counts,
    ),
    Layout(
        name="lastfm-1k",
        title="Last.fm 1K",
        licence="not recorded here; read its page before use",
        where="Oscar Celma's page of music recommendation data",
        recognise=_plays_reason,
        read=_read_plays,
        choices={"item": ("artist", "track")},
    ),
)
