"""`train.json`, `val.json` and `test.json`: from users to lists of items, as LATTICE and its kin write them."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

import pyarrow as pa

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.layouts.base import LayoutTable
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench, held_out

_PARTS: Final = {"train": "train", "val": "valid", "valid": "valid", "test": "test"}
_SCHEMA: Final = pa.schema([("user_id", pa.string()), ("item_id", pa.string())])
_BATCH: Final = 100_000


def json_parts(contents: Contents, folder: str = "") -> dict[Entry, str]:
    """File -> part, in the order train, valid, test."""
    found = {contents.get(f"{folder}{name}.json"): part for name, part in _PARTS.items()}
    return {entry: part for entry, part in found.items() if entry is not None}


def json_tables(parts: Mapping[Entry, str]) -> tuple[LayoutTable, ...]:
    """A table a part; without a validation part, a tenth of the training rows validates."""
    hold = "valid" not in parts.values()
    return tuple(LayoutTable((entry,), partial(_rows, entry, part, hold)) for entry, part in parts.items())


def _rows(entry: Entry, part: str, hold: bool, bench: Workbench) -> str:
    relation = bench.batches(_SCHEMA, _batches(entry, bench))
    return f"SELECT user_id, item_id, {part_of(part, hold=hold)} AS split FROM {relation}"


def part_of(part: str, *, hold: bool) -> str:
    """SQL: the label of a row of a part; of a training row too, where some of them are held out to validate."""
    if part == "train" and hold:
        return f"CASE WHEN {held_out('user_id', 'item_id')} THEN 'valid' ELSE 'train' END"
    return f"'{part}'"


def _batches(entry: Entry, bench: Workbench) -> Iterator[pa.RecordBatch]:
    lists = bench.whole_object(entry)
    if not isinstance(lists, dict) or not all(isinstance(items, list) for items in lists.values()):
        raise InputError(f"{entry.shown} is not one object from users to lists of items; download it again")
    users: list[str] = []
    items: list[str] = []
    for user, own in lists.items():
        users += [user] * len(own)
        items += map(str, own)
        if len(users) >= _BATCH:
            yield pa.record_batch([users, items], schema=_SCHEMA)
            users, items = [], []
    yield pa.record_batch([users, items], schema=_SCHEMA)
