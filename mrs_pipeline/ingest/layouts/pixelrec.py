"""PixelRec: interactions and items in two files of one name, covers named by item."""

from functools import partial

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench, header_of

_INTERACTIONS = ["item_id", "user_id", "timestamp"]


def recognise(contents: Contents) -> str | None:
    """By a header with the item first."""
    found = _files(contents, _INTERACTIONS)
    return f"{found[0].shown} with item_id,user_id,timestamp" if found else None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """Every row."""
    items = _files(contents, ["item_id", "view_number"])
    covers = contents.folder("*cover*", "*/*cover*", "images")
    return Reading(
        interactions=tuple(
            LayoutTable((entry,), partial(_rows, entry)) for entry in _files(contents, _INTERACTIONS)
        ),
        items=LayoutTable(tuple(items), partial(_items, items)) if items else None,
        media_folders={"image": covers} if covers else {},
    )


def _files(contents: Contents, header: list[str]) -> list[Entry]:
    files = contents.anywhere("*.csv")
    exact = header == _INTERACTIONS
    return [each for each in files if header_of(each, ",")[: None if exact else len(header)] == header]


def _rows(entry: Entry, bench: Workbench) -> str:
    return f"SELECT user_id, item_id, timestamp FROM {bench.csv(entry)}"


def _items(files: list[Entry], bench: Workbench) -> str:
    return " UNION ALL BY NAME ".join(f"SELECT * FROM {bench.csv(entry)}" for entry in files)


LAYOUTS = (
    Layout(
        name="pixelrec",
        title="PixelRec",
        licence="non-commercial research and education",
        where="the PixelRec repository of westlake-repl",
        recognise=recognise,
        read=read,
    ),
)
