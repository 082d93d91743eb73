"""DiffMM: `trnMat.pkl`, `valMat.pkl` and `tstMat.pkl`, sparse matrices of users and items, features beside them."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import pyarrow as pa

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.matrix_rows import feature_files, numbered_catalogue, packed_features
from mrs_pipeline.ingest.layouts.sparse_pickle import read_sparse
from mrs_pipeline.ingest.layouts.split_lists import part_of
from mrs_pipeline.ingest.layouts.workbench import Workbench

_PARTS: Final = {"trnMat.pkl": "train", "valMat.pkl": "valid", "tstMat.pkl": "test"}
_SCHEMA: Final = pa.schema([("user_id", pa.int64()), ("item_id", pa.int64())])
_BATCH: Final = 1_000_000


def recognise(contents: Contents) -> str | None:
    """By two names."""
    there = contents.get("trnMat.pkl") and contents.get("tstMat.pkl")
    return "trnMat.pkl and tstMat.pkl" if there else None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """The split as given."""
    parts = {contents.names[name]: part for name, part in _PARTS.items() if contents.get(name)}
    hold = "valid" not in parts.values()
    return Reading(
        interactions=tuple(
            LayoutTable((entry,), partial(_rows, entry, part, hold)) for entry, part in parts.items()
        ),
        items=numbered_catalogue(contents),
        matrices=feature_files(contents),
        numbered_items=True,
        windows=False,
        notes=("the pickles are read without running them", *packed_features(contents)),
    )


def _rows(entry: Entry, part: str, hold: bool, bench: Workbench) -> str:
    relation = bench.batches(_SCHEMA, _batches(entry))
    return (
        f"SELECT user_id, item_id, {part_of(part, hold=hold)} AS split "
        "FROM (SELECT CAST(user_id AS VARCHAR) AS user_id, "
        f"CAST(item_id AS VARCHAR) AS item_id FROM {relation})"
    )


def _batches(entry: Entry) -> Iterator[pa.RecordBatch]:
    with entry.open() as stream:
        pairs = read_sparse(stream, entry.shown)
    for start in range(0, len(pairs.rows) or 1, _BATCH):
        block = slice(start, start + _BATCH)
        yield pa.record_batch([pairs.rows[block], pairs.columns[block]], schema=_SCHEMA)


LAYOUTS = (
    Layout(
        name="diffmm",
        title="DiffMM",
        licence="none is stated; the origin of the TikTok data is closed",
        where="the DiffMM repository of HKUDS",
        recognise=recognise,
        read=read,
    ),
)
