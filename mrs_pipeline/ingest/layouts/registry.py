"""All layouts, and which of them a folder has."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import paths
from mrs_pipeline.ingest.layouts import (
    amazon_2014,
    amazon_2018,
    amazon_2023,
    book_crossing,
    cornac,
    diffmm,
    douban,
    foursquare,
    goodreads,
    gowalla,
    hm,
    kuairand,
    kuairec,
    lastfm,
    lattice,
    lightgcn,
    microlens,
    microlens_mmctr,
    mind,
    mmrec,
    mmssl,
    movielens_100k,
    movielens_csv,
    movielens_dat,
    mrlib,
    ncf,
    netflix,
    pixelrec,
    pog,
    recbole,
    steam,
    yelp,
)
from mrs_pipeline.ingest.layouts.base import Layout
from mrs_pipeline.ingest.layouts.contents import Contents, look_into

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for module in (
        amazon_2014,
        amazon_2018,
        amazon_2023,
        movielens_100k,
        movielens_dat,
        movielens_csv,
        microlens,
        microlens_mmctr,
        mind,
        hm,
        yelp,
        recbole,
        mmrec,
        mrlib,
        lattice,
        mmssl,
        diffmm,
        lightgcn,
        ncf,
        cornac,
        steam,
        lastfm,
        kuairec,
        kuairand,
        netflix,
        pixelrec,
        goodreads,
        book_crossing,
        gowalla,
        foursquare,
        pog,
        douban,
    )
    for layout in module.LAYOUTS
}
"""Name -> layout."""

_ARCHIVES: Final = {
    **dict.fromkeys((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"), "tar -xf"),
    ".bz2": "bunzip2",
    ".xz": "unxz",
    ".rar": "unrar x",
    ".7z": "7z x",
}
"""Ending -> what unpacks it."""


@dataclass(frozen=True)
class Match:
    """A folder's layout and what it was recognised by."""

    layout: Layout
    reason: str


def layout_named(name: str) -> Layout:
    """The layout of that name; InputError lists them."""
    if name not in LAYOUTS:
        raise InputError(f"no layout is called '{name}'; there are {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def recognise(root: Path) -> Match | None:
    """The layout of a folder; None for one of the reader `folder` (`interactions.*` goes before all), or unknown.

    Raises:
        InputError: several layouts fit, or an archive cannot be read.
    """
    if paths.has_interactions(root):
        return None
    contents = look_into(root)
    found = matches(contents)
    if not found and not paths.top_tables(root):
        _refuse_archives(contents)
    if len(found) > 1:
        names = " and ".join(f"{match.layout.name} ({match.reason})" for match in found)
        raise InputError(f"{root} looks like {names}; say which with `--reader {found[0].layout.name}`")
    return found[0] if found else None


def _refuse_archives(contents: Contents) -> None:
    """InputError for a folder of nothing but archives that only another program opens."""
    for entry in contents.entries:
        for ending, command in _ARCHIVES.items():
            if entry.shown.lower().endswith(ending):
                raise InputError(
                    f"{entry.shown} is an archive; unpack it with `{command} {entry.path}` and run `mrs init` again"
                )


def asked_for(root: Path, name: str) -> Match:
    """The layout of that name, if the folder has it; InputError if it has not."""
    layout = layout_named(name)
    contents = look_into(root)
    reason = layout.recognise(contents)
    if reason is None:
        held = ", ".join(list(contents.names)[:8]) or "nothing"
        raise InputError(
            f"{root} is not laid out as {layout.title} (reader {name}); it holds: {held}; see docs/datasets.md, or "
            "run `mrs init` without --reader to have its layout found"
        )
    return Match(layout, reason)


def matches(contents: Contents) -> list[Match]:
    """Every layout that fits, with its reason."""
    offered = (layout for layout in LAYOUTS.values() if not layout.on_request)
    reasons = ((layout, layout.recognise(contents)) for layout in offered)
    return [Match(layout, reason) for layout, reason in reasons if reason is not None]
