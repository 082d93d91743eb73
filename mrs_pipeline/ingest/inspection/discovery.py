"""Which file of an unknown folder is what: interactions, items, ready features, media. For `mrs init`.

Files are told apart by name first, and by their columns and contents second. What the other settings of the dataset
should be, given the files, is `proposals`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import paths
from mrs_pipeline.ingest.datafile import DataFile
from mrs_pipeline.ingest.inspection import feature_tables, media_files
from mrs_pipeline.ingest.inspection.columns import date_of_items, guess, item_columns_of
from mrs_pipeline.ingest.inspection.joining import Pair, best, counted_pairs
from mrs_pipeline.ingest.inspection.looking import Tables, look
from mrs_pipeline.ingest.inspection.overrides import Overrides
from mrs_pipeline.ingest.items import CANONICAL
from mrs_pipeline.ingest.mmrec import MMREC_COLUMNS
from mrs_pipeline.ingest.packing import data_stem, data_suffix
from mrs_pipeline.schema import DESCRIPTION, FIRST_SEEN, ITEM_ID, RATING, SPLIT, TIMESTAMP, TITLE, USER_ID

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_INTERACTION_COLUMNS: Final = (USER_ID, ITEM_ID, TIMESTAMP, RATING, SPLIT)
_OPTIONS: Final = {
    USER_ID: "--user-column",
    ITEM_ID: "--item-column",
    TIMESTAMP: "--time-column",
    RATING: "--rating-column",
}
_CATALOGUE: Final = 0.5
"""Share of the rows that must find their item in a table for it to be taken as the catalogue."""


@dataclass
class Discovery:
    """What a folder holds.

    Attributes:
        section: the `source:` section that fits, with only what differs from the defaults.
        findings: what to tell people about files and columns.
        modalities: name of a matrix -> its modality, where that is said or stated.
        unused_columns: of the interactions.
        unused_tables: name -> why it is left aside, empty where there is no more to say.
    """

    section: dict[str, Any]
    findings: list[str] = field(default_factory=list)
    modalities: dict[str, str] = field(default_factory=dict)
    unused_columns: list[str] = field(default_factory=list)
    unused_tables: dict[str, str] = field(default_factory=dict)


def discover(con: "DuckDBPyConnection", root: Path, overrides: Overrides) -> Discovery:
    """The files of a folder and what they are.

    Raises:
        InputError: there is no file of interactions, its users or items cannot be recognised, or a file or column that
            was named is not there.
    """
    tables = look(con, root, overrides.encoding)
    files, setting = _interactions(con, root, tables, overrides)
    reader = "mmrec" if data_suffix(files[0].path) == ".inter" else "folder"
    columns = _interaction_columns(files, overrides)
    rest = [
        table
        for table in tables.readable
        if table.path not in {file.path for file in files} and data_suffix(table.path) != ".inter"
    ]
    judged = {table.name: feature_tables.judge(con, table, columns[ITEM_ID]) for table in rest}
    others = [table for table in rest if not _is_features(judged[table.name], table.name, overrides)]
    found = Discovery({})
    items, pairs = _items(con, tables, others, files, columns=columns, overrides=overrides)
    chosen = _settle_items(found, items, pairs, columns, overrides)
    item_columns = _catalogue_columns(tables.root, items, chosen, overrides)
    _mention_dates(items, item_columns, found)
    item_columns |= media_files.without_files(
        con, root, items, item_columns, without=overrides.without, findings=found.findings
    )
    matrices = _matrices(root, rest, judged, overrides, found)
    defaults = MMREC_COLUMNS if reader == "mmrec" else {}
    used = [*(file.name for file in files), *([items.name] if items else []), *matrices.values()]
    section = {
        "reader": reader,
        "path": root.as_posix(),
        "interactions": setting,
        "items": items.name if items and data_stem(items.path) != "items" else None,
        "columns": list(overrides.columns) if overrides.columns else None,
        "items_header": list(overrides.items_header) if overrides.items_header else None,
        "encoding": overrides.encoding or _encoding(tables, used, found.findings),
        "ids": overrides.id_options,
        "time_unit": overrides.time_unit,
        "interaction_columns": {ours: it for ours, it in columns.items() if it != defaults.get(ours, ours)}
        | {name: None for name in overrides.absent if any(name in file.columns for file in files)},
        "item_columns": {ours: it for ours, it in item_columns.items() if it != ours},
        "media_folders": media_files.other_folders(root, overrides.without),
        # The mmrec reader finds its own.
        "matrices": {
            name: it for name, it in matrices.items() if reader != "mmrec" or it != f"{name}_feat.npy"
        },
    }
    found.section = {
        key: value
        for key, value in section.items()
        if value or (key == "media_folders" and value is not None)
    }
    found.unused_columns = [column for column in files[0].columns if column not in columns.values()]
    found.unused_tables = _unused(tables, used, judged)
    return found


def _interactions(
    con: "DuckDBPyConnection", root: Path, tables: Tables, overrides: Overrides
) -> tuple[list[DataFile], str | None]:
    """The files of interactions, and what to write under `interactions:` if their name is unusual."""
    if overrides.interactions:
        found = paths.named_files(root, overrides.interactions, "--interactions")
        return [tables.open(con, path, overrides.columns) for path in found], overrides.interactions
    if paths.has_interactions(root):
        return [tables.open(con, path, overrides.columns) for path in paths.find_interactions(root)], None
    if overrides.columns and tables.headless:
        name = _only(root, list(tables.headless))
        return [tables.open(con, root / name, overrides.columns)], name
    likely = [
        table.name
        for table in tables.readable
        if {USER_ID, ITEM_ID} <= guess(table.columns, _INTERACTION_COLUMNS).keys()
    ]
    name = _only(root, likely) if likely else _largest(root, tables)
    file = next((table for table in tables.readable if table.name == name), None)
    if file is None:  # raises: it has no header, or it cannot be read
        raise InputError(
            tables.without_header([name, *(other for other in tables.headless if other != name)])
            if name in tables.headless
            else tables.unreadable[name]
        )
    return [file], None if data_suffix(file.path) == ".inter" else name


def _only(root: Path, names: Sequence[str]) -> str:
    if len(names) > 1:
        raise InputError(
            f"{root}: several files could be the interactions ({', '.join(names)}); say `--interactions NAME`"
        )
    return names[0]


def _largest(root: Path, tables: Tables) -> str:
    names = [*(table.name for table in tables.readable), *tables.headless, *tables.unreadable]
    if not names:
        paths.find_interactions(root)  # raises: nothing here can be read
    return max(names, key=lambda name: (root / name).stat().st_size)


def _interaction_columns(files: Sequence[DataFile], overrides: Overrides) -> dict[str, str]:
    """Canonical name -> column: what is given, then what is recognised."""
    there = list(dict.fromkeys(column for file in files for column in file.columns))
    for column in overrides.given.values():
        if column not in there:
            raise InputError(f"{files[0].name} has no column '{column}'; it has: {', '.join(there)}")
    free = [column for column in files[0].columns if column not in overrides.given.values()]
    unknown = [name for name in _INTERACTION_COLUMNS if name not in (*overrides.given, *overrides.absent)]
    columns = overrides.given | guess(free, unknown)
    wanted = " ".join(f"{_OPTIONS[name]} NAME" for name in (USER_ID, ITEM_ID) if name not in columns)
    if wanted:
        raise InputError(
            f"{files[0].name}: cannot tell which column is the user and which the item (columns: "
            f"{', '.join(files[0].columns)}); run again with `{wanted}`"
        )
    return {name: columns[name] for name in _INTERACTION_COLUMNS if name in columns}


def _items(
    con: "DuckDBPyConnection",
    tables: Tables,
    others: Sequence[DataFile],
    files: Sequence[DataFile],
    *,
    columns: Mapping[str, str],
    overrides: Overrides,
) -> tuple[DataFile | None, list[Pair]]:
    """The items file (named, `items.*`, or the table that fits best) and how its columns join the interactions."""
    by_name = paths.find_items(tables.root)
    if overrides.items:
        path = paths.named_file(tables.root, overrides.items, "--items")
        file = tables.open(con, path, overrides.items_header)
        return file, _pairs(con, files, columns, file, overrides)
    if by_name:
        file = tables.open(con, by_name, overrides.items_header)
        return file, _pairs(con, files, columns, file, overrides)
    fits: list[tuple[tuple[int, float], DataFile, list[Pair]]] = []
    for table in others:
        if guess(table.columns, (USER_ID,)) or len(table.columns) < 2:
            continue
        pairs = _pairs(con, files, columns, table, overrides)
        pair = best(pairs)
        if pair is not None and pair.rate >= _CATALOGUE:
            texts = len(guess(table.columns, (TITLE, DESCRIPTION)))
            fits.append(((texts, pair.rate), table, pairs))
    if not fits:
        return None, []
    _, file, pairs = max(fits, key=lambda fit: fit[0])
    return file, pairs


def _pairs(
    con: "DuckDBPyConnection",
    files: Sequence[DataFile],
    columns: Mapping[str, str],
    catalogue: DataFile,
    overrides: Overrides,
) -> list[Pair]:
    """The pairs of columns that may join interactions and catalogue, counted; what a person said is not in question."""
    said = overrides.item_fields.get(ITEM_ID)
    if said is not None and said not in catalogue.columns:
        return []
    rights = [said] if said else item_columns_of(catalogue.columns, columns[ITEM_ID])
    free = [column for column in files[0].columns if column not in columns.values()]
    lefts = [columns[ITEM_ID]]
    if overrides.item_column is None:
        lefts += [column for column in item_columns_of(free, items_file=False) if column not in lefts]
        lefts += [column for column in free if column in rights and column not in lefts]
    return counted_pairs(con, files, lefts, catalogue, rights, ids=overrides.id_rules)


def _settle_items(
    found: Discovery,
    items: DataFile | None,
    pairs: Sequence[Pair],
    columns: dict[str, str],
    overrides: Overrides,
) -> str | None:
    """Take the pair that joins best, and say how all of them join; returns the catalogue's column of the item."""
    pair = best(pairs)
    if items is None or pair is None:
        return overrides.item_fields.get(ITEM_ID)
    told = [f"{each.sentence()}{' (taken)' if each is pair and len(pairs) > 1 else ''}" for each in pairs]
    found.findings.append(f"interactions and {items.name}: {'; '.join(told)}")
    columns[ITEM_ID] = pair.left
    return pair.right


