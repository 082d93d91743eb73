"""Guessing which column is what by well-known names, for `mrs init` only: a reader itself never guesses."""

from collections.abc import Iterable
from typing import Final

from mrs_pipeline.schema import DESCRIPTION, FIRST_SEEN, ITEM_ID, RATING, SPLIT, TIMESTAMP, TITLE, USER_ID

WELL_KNOWN: Final[dict[str, tuple[str, ...]]] = {
    USER_ID: (
        *(
            "userid",
            "uid",
            "user",
            "customerid",
            "customer",
            "reviewerid",
            "reviewer",
            "memberid",
            "clientid",
        ),
        *("accountid", "visitorid", "listenerid", "readerid", "personid", "username"),
    ),
    ITEM_ID: (
        *(
            "itemid",
            "iid",
            "item",
            "asin",
            "parentasin",
            "movieid",
            "productid",
            "product",
            "sku",
            "articleid",
        ),
        *(
            "trackid",
            "songid",
            "videoid",
            "bookid",
            "isbn",
            "newsid",
            "businessid",
            "wineid",
            "recipeid",
            "gameid",
            "artistid",
        ),
    ),
    TIMESTAMP: (
        *(
            "timestamp",
            "time",
            "datetime",
            "date",
            "unixreviewtime",
            "ts",
            "eventtime",
            "createdat",
            "reviewtime",
        ),
        *("ratedat", "boughtat", "visittime", "unixtime", "when"),
    ),
    RATING: ("rating", "ratings", "score", "stars", "star", "overall", "starrating", "rate"),
    SPLIT: ("split", "xlabel", "fold"),
    TITLE: ("title", "name", "itemname", "productname", "producttitle", "itemtitle", "prodname"),
    DESCRIPTION: (
        "description",
        "text",
        "overview",
        "plot",
        "abstract",
        "summary",
        "content",
        "blurb",
        "detaildesc",
    ),
    "image": ("image", "imagepath", "imagefile", "picture", "poster", "posterpath", "cover"),
    "audio": ("audio", "audiopath", "audiofile", "sound"),
    "video": ("video", "videopath", "videofile", "trailer"),
    FIRST_SEEN: ("firstseen", "firstseenat"),
}
"""Canonical column -> names that people give it, best first, in lower case without separators."""

_DATES_OF_ITEMS: Final = (
    *(
        "releasedate",
        "released",
        "releasedat",
        "availablefrom",
        "availablesince",
        "dateadded",
        "addedat",
        "createdat",
    ),
    *("publishedat", "publishdate", "publicationdate", "launchdate"),
)
"""Columns of items that may say since when they can be recommended; whether they do, their owner knows."""

_KNOWN: Final = frozenset(name for names in WELL_KNOWN.values() for name in names) | {"id"}

_ID_ALONE: Final = ("id",)
"""Means the item in an items file, and nothing certain elsewhere."""


def guess(columns: Iterable[str], wanted: Iterable[str], *, items_file: bool = False) -> dict[str, str]:
    """Canonical name -> column of the file, for those that are recognised; no column is used twice."""
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(_bare(column), column)
    found: dict[str, str] = {}
    for canonical in wanted:
        names = WELL_KNOWN[canonical]
        if items_file and canonical == ITEM_ID:
            names += _ID_ALONE
        free = [by_name[name] for name in names if name in by_name and by_name[name] not in found.values()]
        if free:
            found[canonical] = free[0]
    return found


def date_of_items(columns: Iterable[str]) -> str | None:
    """A column of the items that may say since when each can be recommended."""
    return next((column for column in columns if _bare(column) in _DATES_OF_ITEMS), None)


def is_well_known(name: str) -> bool:
    """Whether a text is the name of a column that means something."""
    return _bare(name) in _KNOWN


def item_columns_of(columns: Iterable[str], also: str | None = None, *, items_file: bool = True) -> list[str]:
    """The columns that may hold the item: `also`, then those with a well-known name, best first."""
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(_bare(column), column)
    names = (*WELL_KNOWN[ITEM_ID], *(_ID_ALONE if items_file else ()))
    found = [by_name[name] for name in names if name in by_name]
    first = [also] if also is not None and also in by_name.values() else []
    return list(dict.fromkeys([*first, *found]))


def _bare(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))
