"""Reader `folder`: a folder of CSV, TSV, Parquet or JSON Lines tables with media beside them.

Only discovery and names; how the files are read is shared by all readers (`source`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from mrs_pipeline.ingest import paths
from mrs_pipeline.ingest.interactions import InteractionLayout
from mrs_pipeline.ingest.locating import source_folder
from mrs_pipeline.ingest.matrices import MatrixFile
from mrs_pipeline.ingest.options import FileSourceOptions
from mrs_pipeline.ingest.reader import Reader
from mrs_pipeline.ingest.source import TabularSource
from mrs_pipeline.ingest.values import KNOWN_SPLITS


class FolderOptions(FileSourceOptions):
    """A folder of CSV, TSV, Parquet or JSON Lines tables, with media beside them."""

    reader: Literal["folder"] = "folder"
    """The name of this reader, and the one that is meant where none is named."""

    @model_validator(mode="before")
    @classmethod
    def _demo_is_another_reader(cls, written: Any) -> Any:
        if isinstance(written, dict) and "demo" in written:
            raise ValueError("source.demo goes with reader: demo; write `reader: demo` or take it out")
        return written


class FolderReader(Reader[FolderOptions]):
    """Tables that are found by name."""

    Options = FolderOptions

    @classmethod
    def open(cls, options: FolderOptions, home_root: Path) -> TabularSource:
        """The source below `options.path`; InputError where a file that the settings name is not there."""
        root = source_folder(options.path, home_root)
        return TabularSource(
            root=root,
            interaction_files=interaction_files(options, root),
            items_file=items_file(options, root),
            layout=interaction_layout(options, {}, KNOWN_SPLITS),
            item_mapping=options.item_columns,
            media_folders=media_folders(options, root),
            matrix_files=matrix_files(options, root),
            encoding=options.encoding,
            names=options.columns,
            item_names=options.items_header,
        )


def interaction_layout(
    options: FileSourceOptions, defaults: Mapping[str, str], labels: Mapping[str, str]
) -> InteractionLayout:
    """What the settings say of the interactions' columns and values."""
    columns = {
        str(name): actual for name, actual in options.interaction_columns.items() if actual is not None
    }
    ignored = tuple(name for name, actual in options.interaction_columns.items() if actual is None)
    return InteractionLayout(columns, defaults, labels, options.ids, options.time_unit, ignored)


def interaction_files(options: FileSourceOptions, root: Path) -> tuple[Path, ...]:
    """The files that `source.interactions` names, or those found by name."""
    if options.interactions is None:
        return tuple(paths.find_interactions(root))
    return tuple(paths.named_files(root, options.interactions, "source.interactions"))


def items_file(options: FileSourceOptions, root: Path) -> Path | None:
    """The file that `source.items` names, or the one found by name, if any."""
    if options.items is None:
        return paths.find_items(root)
    return paths.named_file(root, options.items, "source.items")


def media_folders(options: FileSourceOptions, root: Path) -> dict[str, str]:
    """Modality -> folder, each checked to lie below the root."""
    for modality, folder in options.media_folders.items():
        paths.inside(root, folder, f"source.media_folders.{modality}")
    return {str(modality): folder for modality, folder in options.media_folders.items()}


def matrix_files(options: FileSourceOptions, root: Path) -> dict[str, MatrixFile]:
    """The ready matrices that the settings name; InputError for one that is not there."""
    found = {}
    for name, matrix in options.matrices.items():
        setting = f"source.matrices.{name}"
        ids = paths.named_file(root, matrix.ids, f"{setting}.ids") if matrix.ids else None
        found[name] = MatrixFile(name, paths.named_file(root, matrix.file, setting, also=(".npy",)), ids)
    return found
