"""MMRec's data: `<name>.inter` with userID, itemID and x_label, features by row number. Read by the reader `mmrec`."""

from typing import NoReturn

from mrs_pipeline.ingest.layouts.base import Choices, Layout
from mrs_pipeline.ingest.layouts.contents import Contents


def recognise(contents: Contents) -> str | None:
    """By the plain names of the first columns."""
    for entry in contents.match("*.inter"):
        if {"userID", "itemID"} <= set(entry.first_line.strip().split("\t")):
            return f"{entry.shown} with userID and itemID"
    return None


def _read(contents: Contents, choices: Choices) -> NoReturn:  # noqa: ARG001
    raise AssertionError("folders of MMRec are opened by the reader mmrec")


LAYOUTS = (
    Layout(
        name="mmrec",
        title="MMRec",
        licence="that of the original data set (Amazon Reviews 2014 for baby, sports and clothing)",
        where="the MMRec repository of enoche",
        recognise=recognise,
        read=_read,
        reader="mmrec",
    ),
)
