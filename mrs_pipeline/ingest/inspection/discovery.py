"""Which file of an unknown folder is what: interactions, items, ready matrices. For `mrs init`.

Files are told apart by name first and by their columns second. What the other settings of the dataset should
be, given the files, is `proposals`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import paths
from mrs_pipeline.ingest.datafile import ROW, DataFile, open_data_file
from mrs_pipeline.ingest.inspection.columns import guess
from mrs_pipeline.ingest.items import CANONICAL
from mrs_pipeline.ingest.mmrec import MMREC_COLUMNS
from mrs_pipeline.ingest.source import Source
from mrs_pipeline.ingest.sql import first_row
from mrs_pipeline.ingest.values import number
from mrs_pipeline.schema import ITEM_ID, RATING, SPLIT, TIMESTAMP, USER_ID

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_INTERACTION_COLUMNS: Final = (USER_ID, ITEM_ID, TIMESTAMP, RATING, SPLIT)
_SAMPLE: Final = 1000
_ENDINGS: Final = ("_features", "_feature", "_feats", "_feat", "_embeddings", "_embedding", "_emb")
"""What follows the modality in the name of a file of ready features."""

_MODALITY_HINTS: Final = {
    "text": ("text", "title", "description", "sentence", "bert"),
    "image": ("image", "img", "visual", "poster", "cover"),
    "audio": ("audio", "acoustic", "sound", "music"),
    "video": ("video", "trailer", "clip", "frame"),
}


@dataclass(frozen=True)
class Overrides:
    """What a person says about a folder, where the names do not say it."""

    user_column: str | None = None
    item_column: str | None = None
    time_column: str | None = None
    rating_column: str | None = None
    interactions: str | None = None
    items: str | None = None
    name: str | None = None
    item_fields: Mapping[str, str] = field(default_factory=dict)
    """Canonical name -> column of the items file."""
    reader: str | None = None
    """`folder`, `mmrec`, or the name of an official layout."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """What an official layout leaves open: name -> value."""

    @property
    def columns(self) -> dict[str, str]:
        """Canonical name -> column, for those that are given."""
        given = {
            USER_ID: self.user_column,
            ITEM_ID: self.item_column,
            TIMESTAMP: self.time_column,
            RATING: self.rating_column,
        }
        return {name: column for name, column in given.items() if column is not None}


def discover(con: "DuckDBPyConnection", root: Path, overrides: Overrides) -> dict[str, Any]:
    """The `source:` section that fits a folder, with only what differs from the defaults.

    Raises:
        InputError: there is no file of interactions, its users or items cannot be recognised, or a column that was
            named is not there.
    """
    tables = [open_data_file(con, root, path) for path in paths.top_tables(root)]
    file, setting = _interactions(con, root, tables, overrides)
    reader = "mmrec" if file.path.suffix == ".inter" else "folder"
    columns = _interaction_columns(file, overrides)
    defaults = MMREC_COLUMNS if reader == "mmrec" else {}
    rest = [table for table in tables if table.path != file.path and table.path.suffix != ".inter"]
    numeric = [table for table in rest if _is_matrix(con, table, columns[ITEM_ID])]
    items = _items(con, root, [table for table in rest if table not in numeric], overrides, columns[ITEM_ID])
    item_columns = _catalogue_columns(root, items, columns[ITEM_ID], overrides)
    source = {
        "reader": reader,
        "path": root.as_posix(),
        "interactions": setting,
        "items": items.name if items and items.path.stem != "items" else None,
        "interaction_columns": {ours: it for ours, it in columns.items() if it != defaults.get(ours, ours)},
        "item_columns": {ours: it for ours, it in item_columns.items() if it != ours},
        "matrices": _matrices(root, numeric, reader),
    }
    return {key: value for key, value in source.items() if value}


def unused_columns(con: "DuckDBPyConnection", source: Source, section: Mapping[str, Any]) -> list[str]:
    """Columns of the (first) file of interactions that a `source:` section makes no use of."""
    file = open_data_file(con, source.root, source.landings()[0])
    defaults = MMREC_COLUMNS if section["reader"] == "mmrec" else {}
    used = {name: name for name in _INTERACTION_COLUMNS} | defaults | section.get("interaction_columns", {})
    return [column for column in file.columns if column not in used.values()]


def unused_tables(source: Source) -> list[str]:
    """Tables directly in the folder that are neither interactions nor items nor features."""
    used = set(source.files())
    tables = (path for path in paths.top_tables(source.root) if path.suffix != ".inter")
    return [path.name for path in tables if path not in used]


def modality_of(matrix: str) -> str | None:
    """The modality that the name of a matrix speaks of, if any."""
    for modality, hints in _MODALITY_HINTS.items():
        if any(hint in matrix.lower() for hint in hints):
            return modality
    return None


def _interactions(
    con: "DuckDBPyConnection", root: Path, tables: Sequence[DataFile], overrides: Overrides
) -> tuple[DataFile, str | None]:
    """The (first) file of interactions, and what to write under `interactions:` if its name is unusual."""
    if overrides.interactions:
        found = paths.named_files(root, overrides.interactions, "--interactions")
        return open_data_file(con, root, found[0]), overrides.interactions
    if paths.has_interactions(root):
        return open_data_file(con, root, paths.find_interactions(root)[0]), None
    likely = [
        table for table in tables if {USER_ID, ITEM_ID} <= guess(table.columns, _INTERACTION_COLUMNS).keys()
    ]
    if len(likely) > 1:
        names = ", ".join(table.name for table in likely)
        raise InputError(
            f"{root}: several files could be the interactions ({names}); say `--interactions NAME`"
        )
    file = likely[0] if likely else max(tables, key=lambda table: table.path.stat().st_size, default=None)
    if file is None:
        paths.find_interactions(root)  # raises: nothing here can be read
        raise AssertionError(root)
    only_inter = file.path.suffix == ".inter"
    return file, None if only_inter else file.name


def _interaction_columns(file: DataFile, overrides: Overrides) -> dict[str, str]:
    """Canonical name -> column: what is given, then what is recognised."""
    for column in overrides.columns.values():
        if column not in file.columns:
            raise InputError(f"{file.name} has no column '{column}'; it has: {', '.join(file.columns)}")
    free = [column for column in file.columns if column not in overrides.columns.values()]
    unknown = [name for name in _INTERACTION_COLUMNS if name not in overrides.columns]
    columns = overrides.columns | guess(free, unknown)
    options = {USER_ID: "--user-column NAME", ITEM_ID: "--item-column NAME"}
    wanted = " ".join(option for name, option in options.items() if name not in columns)
    if wanted:
        raise InputError(
            f"{file.name}: cannot tell which column is the user and which the item (columns: "
            f"{', '.join(file.columns)}); run again with `{wanted}`"
        )
    return {name: columns[name] for name in _INTERACTION_COLUMNS if name in columns}


def _items(
    con: "DuckDBPyConnection", root: Path, tables: Sequence[DataFile], overrides: Overrides, item_column: str
) -> DataFile | None:
    """The items file: the one that is named, `items.*`, or the only other table with items and no users."""
    if overrides.items:
        return open_data_file(con, root, paths.named_file(root, overrides.items, "--items"))
    by_name = paths.find_items(root)
    if by_name:
        return open_data_file(con, root, by_name)
    catalogues = [
        table
        for table in tables
        if not guess(table.columns, (USER_ID,))
        and len(_item_columns(table, item_column, overrides.item_fields)) > 1
    ]
    return catalogues[0] if len(catalogues) == 1 else None


def _catalogue_columns(
    root: Path, items: DataFile | None, item_column: str, overrides: Overrides
) -> dict[str, str]:
    """Canonical name -> column of the items file, if there is one; what a person said must fit it."""
    for name, column in overrides.item_fields.items():
        if name not in CANONICAL:
            raise InputError(f"--item-field: '{name}' is none of {', '.join(CANONICAL)}")
        if items is None:
            raise InputError(
                f"{root}: no file of items was found for `--item-field`; name it with `--items FILE`"
            )
        if column not in items.columns:
            raise InputError(f"{items.name} has no column '{column}'; it has: {', '.join(items.columns)}")
    columns = _item_columns(items, item_column, overrides.item_fields) if items else {}
    if items and not columns:
        raise InputError(
            f"{items.name}: cannot tell which column is the item (columns: {', '.join(items.columns)}); run again "
            "with `--item-field item_id=COLUMN`"
        )
    return columns


def _item_columns(file: DataFile, item_column: str, fields: Mapping[str, str]) -> dict[str, str]:
    """Canonical name -> column, empty without an item; what is said counts first, then the interactions' name."""
    given = {ITEM_ID: item_column} if item_column in file.columns else {}
    given |= {name: column for name, column in fields.items() if column in file.columns}
    free = [column for column in file.columns if column not in given.values()]
    columns = given | guess(free, [name for name in CANONICAL if name not in given], items_file=True)
    return columns if ITEM_ID in columns else {}


