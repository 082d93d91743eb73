"""RecBole's atomic files: `.inter` and `.item` whose headers name each field with its type."""

import re
from functools import partial
from pathlib import PurePosixPath
from typing import Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench
from mrs_pipeline.ingest.sql import quoted_name

_CELL = re.compile(r"([^:]+):(token|token_seq|float|float_seq)")
_PARTS: Final = {"train": "train", "valid": "valid", "validation": "valid", "test": "test"}
_TITLES: Final = re.compile(r"(.*_)?(title|name)")
_DESCRIPTIONS: Final = ("description", "text", "abstract", "summary")


def recognise(contents: Contents) -> str | None:
    """By a header in which every cell has a type."""
    found = _inter(contents)
    return f"{found[0].shown} with typed columns ({found[0].first_line.strip()[:60]})" if found else None


def read(contents: Contents, choices: Choices) -> Reading:
    """Every row, or those with a label above 0; the split where the files are its parts."""
    files = _inter(contents)
    item_file = next((entry for entry in contents.match("*.item") if fields(entry)), None)
    item = _item_field(files[0], item_file, choices)
    parts = {entry: _part(entry) for entry in files}
    split = "train" in parts.values()
    knowledge = _knowledge(contents, item)
    aside = [
        entry.shown
        for entry in contents.match("*.user", "*.kg", "*.link", "*.net")
        if contents.below_root(entry) not in knowledge.values()
    ]
    labelled = "label" in fields(files[0])
    notes = ["rows whose label is 0 are no interactions"] if labelled else []
    notes += [f"left aside: {', '.join(aside)}"] if aside else []
    return Reading(
        interactions=tuple(
            LayoutTable((entry,), partial(_rows, entry, item, part if split else None))
            for entry, part in parts.items()
        ),
        items=LayoutTable((item_file,), partial(_items, item_file, item)) if item_file else None,
        knowledge=knowledge,
        windows=not split,
        notes=tuple(notes),
    )


def _knowledge(contents: Contents, item: str) -> dict[str, str]:
    """The graph and what joins it to the items, where both lie there as files of their own."""
    graphs = [
        entry
        for entry in contents.match("*.kg")
        if {"head_id", "relation_id", "tail_id"} == set(fields(entry))
    ]
    links = [entry for entry in contents.match("*.link") if {item, "entity_id"} == set(fields(entry))]
    if len(graphs) != 1 or len(links) != 1:
        return {}
    names = {"triples": contents.below_root(graphs[0]), "links": contents.below_root(links[0])}
    return {setting: name for setting, name in names.items() if name} if all(names.values()) else {}


def _inter(contents: Contents) -> list[Entry]:
    return [entry for entry in contents.match("*.inter") if fields(entry)]


def fields(entry: Entry) -> dict[str, str]:
    """Field -> type; empty if a cell of the header has none."""
    cells = [_CELL.fullmatch(cell.strip()) for cell in entry.first_line.split(_delimiter(entry))]
    named = {cell.group(1): cell.group(2) for cell in cells if cell}
    return named if len(named) == len(cells) else {}


def _delimiter(entry: Entry) -> str:
    return "\t" if "\t" in entry.first_line else ","


def _part(entry: Entry) -> str | None:
    pieces = PurePosixPath(entry.name).name.split(".")
    return next((_PARTS[piece] for piece in pieces[1:-1] if piece in _PARTS), None)


def _item_field(inter: Entry, item_file: Entry | None, choices: Choices) -> str:
    """`item_id`, else the one token that the items have too: its name and place differ between data sets."""
    tokens = [name for name, kind in fields(inter).items() if kind == "token" and name != "user_id"]
    if "user_id" not in fields(inter):
        raise InputError(
            f"{inter.shown} has no field user_id:token (it has: {', '.join(fields(inter))}); rename it"
        )
    if "item" in choices:
        if choices["item"] not in tokens:
            raise InputError(
                f"{inter.shown} has no field {choices['item']}:token; choose one of {', '.join(tokens)}"
            )
        return choices["item"]
    if "item_id" in tokens:
        return "item_id"
    shared = [name for name in tokens if item_file is not None and name in fields(item_file)]
    candidates = shared or tokens
    if len(candidates) != 1:
        raise InputError(
            f"{inter.shown}: cannot tell which field is the item ({', '.join(tokens)}); run again with "
            f"`--choose item={tokens[0] if tokens else 'NAME'}`"
        )
    return candidates[0]


def _rows(entry: Entry, item: str, part: str | None, bench: Workbench) -> str:
    there = fields(entry)
    chosen = ["user_id", f"{quoted_name(item)} AS item_id"]
    chosen += [name for name in ("timestamp", "rating") if name in there]
    chosen += [f"'{part}' AS split"] if part else []
    relation = bench.csv(entry, list(there), delimiter=_delimiter(entry), quote="", skip=1)
    where = " WHERE TRY_CAST(label AS DOUBLE) > 0" if "label" in there else ""
    return f"SELECT {', '.join(chosen)} FROM {relation}{where}"


def _items(entry: Entry, item: str, bench: Workbench) -> str:
    there = fields(entry)
    titles = [name for name in there if _TITLES.fullmatch(name) and name != item]
    descriptions = [name for name in there if name in _DESCRIPTIONS]
    chosen = [f"{quoted_name(item)} AS item_id"]
    for name, kind in there.items():
        if name in titles[:1]:
            chosen.append(f"{quoted_name(name)} AS title")
        elif name in descriptions[:1]:
            chosen.append(f"{quoted_name(name)} AS description")
        elif name != item:
            sequence = kind == "token_seq"
            text = f"replace({quoted_name(name)}, ' ', '|')" if sequence else quoted_name(name)
            chosen.append(f"{text} AS {quoted_name(_free(name))}")
    relation = bench.csv(entry, list(there), delimiter=_delimiter(entry), quote="", skip=1, legacy=True)
    return f"SELECT {', '.join(chosen)} FROM {relation}"


def _free(name: str) -> str:
    """A name that neither the lake nor the catalogue keeps for itself."""
    taken = (
        "title",
        "description",
        "image",
        "audio",
        "video",
        "item_id",
        "dataset",
        "window",
        "item",
        "user",
    )
    return f"item_{name}" if name in (*taken, "user_id", "reason", "source_file", "source_row") else name


LAYOUTS = (
    Layout(
        name="recbole",
        title="RecBole atomic files",
        licence="that of the original data set",
        where="the RecSysDatasets repository of RUCAIBox",
        recognise=recognise,
        read=read,
        choices={"item": ()},
    ),
)
