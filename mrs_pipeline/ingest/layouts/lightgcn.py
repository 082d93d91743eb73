"""LightGCN, NGCF, KGAT: `train.txt` and `test.txt`, a line a user: its number, then those of its items."""

import re
from functools import partial
from typing import Final

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.split_lists import part_of
from mrs_pipeline.ingest.layouts.workbench import Workbench

_PARTS: Final = {"train.txt": "train", "valid.txt": "valid", "test.txt": "test"}
_LINE = re.compile(r"[0-9]+([ \t]+[0-9]+)*[ \t]*")


def recognise(contents: Contents) -> str | None:
    """By two names and lines of whole numbers only."""
    files = [contents.get(name) for name in ("train.txt", "test.txt")]
    if not all(
        entry and entry.lines and all(_LINE.fullmatch(line) for line in entry.lines if line)
        for entry in files
    ):
        return None
    return "train.txt and test.txt, every line whole numbers"


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """The test part as given; a tenth of the training rows validates where there is no part for it."""
    parts = {contents.names[name]: part for name, part in _PARTS.items() if contents.get(name)}
    hold, listed = "valid" not in parts.values(), contents.get("item_list.txt")
    aside = (
        "kg_final.txt (a knowledge graph of numbers) is left aside" if contents.get("kg_final.txt") else ""
    )
    notes = ("a tenth of the training rows validates, the same each time",) if hold else ()
    return Reading(
        interactions=tuple(
            LayoutTable((entry,), partial(_rows, entry, part, hold)) for entry, part in parts.items()
        ),
        items=LayoutTable((listed,), partial(_items, listed)) if listed else None,
        windows=False,
        notes=(*notes, *([aside] if aside else [])),
    )


def _rows(entry: Entry, part: str, hold: bool, bench: Workbench) -> str:
    cells = f"SELECT regexp_split_to_array(trim(line, ' \t'), '[ \\t]+') AS cells FROM {bench.lines(entry)}"
    pairs = f"SELECT cells[1] AS user_id, unnest(cells[2:]) AS item_id FROM ({cells})"
    return f"SELECT user_id, item_id, {part_of(part, hold=hold)} AS split FROM ({pairs})"


def _items(entry: Entry, bench: Workbench) -> str:
    """`org_id remap_id`, in KGAT with the number of its entity; an id of several words is cut from the end."""
    third = len(entry.first_line.split()) > 2
    pattern = "^(.*?)\\s+([0-9]+)\\s+([0-9]+)\\s*$" if third else "^(.*?)\\s+([0-9]+)\\s*$"
    key, number = (f"regexp_extract(line, '{pattern}', {group})" for group in (1, 2))
    return f"SELECT {number} AS item_id, {key} AS original_id FROM {bench.lines(entry)} WHERE {number} <> ''"


LAYOUTS = (
    Layout(
        name="lightgcn",
        title="LightGCN, NGCF or KGAT",
        licence="that of the original data set",
        where="the LightGCN, NGCF and KGAT repositories",
        recognise=recognise,
        read=read,
    ),
)
