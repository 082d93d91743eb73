"""MicroLens-1M of the MMCTR challenge: Parquet with clicks, the earlier items of each user, and tags of items."""

from functools import partial

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench

_FOLDER = "MicroLens_1M_x1"


def recognise(contents: Contents) -> str | None:
    """By the training file, in its folder or at the root."""
    train = _file(contents, "train.parquet")
    return train.shown if train and _file(contents, "item_info.parquet") else None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """Clicks (label 1) and what was clicked before; users of `valid` validate or test, half each."""
    train, valid = _file(contents, "train.parquet"), _file(contents, "valid.parquet")
    info = _file(contents, "item_info.parquet")
    assert train is not None
    tables = [LayoutTable((train,), partial(_clicks, train, "'train'" if valid else "CAST(NULL AS VARCHAR)"))]
    if valid:
        halves = "CASE WHEN md5_number_lower(CAST(user_id AS VARCHAR)) % 2 = 0 THEN 'valid' ELSE 'test' END"
        tables.append(LayoutTable((valid,), partial(_clicks, valid, halves)))
    return Reading(
        interactions=tuple(tables),
        items=LayoutTable((info,), partial(_items, info)) if info else None,
        windows=not valid,
        notes=("test.parquet has no labels and is left aside",) if _file(contents, "test.parquet") else (),
    )


def _file(contents: Contents, name: str) -> Entry | None:
    return contents.get(f"{_FOLDER}/{name}") or (
        contents.get(name) if contents.base == f"{_FOLDER}/" else None
    )


def _clicks(entry: Entry, split: str, bench: Workbench) -> str:
    relation = bench.parquet(entry)
    earlier = f"SELECT user_id, unnest(item_seq) AS item_id FROM {relation}"
    ids = "CAST(user_id AS VARCHAR) AS user_id, CAST(item_id AS VARCHAR) AS item_id"
    history = "'train'" if split.startswith("CASE") else split
    return (
        f"SELECT {ids}, {split} AS split "
        f"FROM {relation} WHERE label = 1 AND item_id <> 0 UNION ALL SELECT * FROM (SELECT DISTINCT "
        f"{ids}, {history} AS split FROM ({earlier}) WHERE item_id <> 0 ORDER BY ALL)"
    )


def _items(entry: Entry, bench: Workbench) -> str:
    return (
        "SELECT CAST(item_id AS VARCHAR) AS item_id, NULLIF(array_to_string(list_transform(list_filter(item_tags, "
        f"lambda x: x <> 0), lambda x: CAST(x AS VARCHAR)), '|'), '') AS tags "
        f"FROM {bench.parquet(entry)} WHERE item_id <> 0"
    )


LAYOUTS = (
    Layout(
        name="microlens-mmctr",
        title="MicroLens-1M (MMCTR)",
        licence="modified copies must not be offered for download",
        where="the page of the MMCTR challenge",
        recognise=recognise,
        read=read,
    ),
)
