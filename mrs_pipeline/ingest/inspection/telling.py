"""What `mrs init` says of a folder: sentences only, made from what the other modules found."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.facts import SourceFacts
from mrs_pipeline.ingest.inspection.discovery import Discovery, renamed
from mrs_pipeline.ingest.locating import is_remote
from mrs_pipeline.ingest.source import Source

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_READ: Final = ("text", "image")
"""Modalities that an encoder without weights reads."""
_SHOWN: Final = 8


def source_findings(found: Discovery, source: Source, facts: SourceFacts) -> list[str]:
    """How much there is of what, and how columns are called."""
    section = found.section
    files = [path.relative_to(source.root).as_posix() for path in source.landings()]
    where = files[0] if len(files) == 1 else f"{len(files)} files, {files[0]} to {files[-1]}"
    when = f", {facts.first:%Y-%m-%d} to {facts.last:%Y-%m-%d}" if facts.first and facts.last else ""
    lines = [f"interactions: {facts.rows:,} in {where}, {facts.users:,} users{when}"]
    if "interaction_columns" in section:
        lines.append(f"columns of the interactions: {renamed(section['interaction_columns'])}")
    attributes = f"; attributes: {', '.join(facts.attributes)}" if facts.attributes else ""
    origin = f" in {section['items']}" if "items" in section else ""
    lines.append(
        f"items: {facts.items:,}{origin}, {facts.titled:,} titles, {facts.described:,} descriptions{attributes}"
    )
    if "item_columns" in section:
        lines.append(f"columns of the items: {renamed(section['item_columns'])}")
    for modality, media in facts.media.items():
        absent = f", {media.missing:,} named but not there" if media.missing else ""
        later = "" if modality in _READ else "; add an encoder under features to use them"
        lines.append(f"{modality}: files of {media.present:,} of {facts.items:,} items{absent}{later}")
    return lines


def copy_findings(place: str, root: Path, source: Source) -> list[str]:
    """Where the tables of a remote folder or an archive lie on this machine."""
    if place == root.as_posix():
        return []
    tables = source.files()
    size = sum(path.stat().st_size for path in tables) / 1e6
    later = "; media are read from there when they are decoded" if is_remote(place) else ""
    return [f"{place}: {len(tables)} files ({size:,.1f} MB) in {root}{later}"]


def left_aside(found: Discovery, unseen: Sequence[str]) -> list[str]:
    """What is not used: a time, a rating or a catalogue that was not recognised would otherwise go unnoticed."""
    findings = []
    if found.unused_columns:
        findings.append(
            f"columns of the interactions left aside: {', '.join(found.unused_columns)}; if one is the time or the "
            "rating, run again with --time-column or --rating-column"
        )
    if found.unused_tables:
        names = [f"{name} ({reason})" if reason else name for name, reason in found.unused_tables.items()]
        findings.append(
            f"files left aside: {', '.join(names)}; if one lists the items, run again with --items FILE"
        )
    if unseen:
        more = f" and {len(unseen) - _SHOWN} more" if len(unseen) > _SHOWN else ""
        findings.append(f"not read: {', '.join(unseen[:_SHOWN])}{more}")
    return findings


def leave_out_bad_matrices(con: "DuckDBPyConnection", source: Source, found: Discovery) -> list[str]:
    """Read every matrix that would be used; one that cannot be is no feature set, and its sentence is returned."""
    findings = []
    for name in list(found.modalities):
        try:
            source.read_matrix(con, name)
        except InputError as error:
            del found.modalities[name]
            findings.append(f"no features from {name}: {error}")
    return findings


def features_findings(features: Sequence[dict[str, str]]) -> list[str]:
    """What models learn from, and which of several feature sets of one modality."""
    if not features:
        return ["models: collaborative only, there is no content to learn from"]
    names: dict[str, list[str]] = {}
    for feature in features:
        name = feature.get("name") or feature["encoder"]
        names.setdefault(feature["modality"], []).append(f"{feature['modality']}_{name}")
    lines = [
        f"{modality}: models read {first}, the first of its feature sets; also made: {', '.join(others)} (put another "
        f"one first under features, or write `modalities: {{{modality}: [{first}, {others[0]}]}}` to have both read)"
        for modality, (first, *others) in names.items()
        if others
    ]
    return [*lines, f"models: collaborative and multimodal, on {', '.join(names)}"]
