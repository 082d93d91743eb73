"""Gowalla and Brightkite (SNAP): check-ins of users at places, with tabs and without a header."""

from functools import partial

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench


def recognise(contents: Contents) -> str | None:
    """By the name of the check-ins."""
    found = contents.match("*_totalCheckins.txt")
    return found[0].shown if found else None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """Every check-in; the first of a user at a place stays."""
    entry = contents.match("*_totalCheckins.txt")[0]
    return Reading(
        interactions=(LayoutTable((entry,), partial(_checkins, entry)),),
        items=LayoutTable((entry,), partial(_places, entry)),
        rules={"deduplicate": "first"},
        notes=("the first visit of a user to a place counts, repeated ones are left out",),
    )


def _columns(entry: Entry, bench: Workbench) -> str:
    return bench.csv(
        entry, ["user_id", "timestamp", "latitude", "longitude", "item_id"], delimiter="\t", quote=""
    )


def _checkins(entry: Entry, bench: Workbench) -> str:
    return f"SELECT user_id, item_id, timestamp FROM {_columns(entry, bench)}"


def _places(entry: Entry, bench: Workbench) -> str:
    return (
        "SELECT item_id, min(latitude) AS latitude, min(longitude) AS longitude "
        f"FROM {_columns(entry, bench)} GROUP BY 1 ORDER BY 1"
    )


LAYOUTS = (
    Layout(
        name="gowalla",
        title="Gowalla or Brightkite",
        licence="not recorded here; read its page before use",
        where="SNAP, Gowalla and Brightkite",
        recognise=recognise,
        read=read,
    ),
)
