"""Reader `mmrec`: the layout of the MMRec toolbox's data, `<name>.inter` with `*_feat.npy` beside it.

The `.inter` table is tab-separated with `userID`, `itemID`, perhaps `rating` and `timestamp`, and `x_label`
(0 train, 1 validation, 2 test). Item ids are numbers, and row n of a matrix belongs to item n.
"""

from pathlib import Path
from typing import Final, Literal

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import folder, paths
from mrs_pipeline.ingest.locating import source_folder
from mrs_pipeline.ingest.matrices import MatrixFile
from mrs_pipeline.ingest.options import FileSourceOptions
from mrs_pipeline.ingest.packing import data_suffix
from mrs_pipeline.ingest.reader import Reader
from mrs_pipeline.ingest.source import TabularSource
from mrs_pipeline.schema import ITEM_ID, SPLIT, TEST, TRAIN, USER_ID, VALID

MMREC_COLUMNS: Final = {USER_ID: "userID", ITEM_ID: "itemID", SPLIT: "x_label"}
"""What the columns are called unless the settings say otherwise."""

_LABELS: Final = {"0": TRAIN, "1": VALID, "2": TEST}
_SUFFIX: Final = "_feat.npy"


class MmrecOptions(FileSourceOptions):
    """A folder in the layout of the MMRec toolbox."""

    reader: Literal["mmrec"]
    """The name of this reader."""


class MmrecReader(Reader[MmrecOptions]):
    """One `.inter` file and numbered matrices."""

    Options = MmrecOptions

    @classmethod
    def open(cls, options: MmrecOptions, home_root: Path) -> TabularSource:
        """The source below `options.path`; InputError where it holds no single `.inter` file."""
        root = source_folder(options.path, home_root)
        named = folder.matrix_files(options, root)
        found = {path.name.removesuffix(_SUFFIX): path for path in sorted(root.glob(f"*{_SUFFIX}"))}
        taken = {matrix.path for matrix in named.values()}
        ready = {name: MatrixFile(name, path) for name, path in found.items() if path not in taken}
        return TabularSource(
            root=root,
            interaction_files=_inter_files(options, root),
            items_file=folder.items_file(options, root),
            layout=folder.interaction_layout(options, MMREC_COLUMNS, _LABELS),
            item_mapping=options.item_columns,
            media_folders=folder.media_folders(options, root),
            matrix_files=ready | named,
            encoding=options.encoding,
            numbered_items=True,
        )


def _inter_files(options: MmrecOptions, root: Path) -> tuple[Path, ...]:
    if options.interactions is not None:
        return folder.interaction_files(options, root)
    found = [path for path in paths.top_tables(root) if data_suffix(path) == ".inter"]
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(
            f"{root} should hold one .inter file (found: {names}); name it under source.interactions"
        )
    return tuple(found)
