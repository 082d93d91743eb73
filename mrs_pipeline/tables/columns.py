"""Every column once: name, type, unit and meaning. Tables and the report's frames list columns by name.

Declarations are in `columns_data` (raw, core, features) and `columns_results` (models, eval, serving, quality,
lineage, report). Where a name means something else in one table, that meaning is a variant of its own, declared as
`name:variant` beside the first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Column:
    """A column's DuckDB type, meaning and unit (empty for a number without one)."""

    type: str
    description: str
    unit: str = ""


def listed_columns(*names: str) -> dict[str, Column]:
    """Columns by name, in this order, e.g. `listed_columns("user", "metric", "value:user")`.

    Raises:
        KeyError: a column or variant is not declared.
        ValueError: two of them have one name.
    """
    columns = {name.partition(":")[0]: declared()[name] for name in names}
    if len(columns) < len(names):
        raise ValueError(f"a column is listed twice among {', '.join(names)}")
    return columns


def frame_types(*names: str) -> "dict[str, pl.DataType]":
    """Column -> Polars type, for frames that are checked while they travel; names as in `listed_columns`."""
    return {name: polars_type(column.type) for name, column in listed_columns(*names).items()}


def polars_type(duckdb_type: str) -> "pl.DataType":
    """The Polars type that DuckDB reads as `duckdb_type`."""
    import polars as pl

    if duckdb_type.endswith("[]"):
        return pl.List(polars_type(duckdb_type.removesuffix("[]")))
    types: dict[str, pl.DataType] = {
        "VARCHAR": pl.String(),
        "BIGINT": pl.Int64(),
        "INTEGER": pl.Int32(),
        "DOUBLE": pl.Float64(),
        "FLOAT": pl.Float32(),
        "BOOLEAN": pl.Boolean(),
        "TIMESTAMP": pl.Datetime("us"),
        "DATE": pl.Date(),
    }
    return types[duckdb_type]


def declared() -> Mapping[str, Column]:
    """All columns and variants."""
    from mrs_pipeline.tables.columns_data import DATA
    from mrs_pipeline.tables.columns_results import RESULTS

    return {**DATA, **RESULTS}
