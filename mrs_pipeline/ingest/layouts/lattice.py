"""LATTICE and MICRO: `5-core/train.json` and its parts, features at the root, `item_list.txt` with the ASINs."""

from mrs_pipeline.ingest.layouts.base import Choices, Layout, Reading
from mrs_pipeline.ingest.layouts.contents import Contents
from mrs_pipeline.ingest.layouts.matrix_rows import feature_files, numbered_catalogue, packed_features
from mrs_pipeline.ingest.layouts.split_lists import json_parts, json_tables

_CORES = ("5-core", "0-core")


def recognise(contents: Contents) -> str | None:
    """By the two parts that every split has."""
    core = _core(contents, {})
    return f"{core}/train.json and {core}/test.json" if core else None


def read(contents: Contents, choices: Choices) -> Reading:
    """The split as given; 0-core is the authors' split by cold items."""
    core = _core(contents, choices)
    both = [name for name in _CORES if contents.get(f"{name}/train.json")]
    notes = (
        (f"the split is that of {core}; `--choose core={both[1]}` reads the other",) if len(both) > 1 else ()
    )
    listed = contents.get("item_list.txt") or contents.get(f"{core}/item_list.txt")
    return Reading(
        interactions=json_tables(json_parts(contents, f"{core}/")),
        items=numbered_catalogue(contents, listed),
        matrices=feature_files(contents),
        numbered_items=True,
        windows=False,
        notes=notes + packed_features(contents),
    )


def _core(contents: Contents, choices: Choices) -> str | None:
    wanted = [choices["core"]] if "core" in choices else _CORES
    there = (
        name for name in wanted if contents.get(f"{name}/train.json") and contents.get(f"{name}/test.json")
    )
    return next(there, None)


LAYOUTS = (
    Layout(
        name="lattice",
        title="LATTICE or MICRO",
        licence="that of the original data set (Amazon Reviews 2014)",
        where="the LATTICE and MICRO repositories of CRIPAC-DIG",
        recognise=recognise,
        read=read,
        choices={"core": _CORES},
    ),
)
