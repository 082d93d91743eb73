"""Amazon Reviews 2014 (McAuley et al.): reviews as JSON lines with metadata as Python literals, or ratings as CSV."""

import re
from functools import partial
from typing import Final

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry, first_keys, rows
from mrs_pipeline.ingest.layouts.workbench import Workbench, cleanly, joined, title_or_null

_REVIEW: Final = {"reviewerID", "asin", "overall", "helpful"}
_META: Final = {"asin", "categories"}
_ASIN = re.compile(r"[0-9A-Z]{10}")
_NUMBER = re.compile(r"[0-9]+([.][0-9]+)?")


def recognise(contents: Contents) -> str | None:
    """Reviews by the keys of their first object, ratings by what their columns look like."""
    found = _reviews(contents)
    if found:
        return f"{found[0].shown} with reviewerID, asin, overall and helpful"
    ratings = ratings_files(contents, user=0, item=1)
    if ratings and not contents.match("*_5.json"):
        return f"{ratings[0].shown}: no header; reviewer, item of ten characters, rating, seconds"
    return None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """Every review is one interaction."""
    reviews = _reviews(contents)
    files = reviews or ratings_files(contents, user=0, item=1)
    select = review_select if reviews else partial(ratings_select, columns=("user_id", "item_id"))
    meta = [entry for entry in json_files(contents) if "reviewerID" not in first_keys(entry)]
    meta = [entry for entry in meta if "asin" in first_keys(entry)]
    return Reading(
        interactions=tuple(LayoutTable((entry,), partial(select, entry)) for entry in files),
        items=LayoutTable(tuple(meta), partial(_items, meta)) if meta else None,
        rules={"min_rating": None},
        notes=(
            "every review counts as liking, as in the published tables; set interactions.min_rating for less",
            "times are whole days: reviews of one day have no order but the file's",
        ),
    )


def json_files(contents: Contents) -> list[Entry]:
    """The files of objects in the folder itself."""
    return contents.match("*.json", "*.jsonl", "*.json.txt")


def ratings_files(contents: Contents, *, user: int, item: int) -> list[Entry]:
    """CSV files without a header whose columns hold reviewers, items, ratings and seconds.

    An item may begin with A as reviewers do, so one column is the item's where all its values have ten capital letters
    or digits, and the other is the reviewer's where all begin with A and not all have ten characters.
    """
    return [entry for entry in contents.match("*.csv") if _is_ratings(rows(entry, ","), user, item)]


def _is_ratings(lines: list[list[str]], user: int, item: int) -> bool:
    if not lines or any(len(line) != 4 for line in lines):
        return False
    numbers = all(_NUMBER.fullmatch(line[2]) and line[3].strip().isdigit() for line in lines)
    items = all(_ASIN.fullmatch(line[item]) for line in lines)
    users = [line[user] for line in lines]
    reviewers = all(each.startswith("A") and len(each) >= 9 for each in users)
    return numbers and items and reviewers and any(len(each) != 10 for each in users)


def review_select(entry: Entry, bench: Workbench) -> str:
    """The reviews of 2014 and 2018."""
    keys = ("reviewerID", "asin", "unixReviewTime", "overall")
    return (
        "SELECT reviewerID AS user_id, asin AS item_id, unixReviewTime AS timestamp, overall AS rating "
        f"FROM {bench.objects(entry, dict.fromkeys(keys, 'VARCHAR'))}"
    )


def ratings_select(entry: Entry, bench: Workbench, columns: tuple[str, str]) -> str:
    """The ratings of 2014 and 2018, whose first two columns are swapped."""
    return f"SELECT * FROM {bench.csv(entry, [*columns, 'rating', 'timestamp'])}"


def _reviews(contents: Contents) -> list[Entry]:
    return [entry for entry in json_files(contents) if first_keys(entry) >= _REVIEW]


def _items(files: list[Entry], bench: Workbench) -> str:
    keys = dict.fromkeys(("asin", "title", "description", "price", "imUrl", "brand"), "VARCHAR")
    return " UNION ALL ".join(
        f"SELECT asin AS item_id, {title_or_null('title')} AS title, {cleanly('description')} AS description, brand, "
        f"price, {joined('categories')} AS categories, imUrl AS image_url "
        f"FROM {bench.objects(entry, {**keys, 'categories': 'JSON'})}"
        for entry in files
    )


LAYOUTS = (
    Layout(
        name="amazon-2014",
        title="Amazon Reviews 2014",
        licence="none is stated; research use, a citation is asked for",
        where="the Amazon product data page of Julian McAuley's group (UCSD)",
        recognise=recognise,
        read=read,
    ),
)
