"""The interactions of a source: raw columns to canonical ones, every value checked before a row is handed on.

Rows without a user or an item keep NULL there: the tables quarantine them with a reason.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import values
from mrs_pipeline.ingest.datafile import ROW, DataFile
from mrs_pipeline.ingest.ids import IdOptions
from mrs_pipeline.ingest.sql import first_row, in_short, quoted_name, quoted_text
from mrs_pipeline.ingest.time_units import TimeUnit
from mrs_pipeline.schema import ITEM_ID, RATING, SOURCE_FILE, SOURCE_ROW, SPLIT, TIMESTAMP, USER_ID

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_NEEDS = {
    TIMESTAMP: "neither unix seconds, milliseconds nor an ISO date",
    RATING: "not a number",
    SPLIT: "not a split (train, valid or test)",
}
_REMEDIES = {
    TIMESTAMP: "name the unit of numbers under source.time_unit, or map another column under "
    "source.interaction_columns (`--time-unit` and `--time-column` of `mrs init`)",
    RATING: "map another column under source.interaction_columns (`--rating-column` of `mrs init`)",
    SPLIT: "map another column under source.interaction_columns",
}
_TYPES = {TIMESTAMP: "TIMESTAMP", RATING: "DOUBLE", SPLIT: "VARCHAR"}


@dataclass(frozen=True)
class InteractionLayout:
    """How a reader's interactions are called.

    Attributes:
        columns: our name -> the file's, as the settings say.
        defaults: the same, for what the settings leave out.
        labels: spelling of a split -> our label.
        ids: which spellings of an id mean the same, and which mean none.
        time_unit: what numbers in the time column count.
        ignored: our names of columns that are not read although a file has them.
    """

    columns: Mapping[str, str]
    defaults: Mapping[str, str]
    labels: Mapping[str, str]
    ids: IdOptions = field(default_factory=IdOptions)
    time_unit: TimeUnit = "auto"
    ignored: tuple[str, ...] = ()

    def actual(self, canonical: str) -> str:
        """The file's name of one of our columns."""
        return self.columns.get(canonical, self.defaults.get(canonical, canonical))

    @property
    def all_actual(self) -> list[str]:
        """The file's names of all of our columns."""
        return [self.actual(name) for name in (USER_ID, ITEM_ID, TIMESTAMP, RATING, SPLIT)]


@dataclass(frozen=True)
class _Branch:
    """One file's SELECT, without its checks, and the checks."""

    select: str
    problem: str
    shown: str


def interactions_select(
    con: "DuckDBPyConnection",
    files: Sequence[DataFile],
    layout: InteractionLayout,
    *,
    alone: bool = False,
) -> str:
    """SELECT with the columns of `raw.interactions` over all files, once every value has been checked.

    Args:
        con: the connection that the SELECT is for.
        files: one or more.
        layout: how their columns are called.
        alone: whether this is one landing file of several, which may be empty and lack columns that others have.

    Raises:
        InputError: a column is missing, a value cannot be read (with its line), or there is no row at all.
    """
    if not alone:
        _require_mapped(files, layout)
    branches = [_branch(file, layout) for file in files]
    rows = sum(_checked_rows(con, file, branch, layout) for file, branch in zip(files, branches, strict=True))
    if rows == 0 and not alone:
        where = files[0].name if len(files) == 1 else f"each of {len(files)} files, from {files[0].name} on,"
        raise InputError(f"{where} has no rows below its header; put interactions there or name another file")
    return " UNION ALL ".join(branch.select for branch in branches)


def _require_mapped(files: Sequence[DataFile], layout: InteractionLayout) -> None:
    """A column that the settings name must be in one file at least; landings may differ in the others."""
    for canonical, actual in layout.columns.items():
        if not any(actual in file.columns for file in files):
            raise InputError(
                missing_column(files[0], canonical, actual, "interaction_columns", layout.all_actual)
            )


