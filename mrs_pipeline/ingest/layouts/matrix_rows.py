"""Which item a row of a ready `.npy` matrix belongs to, where a layout says it by numbers."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import PurePosixPath

import numpy as np

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.layouts.base import LayoutTable
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench
from mrs_pipeline.ingest.matrices import MatrixFile

_ENDINGS = ("_feat", "_features")


def npy_rows(entry: Entry) -> int:
    """Rows of a matrix, from its first bytes; InputError where it is no readable array."""
    try:
        with entry.open() as stream:
            version = np.lib.format.read_magic(stream)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, _ = read(stream)
    except (ValueError, OSError) as error:
        raise InputError(
            f"{entry.shown} is not a readable .npy matrix ({error}); save it again with numpy.save"
        ) from error
    return int(shape[0]) if shape else 0


def counted_from(first: int, rows: int) -> Callable[[], Sequence[str]]:
    """Row n belongs to item n + `first`."""
    return lambda: [str(number) for number in range(first, first + rows)]


def feature_files(contents: Contents) -> dict[str, MatrixFile]:
    """`image_feat.npy` and the like by modality; those within archives have to be unpacked first."""
    found: dict[str, MatrixFile] = {}
    for entry in contents.match("*_feat.npy", "*_features.npy"):
        name = PurePosixPath(entry.name).stem
        for ending in _ENDINGS:
            name = name.removesuffix(ending)
        if entry.member is None and not entry.packing:
            found[name] = MatrixFile(name, entry.path)
    return found


def packed_features(contents: Contents) -> tuple[str, ...]:
    """A sentence where features lie in an archive."""
    packed = [
        entry.shown
        for entry in contents.match("*_feat.npy", "*_features.npy")
        if entry.member or entry.packing
    ]
    return (
        (f"features in archives are left aside: {', '.join(packed)}; unpack them to use them",)
        if packed
        else ()
    )


def numbered_catalogue(contents: Contents, listed: Entry | None = None) -> LayoutTable | None:
    """The items 0, 1, ... that the matrices have a row for; `original_id` by a list `id number`."""
    features = [entry for entry in contents.match("*_feat.npy", "*_features.npy") if not entry.member]
    features = [entry for entry in features if not entry.packing]
    if not features:
        return None
    used = (features[0], *([listed] if listed else []))
    return LayoutTable(used, partial(_numbered, features[0], listed))


def _numbered(feature: Entry, listed: Entry | None, bench: Workbench) -> str:
    numbers = f"SELECT CAST(unnest(range({npy_rows(feature)})) AS VARCHAR) AS item_id"
    if listed is None:
        return numbers
    keys = (
        "SELECT regexp_extract(line, '^(\\S+)\\s+([0-9]+)', 2) AS item_id, "
        "regexp_extract(line, '^(\\S+)\\s+([0-9]+)', 1) AS original_id "
        f"FROM {bench.lines(listed)}"
    )
    joined = f"SELECT item_id, original_id FROM ({numbers}) LEFT JOIN ({keys}) USING (item_id)"
    return f"{joined} ORDER BY CAST(item_id AS BIGINT)"
