"""POG (Alibaba-iFashion): users with the items that they clicked, outfits as bundles of items, titles with commas."""

from functools import partial

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench

_USERS, _ITEMS, _OUTFITS = "user_data.txt", "item_data.txt", "outfit_data.txt"


def recognise(contents: Contents) -> str | None:
    """By the three names."""
    names = (_USERS, _ITEMS, _OUTFITS)
    return ", ".join(names) if all(contents.get(name) for name in names) else None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """Every item of a user's lines."""
    users, items = contents.names[_USERS], contents.names[_ITEMS]
    return Reading(
        interactions=(LayoutTable((users,), partial(_clicks, users)),),
        items=LayoutTable((items,), partial(_catalogue, items)),
        notes=("outfits are bundles of items and left aside",),
    )


def _clicks(entry: Entry, bench: Workbench) -> str:
    pairs = f"SELECT user_id, unnest(string_split(items, ';')) AS item_id FROM {_user_lines(entry, bench)}"
    return f"SELECT user_id, item_id FROM ({pairs}) WHERE item_id <> ''"


def _user_lines(entry: Entry, bench: Workbench) -> str:
    return bench.csv(entry, ["user_id", "items", "outfit"], quote="")


def _catalogue(entry: Entry, bench: Workbench) -> str:
    cells = [f"regexp_extract(line, '^([^,]*),([^,]*),([^,]*),(.*)$', {group})" for group in (1, 2, 3, 4)]
    return (
        f"SELECT {cells[0]} AS item_id, {cells[3]} AS title, {cells[1]} AS category, "
        f"regexp_replace({cells[2]}, '^//', 'https://') AS image_url FROM {bench.lines(entry)}"
    )


LAYOUTS = (
    Layout(
        name="pog",
        title="POG (Alibaba-iFashion)",
        licence="not recorded here; read its page before use",
        where="the POG repository of wenyuer",
        recognise=recognise,
        read=read,
    ),
)