def _branch(file: DataFile, layout: InteractionLayout) -> _Branch:
    repeated = _repeated_header(file, layout)
    user, item = (
        f"CASE WHEN {repeated} THEN NULL ELSE {_identifier(file, layout, name)} END"
        for name in (USER_ID, ITEM_ID)
    )
    typed = {name: _typed(file, layout, name) for name in (TIMESTAMP, RATING, SPLIT)}
    columns = ", ".join(
        f"{value.sql if value else f'CAST(NULL AS {_TYPES[name]})'} AS {name}"
        for name, value in typed.items()
    )
    select = (
        f"SELECT {user} AS {USER_ID}, {item} AS {ITEM_ID}, {columns}, "
        f"{quoted_text(file.name)} AS {SOURCE_FILE}, CAST({ROW} AS BIGINT) AS {SOURCE_ROW} "
        f"FROM ({file.scan_sql()})"
    )
    checks = {name: value for name, value in typed.items() if value}
    problem = " ".join(f"WHEN {value.wrong} THEN '{name}'" for name, value in checks.items())
    shown = " ".join(f"WHEN {value.wrong} THEN {value.shown}" for value in checks.values())
    return _Branch(select, *(_case(f"WHEN {repeated} THEN NULL {whens}") for whens in (problem, shown)))


def _case(whens: str) -> str:
    return f"CASE {whens} ELSE CAST(NULL AS VARCHAR) END"


def _repeated_header(file: DataFile, layout: InteractionLayout) -> str:
    """Predicate of the rows that are the header once more, as in files that were put together: they name nobody."""
    if file.kind != "csv" or not file.header:
        return "false"
    named = (layout.actual(name) for name in (USER_ID, ITEM_ID))
    return " AND ".join(f"trim({quoted_name(name)}) = {quoted_text(name)}" for name in named)


def _identifier(file: DataFile, layout: InteractionLayout, canonical: str) -> str:
    actual = layout.actual(canonical)
    if actual not in file.columns:
        raise InputError(missing_column(file, canonical, actual, "interaction_columns", layout.all_actual))
    sql = values.identifier_sql(actual, file.columns[actual], layout.ids)
    return sql or _refuse_type(file, actual, canonical)


def _typed(file: DataFile, layout: InteractionLayout, canonical: str) -> values.Value | None:
    """The parsed optional column; None where this file has none."""
    actual = layout.actual(canonical)
    if actual not in file.columns or canonical in layout.ignored:
        return None
    duckdb_type = file.columns[actual]
    match canonical:
        case "split":
            value = values.split(actual, duckdb_type, layout.labels)
        case "timestamp":
            value = values.timestamp(actual, duckdb_type, layout.time_unit)
        case _:
            value = values.number(actual, duckdb_type)
    return value or _refuse_type(file, actual, canonical)


def _refuse_type(file: DataFile, actual: str, canonical: str) -> NoReturn:
    raise InputError(
        f"{file.name}, column {actual}: type {file.columns[actual]} cannot be a {canonical}; "
        "convert it or map another column under source.interaction_columns"
    )


def missing_column(
    file: DataFile, canonical: str, actual: str, setting: str, others: Collection[str] = ()
) -> str:
    """The sentence for a column that is not there; its example is none of the columns that are read as `others`."""
    there = ", ".join(file.columns)
    example = next((name for name in file.columns if name not in others), next(iter(file.columns)))
    return (
        f"{file.name} has no column '{actual}' (it has: {there}); say which one is the {canonical}, "
        f"for example `{setting}: {{{canonical}: {example}}}` under source"
    )


def _checked_rows(
    con: "DuckDBPyConnection", file: DataFile, branch: _Branch, layout: InteractionLayout
) -> int:
    """Number of rows of a file whose values can all be read."""
    scan = f"(SELECT {ROW}, {branch.problem} AS problem, {branch.shown} AS shown FROM ({file.scan_sql()}))"
    first = f"arg_min({{'row': {ROW}, 'problem': problem, 'shown': shown}}, {ROW})"
    with file.reading():
        (bad,) = first_row(con, f"SELECT {first} FILTER (problem IS NOT NULL) FROM {scan}")
    if bad:
        raise InputError(
            f"{file.place(bad['row'])}, column {layout.actual(bad['problem'])}: '{in_short(bad['shown'])}' is "
            f"{_NEEDS[bad['problem']]}; correct it, or {_REMEDIES[bad['problem']]}"
        )
    return file.readable_rows(con, branch.select)
