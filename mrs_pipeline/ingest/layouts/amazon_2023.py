"""Amazon Reviews 2023 (Hou et al.): JSON lines that are joined on `parent_asin`, or the benchmark's CSV.

The CSV come with a header or, straight from the authors' scripts, without; a part of a split is named by its file.
"""

import re
from functools import partial
from typing import Final

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry, first_keys
from mrs_pipeline.ingest.layouts.workbench import Workbench, cleanly, joined, title_or_null

_REVIEW: Final = {"user_id", "parent_asin", "rating", "helpful_vote"}
_TIMES: Final = ("timestamp", "sort_timestamp", "sortTimestamp")
_HEADER: Final = ["user_id", "parent_asin", "rating", "timestamp"]
_ROW = re.compile(r"A[0-9A-Z]{2,},[0-9A-Z]{10},[0-9]([.][0-9]+)?,-?[0-9]{12,14}(,.*)?")
_PARTS: Final = {"train": "train", "valid": "valid", "test": "test"}
_LICENCE: Final = "the authors say that they cannot assign a licence; for research"


def _raw_reason(contents: Contents) -> str | None:
    found = _reviews(contents)
    return f"{found[0].shown} with user_id, parent_asin, rating and helpful_vote" if found else None


def _read_raw(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    return Reading(
        interactions=tuple(
            LayoutTable((entry,), partial(_review_select, entry)) for entry in _reviews(contents)
        ),
        items=_catalogue(contents),
        rules={"min_rating": None, "deduplicate": "first"},
        notes=(
            "reviews and metadata are joined on parent_asin; asin names a variant of the product and is left aside",
            "every review counts as liking, the first of a user and a product stays",
        ),
    )


def _benchmark_reason(contents: Contents) -> str | None:
    found = _benchmark(contents)
    return f"{found[0].shown} with user_id, parent_asin, rating and timestamp" if found else None


def _read_benchmark(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    files = _benchmark(contents)
    split = any(_part(entry) for entry in files)
    return Reading(
        interactions=tuple(
            LayoutTable((entry,), partial(_benchmark_select, entry, split)) for entry in files
        ),
        items=_catalogue(contents),
        rules={"min_rating": None, "deduplicate": "first"},
        windows=not split,
        notes=("the split is the one of the file names",) if split else (),
    )


def _reviews(contents: Contents) -> list[Entry]:
    return [entry for entry in _objects(contents) if first_keys(entry) >= _REVIEW]


def _objects(contents: Contents) -> list[Entry]:
    return contents.anywhere("*.jsonl", "*.json")


def _benchmark(contents: Contents) -> list[Entry]:
    return [
        entry for entry in contents.anywhere("*.csv") if _headed(entry) or _ROW.fullmatch(entry.first_line)
    ]


def _headed(entry: Entry) -> bool:
    return entry.first_line.strip().split(",")[:4] == _HEADER


def _part(entry: Entry) -> str | None:
    pieces = entry.name.rsplit("/", 1)[-1].split(".")
    return next((_PARTS[piece] for piece in pieces if piece in _PARTS), None)


def _review_select(entry: Entry, bench: Workbench) -> str:
    keys = dict.fromkeys(("user_id", "parent_asin", "rating", *_TIMES), "VARCHAR")
    return (
        f"SELECT user_id, parent_asin AS item_id, coalesce({', '.join(_TIMES)}) AS timestamp, rating "
        f"FROM {bench.objects(entry, keys)}"
    )


def _benchmark_select(entry: Entry, split: bool, bench: Workbench) -> str:
    names = None if _headed(entry) else [*_HEADER, "history"][: len(entry.first_line.split(","))]
    part = f"'{_part(entry) or 'train'}'" if split else "CAST(NULL AS VARCHAR)"
    return (
        f"SELECT user_id, parent_asin AS item_id, timestamp, rating, {part} AS split "
        f"FROM {bench.csv(entry, names)}"
    )


def _catalogue(contents: Contents) -> LayoutTable | None:
    files = [entry for entry in _objects(contents) if _is_meta(first_keys(entry))]
    return LayoutTable(tuple(files), partial(_items, files)) if files else None


def _is_meta(keys: frozenset[str]) -> bool:
    return "parent_asin" in keys and "user_id" not in keys


def _items(files: list[Entry], bench: Workbench) -> str:
    texts = dict.fromkeys(
        ("parent_asin", "title", "store", "main_category", "price", "subtitle", "author"), "VARCHAR"
    )
    lists = dict.fromkeys(("features", "description", "categories", "images"), "JSON")
    described = f"concat_ws(' ', {joined('features', ' ')}, {joined('description', ' ')})"
    return " UNION ALL ".join(
        f"SELECT parent_asin AS item_id, {title_or_null('title')} AS title, {cleanly(described)} AS description, "
        f"main_category, store, price, {joined('categories')} AS categories, "
        "coalesce(images->>'$[0].hi_res', images->>'$[0].large', images->>'$[0].thumb') AS image_url "
        f"FROM {bench.objects(entry, texts | lists)}"
        for entry in files
    )


LAYOUTS = (
    Layout(
        name="amazon-2023",
        title="Amazon Reviews 2023",
        licence=_LICENCE,
        where="the Amazon Reviews 2023 page of the McAuley Lab",
        recognise=_raw_reason,
        read=_read_raw,
    ),
    Layout(
        name="amazon-2023-benchmark",
        title="Amazon Reviews 2023, benchmark files",
        licence=_LICENCE,
        where="the Amazon Reviews 2023 page of the McAuley Lab, 0-core and 5-core",
        recognise=_benchmark_reason,
        read=_read_benchmark,
    ),
)
