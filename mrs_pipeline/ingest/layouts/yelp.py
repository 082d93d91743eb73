"""Yelp Open Dataset: reviews and businesses as JSON lines, photos beside them."""

from functools import partial
from typing import Final

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench, joined
from mrs_pipeline.ingest.sql import quoted_text

_REVIEW, _BUSINESS = "yelp_academic_dataset_review.json", "yelp_academic_dataset_business.json"
_LABELS: Final = ("food", "inside", "outside", "drink", "menu")
"""Of several photos of a business, the first of these kinds is taken."""


def recognise(contents: Contents) -> str | None:
    """By the name of the reviews."""
    return _REVIEW if contents.get(_REVIEW) else None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """Reviews of four stars and more; a later review of the same business replaces the earlier one."""
    reviews, businesses = contents.names[_REVIEW], contents.get(_BUSINESS)
    photos, folder = next(iter(contents.anywhere("photos.json")), None), contents.folder("photos", "*/photos")
    sources = (businesses, *([photos] if photos and folder else [])) if businesses else ()
    return Reading(
        interactions=(LayoutTable((reviews,), partial(_reviews, reviews)),),
        items=LayoutTable(
            tuple(entry for entry in sources if entry), partial(_items, businesses, photos, folder)
        )
        if businesses
        else None,
        rules={"min_rating": 4},
    )


def _reviews(entry: Entry, bench: Workbench) -> str:
    keys = dict.fromkeys(("user_id", "business_id", "stars", "date"), "VARCHAR")
    return (
        "SELECT user_id, business_id AS item_id, date AS timestamp, stars AS rating "
        f"FROM {bench.objects(entry, keys)}"
    )


def _items(businesses: Entry, photos: Entry | None, folder: str | None, bench: Workbench) -> str:
    keys = dict.fromkeys(("business_id", "name", "city", "state", "latitude", "longitude"), "VARCHAR")
    listed = (
        "SELECT business_id AS item_id, name AS title, city, state, latitude, longitude, "
        f"replace({joined('categories')}, ', ', '|') AS categories "
        f"FROM {bench.objects(businesses, {**keys, 'categories': 'JSON'})}"
    )
    if photos is None or folder is None:
        return listed
    order = f"list_position([{', '.join(map(quoted_text, _LABELS))}], label)"
    taken = bench.objects(photos, dict.fromkeys(("photo_id", "business_id", "label"), "VARCHAR"))
    best = (
        f"SELECT business_id AS item_id, {quoted_text(folder)} || '/' || arg_min(photo_id, (coalesce({order}, 9), "
        f"photo_id)) || '.jpg' AS image FROM {taken} GROUP BY business_id"
    )
    return f"SELECT * FROM ({listed}) LEFT JOIN ({best}) USING (item_id)"


LAYOUTS = (
    Layout(
        name="yelp",
        title="Yelp Open Dataset",
        licence="Yelp's dataset agreement: academic use",
        where="the Yelp Open Dataset page",
        recognise=recognise,
        read=read,
    ),
)