def _catalogue_columns(
    root: Path, items: DataFile | None, item_column: str | None, overrides: Overrides
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
    if items is None:
        return {}
    if item_column is None:
        candidates = item_columns_of(items.columns)
        if not candidates:
            raise InputError(
                f"{items.name}: cannot tell which column is the item (columns: {', '.join(items.columns)}); run again "
                "with `--item-field item_id=COLUMN`"
            )
        item_column = candidates[0]
    given = {ITEM_ID: item_column} | dict(overrides.item_fields)
    free = [column for column in items.columns if column not in given.values()]
    return given | guess(free, [name for name in CANONICAL if name not in given], items_file=True)


def _mention_dates(items: DataFile | None, chosen: Mapping[str, str], found: Discovery) -> None:
    """A column of dates may keep items out of the tests of windows in which they did not exist yet."""
    column = date_of_items(items.columns) if items is not None and FIRST_SEEN not in chosen else None
    if items is not None and column is not None:
        found.findings.append(
            f"{items.name}: if {column} says since when an item can be recommended, run again with "
            f"`--item-field first_seen={column}`: tests of earlier windows then leave it out"
        )


def _is_features(judgement: feature_tables.Judgement | None, name: str, overrides: Overrides) -> bool:
    return name in overrides.features or (judgement is not None and judgement.features)


def _matrices(
    root: Path,
    tables: Sequence[DataFile],
    judged: Mapping[str, feature_tables.Judgement | None],
    overrides: Overrides,
    found: Discovery,
) -> dict[str, str]:
    """Name -> file of the ready features whose modality is known."""
    arrays = [path.name for path in sorted(root.glob("*.npy"))]
    for file in overrides.features:
        paths.named_file(root, file, "--features", also=(".npy",))
    ready = [
        *arrays,
        *(table.name for table in tables if _is_features(judged[table.name], table.name, overrides)),
    ]
    ready += [file for file in overrides.features if file not in ready]
    chosen: dict[str, str] = {}
    for file in ready:
        name = feature_tables.matrix_name(file)
        modality = overrides.features.get(file) or feature_tables.named_modality(file)
        if modality is None:
            found.findings.append(
                f"{file} is ready features, but of what does not show; run again with `--features {file}=image` (or "
                "text, audio, video) to use it"
            )
        elif modality not in overrides.without:
            how = (
                "as you say"
                if file in overrides.features
                else f"by its name (`--features {file}=...` to change it)"
            )
            found.findings.append(f"ready features: {file}, taken as {modality} {how}")
            found.modalities[name] = modality
            chosen[name] = file
    found.findings += [judgement.finding for judgement in judged.values() if judgement and judgement.finding]
    return chosen


def _encoding(tables: Tables, used: Sequence[str], findings: list[str]) -> str | None:
    """The encoding that the used files need, where they are not UTF-8."""
    needed = {name: tables.guessed[name] for name in used if name in tables.guessed}
    for name, encoding in needed.items():
        findings.append(f"{name} is not UTF-8; it is read as {encoding} (`--encoding NAME` for another)")
    if len(set(needed.values())) > 1:
        raise InputError(
            f"{' and '.join(needed)} are text of different encodings; save them as UTF-8, or name one for both with "
            "`--encoding NAME`"
        )
    return next(iter(needed.values()), None)


def _unused(
    tables: Tables, used: Sequence[str], judged: Mapping[str, feature_tables.Judgement | None]
) -> dict[str, str]:
    """Tables that are neither interactions nor items nor features, and why where something keeps them from it."""
    told = {
        name for name, judgement in judged.items() if judgement and (judgement.features or judgement.finding)
    }
    names = [table.name for table in tables.readable if data_suffix(table.path) != ".inter"]
    reasons = dict.fromkeys(names, "") | dict.fromkeys(tables.headless, "no header")
    reasons |= {
        name: reason.removeprefix(name).strip(" ,:")
        for name, reason in tables.unreadable.items()
        if data_suffix(Path(name)) != ".inter"
    }
    return {name: reason for name, reason in sorted(reasons.items()) if name not in used and name not in told}


def renamed(columns: Mapping[str, str | None]) -> str:
    """`user_id = uid, item_id = sku`, for people."""
    return ", ".join(f"{ours} = {theirs or 'none'}" for ours, theirs in columns.items())
