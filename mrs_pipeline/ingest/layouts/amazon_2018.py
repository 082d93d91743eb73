"""Amazon Reviews 2018 (Ni et al.): reviews and metadata as JSON lines, or ratings as CSV with the item first."""

from functools import partial
from typing import Final

from mrs_pipeline.ingest.layouts.amazon_2014 import json_files, ratings_files, ratings_select, review_select
from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry, first_keys
from mrs_pipeline.ingest.layouts.workbench import Workbench, cleanly, joined, title_or_null

_REVIEW: Final = {"reviewerID", "asin", "overall", "verified"}
_LONGEST_PRICE: Final = 40
"""Longer ones are the source of a page."""


def recognise(contents: Contents) -> str | None:
    """Reviews by the keys of their first object, ratings by what their columns look like."""
    found = _reviews(contents)
    if found:
        return f"{found[0].shown} with reviewerID, asin, overall and verified"
    ratings = ratings_files(contents, user=1, item=0)
    if ratings:
        return f"{ratings[0].shown}: no header; item of ten characters, reviewer, rating, seconds"
    return None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """Every review is one interaction."""
    reviews = _reviews(contents)
    files = reviews or ratings_files(contents, user=1, item=0)
    select = review_select if reviews else partial(ratings_select, columns=("item_id", "user_id"))
    meta = [entry for entry in json_files(contents) if "asin" in first_keys(entry)]
    meta = [entry for entry in meta if "reviewerID" not in first_keys(entry)]
    return Reading(
        interactions=tuple(LayoutTable((entry,), partial(select, entry)) for entry in files),
        items=LayoutTable(tuple(meta), partial(_items, meta)) if meta else None,
        rules={"min_rating": None},
        notes=(
            "every review counts as liking, as in the published tables; set interactions.min_rating for less",
            "times are whole days: reviews of one day have no order but the file's",
        ),
    )


def _reviews(contents: Contents) -> list[Entry]:
    return [entry for entry in json_files(contents) if first_keys(entry) >= _REVIEW]


def _items(files: list[Entry], bench: Workbench) -> str:
    texts = dict.fromkeys(("asin", "title", "brand", "main_cat", "price"), "VARCHAR")
    lists = dict.fromkeys(("category", "description", "feature", "imageURL", "imageURLHighRes"), "JSON")
    described = f"concat_ws(' ', {joined('description', ' ')}, {joined('feature', ' ')})"
    return " UNION ALL ".join(
        f"SELECT asin AS item_id, {title_or_null('title')} AS title, {cleanly(described)} AS description, "
        f"{cleanly('brand')} AS brand, {cleanly('main_cat')} AS main_category, {joined('category')} AS categories, "
        f"CASE WHEN length(price) <= {_LONGEST_PRICE} THEN price END AS price, "
        "coalesce(imageURLHighRes->>'$[0]', imageURL->>'$[0]') AS image_url "
        f"FROM {bench.objects(entry, texts | lists)}"
        for entry in files
    )


LAYOUTS = (
    Layout(
        name="amazon-2018",
        title="Amazon Reviews 2018",
        licence="not recorded here; read its page before use",
        where="the Amazon review data (2018) page of Jianmo Ni and Julian McAuley",
        recognise=recognise,
        read=read,
    ),
)
