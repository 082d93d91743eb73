"""Steam: the Australian users (v1), all reviews (v2), both as Python literals, and the 200k purchases and hours."""

import re
from functools import partial
from typing import Final

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench, cleanly, joined, moment_sql

_USERS, _AU_REVIEWS = "australian_users_items.json", "australian_user_reviews.json"
_REVIEWS, _GAMES = "steam_reviews.json", "steam_games.json"
_LINE = re.compile(r'[0-9]+,("[^"]*"|[^,"]*),(purchase|play),[0-9.]+,0\s*')
_OWNED: Final = "STRUCT(item_id VARCHAR, item_name VARCHAR, playtime_forever BIGINT)[]"
_REVIEWED: Final = "STRUCT(item_id VARCHAR, posted VARCHAR, recommend BOOLEAN)[]"
_LICENCE: Final = "not recorded here; read its page before use"


def _au_reason(contents: Contents) -> str | None:
    return next((name for name in (_USERS, _AU_REVIEWS) if contents.get(name)), None)


def _read_au(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    owned, reviews, games = (contents.get(name) for name in (_USERS, _AU_REVIEWS, _GAMES))
    files = [(owned, _played)] if owned else [(reviews, _recommended)]
    named = games or owned
    notes = "games that were played count, once each; minutes are no ratings"
    return Reading(
        interactions=tuple(LayoutTable((entry,), partial(select, entry)) for entry, select in files if entry),
        items=LayoutTable((named,), partial(_games if games else _owned_names, named)) if named else None,
        rules={"min_rating": None},
        notes=(notes if owned else "recommended games count; dates without a year are unknown",),
    )


def _played(entry: Entry, bench: Workbench) -> str:
    relation = bench.objects(entry, {"user_id": "VARCHAR", "items": _OWNED})
    return (
        "SELECT user_id, item.item_id AS item_id FROM (SELECT user_id, unnest(items) AS item "
        f"FROM {relation}) WHERE item.playtime_forever > 0"
    )


def _recommended(entry: Entry, bench: Workbench) -> str:
    relation = bench.objects(entry, {"user_id": "VARCHAR", "reviews": _REVIEWED})
    when = "try_strptime(review.posted, 'Posted %B %d, %Y.')"
    return (
        f"SELECT user_id, review.item_id AS item_id, strftime({when}, '%Y-%m-%d') AS timestamp FROM (SELECT user_id, "
        f"unnest(reviews) AS review FROM {relation}) WHERE review.recommend"
    )


def _owned_names(entry: Entry, bench: Workbench) -> str:
    relation = bench.objects(entry, {"items": _OWNED})
    return (
        "SELECT item.item_id AS item_id, min(item.item_name) AS title FROM (SELECT unnest(items) AS item "
        f"FROM {relation}) GROUP BY 1 ORDER BY 1"
    )


def _reviews_reason(contents: Contents) -> str | None:
    return _REVIEWS if contents.get(_REVIEWS) else None


def _read_reviews(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    reviews, games = contents.names[_REVIEWS], contents.get(_GAMES)
    return Reading(
        interactions=(LayoutTable((reviews,), partial(_reviewed, reviews)),),
        items=LayoutTable((games,), partial(_games, games)) if games else None,
        notes=("every review counts; the user is the name shown, since most rows have no other",),
    )


def _reviewed(entry: Entry, bench: Workbench) -> str:
    keys = dict.fromkeys(("username", "product_id", "date"), "VARCHAR")
    return (
        f"SELECT username AS user_id, product_id AS item_id, {moment_sql('date', '%Y-%m-%d')} AS timestamp "
        f"FROM {bench.objects(entry, keys)}"
    )


def _games(entry: Entry, bench: Workbench) -> str:
    texts = dict.fromkeys(
        ("id", "title", "app_name", "developer", "publisher", "release_date", "price"), "VARCHAR"
    )
    lists = dict.fromkeys(("genres", "tags", "specs"), "JSON")
    return (
        f"SELECT id AS item_id, {cleanly('coalesce(title, app_name)')} AS title, {joined('genres')} AS genres, "
        f"{joined('tags')} AS tags, {joined('specs')} AS specs, developer, publisher, release_date, price "
        f"FROM {bench.objects(entry, texts | lists)}"
    )


def _hours_file(contents: Contents) -> Entry | None:
    files = contents.match("*.csv")
    return next((entry for entry in files if _LINE.fullmatch(entry.first_line)), None)


def _hours_reason(contents: Contents) -> str | None:
    found = _hours_file(contents)
    return f"{found.shown}: no header; user, title, purchase or play, hours, 0" if found else None


def _read_hours(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    entry = _hours_file(contents)
    assert entry is not None
    return Reading(
        interactions=(LayoutTable((entry,), partial(_hours, entry)),),
        items=LayoutTable((entry,), partial(_titles, entry)),
        notes=(
            "games that were played count, once each; hours are no ratings, purchases alone are left out",
        ),
    )


def _hours_columns(entry: Entry, bench: Workbench) -> str:
    return bench.csv(entry, ["user_id", "title", "behaviour", "hours", "zero"])


def _hours(entry: Entry, bench: Workbench) -> str:
    return f"SELECT user_id, title AS item_id FROM {_hours_columns(entry, bench)} WHERE behaviour = 'play'"


def _titles(entry: Entry, bench: Workbench) -> str:
    return f"SELECT DISTINCT title AS item_id, title FROM {_hours_columns(entry, bench)} ORDER BY 1"


LAYOUTS = (
    Layout(
        name="steam-au",
        title="Steam, Australian users",
        licence=_LICENCE,
        where="the Steam data page of Julian McAuley's group (UCSD)",
        recognise=_au_reason,
        read=_read_au,
    ),
    Layout(
        name="steam-reviews",
        title="Steam, all reviews",
        licence=_LICENCE,
        where="the Steam data page of Julian McAuley's group (UCSD)",
        recognise=_reviews_reason,
        read=_read_reviews,
    ),
    Layout(
        name="steam-200k",
        title="Steam 200k",
        licence="not recorded here; read its page before use",
        where="Kaggle, Steam Video Games",
        recognise=_hours_reason,
        read=_read_hours,
    ),
)