def _is_matrix(con: "DuckDBPyConnection", file: DataFile, item_column: str) -> bool:
    """Whether a table is an item column and numbers, by its first rows; `items.*` is the catalogue anyway."""
    columns = [column for column in file.columns if column not in (ITEM_ID, item_column)]
    if file.path.stem == "items" or len(file.columns) - len(columns) != 1 or len(columns) < 2:
        return False
    numbers = [number(column, file.columns[column]) for column in columns]
    cells = [f"({value.sql}) IS NOT NULL" for value in numbers if value is not None]
    if len(cells) < len(columns):
        return False
    with file.reading():
        query = f"SELECT bool_and({' AND '.join(cells)}) FROM ({file.scan_sql()}) WHERE {ROW} <= {_SAMPLE}"
        (whole,) = first_row(con, query)
    return bool(whole)


def _matrices(root: Path, tables: Sequence[DataFile], reader: str) -> dict[str, str]:
    """Name -> file of the ready matrices; those of the mmrec reader are found without being named."""
    arrays = [] if reader == "mmrec" else [path.name for path in sorted(root.glob("*.npy"))]
    files = [*arrays, *(table.name for table in tables)]
    return {_matrix_name(Path(file).stem): file for file in files}


def _matrix_name(stem: str) -> str:
    for ending in _ENDINGS:
        stem = stem.removesuffix(ending)
    return stem


def renamed(columns: Mapping[str, str]) -> str:
    """`user_id = uid, item_id = sku`, for people."""
    return ", ".join(f"{ours} = {theirs}" for ours, theirs in columns.items())
