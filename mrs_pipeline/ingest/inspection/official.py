"""Official layouts in `mrs init`: which one a folder has, and what that says of the settings.

What a layout is and how it is read is `ingest.layouts`; this is all that inspection knows of it.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.inspection.overrides import Overrides
from mrs_pipeline.ingest.inspection.proposal import Proposal
from mrs_pipeline.ingest.layouts import registry
from mrs_pipeline.ingest.layouts.registry import Match
from mrs_pipeline.ingest.layouts.source import LayoutSource
from mrs_pipeline.ingest.source import Source
from mrs_pipeline.ingest.sql import first_row
from mrs_pipeline.ingest.triples import LINKED, triples_select
from mrs_pipeline.schema import ITEM_ID

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SHARED = ("folder", "mmrec")
_MODALITY_HINTS: Final = {
    "text": ("text", "title", "description", "sentence", "bert"),
    "image": ("image", "img", "visual", "poster", "cover"),
    "audio": ("audio", "acoustic", "sound", "music"),
    "video": ("video", "trailer", "clip", "frame"),
}
"""What the names of an official layout's matrices say: there they are the authors' statement."""


def match(root: Path, overrides: Overrides) -> Match | None:
    """The folder's layout: the one that was asked for, else the one that is recognised.

    None where there is none, or where a person has named files or columns, which only the reader `folder` takes.
    """
    if overrides.reader is not None and overrides.reader not in _SHARED:
        return registry.asked_for(root, overrides.reader)
    found = None if overrides.reader or _named(overrides) else registry.recognise(root)
    if found is None and overrides.choices:
        raise InputError(
            f"{root}: --choose goes with an official layout, and none was recognised; leave it out"
        )
    return found


def section(found: Match | None, root: Path, overrides: Overrides) -> dict[str, Any] | None:
    """The `source:` section of a folder in an official layout."""
    if found is None or found.layout.reader != "layout":
        return None
    chosen = {"choices": dict(overrides.choices)} if overrides.choices else {}
    return {"reader": "layout", "layout": found.layout.name, "path": root.as_posix(), **chosen}


def introduction(found: Match | None) -> list[str]:
    """The layout's name, how it was recognised, and the authors' terms."""
    if found is None:
        return []
    layout = found.layout
    return [
        f"layout: {layout.title} (reader {layout.name}), by {found.reason}",
        f"licence: {layout.licence} (see {layout.where})",
    ]


def window(source: Source) -> Proposal | None:
    """No windows, where the files are a given split."""
    if isinstance(source, LayoutSource) and not source.reading.windows:
        return Proposal({}, "windows: none, the files are a given split")
    return None


def rating(source: Source) -> Proposal | None:
    """The threshold that the layout states, if it states one."""
    if not isinstance(source, LayoutSource) or "min_rating" not in source.reading.rules:
        return None
    lowest = source.reading.rules["min_rating"]
    if lowest is None:
        return Proposal({}, "ratings: no threshold, every interaction counts as liking")
    return Proposal({"min_rating": lowest}, f"ratings: {lowest:g} and more count as liking")


def rules(source: Source) -> dict[str, Any]:
    """What else the layout states of the interactions."""
    if not isinstance(source, LayoutSource):
        return {}
    return {key: value for key, value in source.reading.rules.items() if value is not None}


def knowledge(con: "DuckDBPyConnection", source: Source, catalogue: str) -> Proposal | None:
    """The layout's knowledge graph, if it says something of the items of the table `catalogue`."""
    if not isinstance(source, LayoutSource) or not source.reading.knowledge:
        return None
    section = dict(source.reading.knowledge)
    select = triples_select(con, source.root, section["triples"], {}, links=section["links"], ids=source.ids)
    count, items = first_row(
        con,
        f"WITH found AS ({select}), named AS (SELECT head AS item_id FROM found WHERE {LINKED[0]} UNION "
        f"SELECT tail FROM found WHERE {LINKED[1]}) SELECT (SELECT count(*) FROM found), "
        f"(SELECT count(*) FROM named SEMI JOIN {catalogue} USING ({ITEM_ID}))",
    )
    told = f"knowledge graph: {count:,} triples in {section['triples']}, of {items:,} items by {section['links']}"
    return (
        Proposal(section, told) if items else Proposal({}, f"{told}; left aside, since it speaks of no item")
    )


def remarks(source: Source) -> list[str] | None:
    """What is to be known of how the files were read; None for a source of another kind."""
    if not isinstance(source, LayoutSource):
        return None
    return list(dict.fromkeys((*source.reading.notes, *source.remarks())))


def _named(overrides: Overrides) -> bool:
    return bool(
        overrides.given
        or overrides.columns
        or overrides.item_fields
        or overrides.interactions
        or overrides.items
    )


def modalities(source: Source) -> dict[str, str]:
    """Name of a ready matrix -> the modality that its official name speaks of."""
    return {
        matrix: modality
        for matrix in source.matrices()
        for modality, hints in reversed(_MODALITY_HINTS.items())
        if any(hint in matrix.lower() for hint in hints)
    }
