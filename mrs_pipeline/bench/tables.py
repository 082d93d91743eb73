"""The CSV tables that the benches keep: written whole or not at all, added to by key."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mrs_pipeline.schema import WINDOW


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write a bench's table as CSV, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    table.write_csv(temporary)
    temporary.replace(path)


def keep_rows(path: Path, rows: pl.DataFrame, keys: Sequence[str]) -> None:
    """Add rows to a table; what it holds of the same keys is replaced."""
    if rows.is_empty():
        return
    kept = kept_rows(path)
    if not kept.is_empty():
        rows = pl.concat([kept.join(rows, on=list(keys), how="anti"), rows], how="diagonal_relaxed")
    write_table(rows.sort(*keys, maintain_order=True), path)


def kept_rows(path: Path) -> pl.DataFrame:
    """The rows of a table; empty where there is none yet."""
    if not path.exists():
        return pl.DataFrame()
    rows = pl.read_csv(path, infer_schema_length=None, schema_overrides={WINDOW: pl.String})
    # a column without any value is read as text, which no figure of other rows goes with
    empty = [name for name in rows.columns if name != WINDOW and rows[name].null_count() == rows.height]
    return rows.with_columns(pl.lit(None, pl.Null).alias(name) for name in empty)
