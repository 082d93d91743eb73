"""Facts of an outcome as Dagster metadata that a person can use: numbers, tables, pictures, column schemas."""

import base64
from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.orchestration.keys import asset_key
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.places import column_sources, schema_of

_SHOWN_ROWS = 12


def as_metadata(facts: Mapping[str, Any]) -> dict[str, dg.MetadataValue[Any]]:
    """Frames become tables, PNG bytes pictures, paths links; numbers stay numbers, which the UI plots over windows.

    Of a list of numbers, one a seed, the mean is the number, and the list stands beside it.
    """
    shown = {name: fact for name, fact in facts.items() if fact is not None}
    by_seed = {name: fact for name, fact in shown.items() if _numbers(fact)}
    means = {name: sum(fact) / len(fact) for name, fact in by_seed.items()}
    each = {f"{name}, by seed": fact for name, fact in by_seed.items() if len(fact) > 1}
    return {name: _value(fact) for name, fact in (shown | means | each).items()}


def _numbers(fact: Any) -> bool:
    return isinstance(fact, list) and bool(fact) and all(isinstance(one, Real) for one in fact)


def markdown_table(frame: pl.DataFrame, rows: int = _SHOWN_ROWS) -> str:
    """The first rows of a frame as a Markdown table; text from strangers cannot break out of its cell."""
    head = frame.head(rows)
    lines = [f"| {' | '.join(head.columns)} |", f"|{'---|' * len(head.columns)}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in head.iter_rows()]
    more = f"\n\n{frame.height - rows} more rows" if frame.height > rows else ""
    return "\n".join(lines) + more


def column_metadata(
    config: DatasetConfig, output: Node, columns: Mapping[str, str]
) -> dict[str, dg.MetadataValue[Any]]:
    """Column schema with descriptions, and where each column comes from."""
    if not columns:
        return {}
    table = schema_of(output)
    described = table.columns if table else {}
    schema = dg.TableSchema(
        columns=[
            dg.TableColumn(name, kind, description=described[name].description if name in described else None)
            for name, kind in columns.items()
        ]
    )
    metadata: dict[str, dg.MetadataValue[Any]] = {
        "dagster/column_schema": dg.MetadataValue.table_schema(schema)
    }
    deps = {
        column: [
            dg.TableColumnDep(asset_key(config.name, Node.parse(asset)), name) for asset, name in sources
        ]
        for column, sources in column_sources(config, output).items()
        if column in columns
    }
    if deps:
        metadata["dagster/column_lineage"] = dg.MetadataValue.column_lineage(dg.TableColumnLineage(deps))
    return metadata


def _value(fact: Any) -> dg.MetadataValue[Any]:
    shown: dg.MetadataValue[Any]
    match fact:
        case dg.MetadataValue():  # of a result that is recorded again
            shown = fact
        case pl.DataFrame():
            shown = dg.MetadataValue.md(markdown_table(fact))
        case bytes():
            shown = dg.MetadataValue.md(f"![plot](data:image/png;base64,{base64.b64encode(fact).decode()})")
        case Path():
            shown = dg.MetadataValue.path(fact)
        case Mapping() | list():
            shown = dg.MetadataValue.json(fact)
        case bool() | np.bool_() | Real():
            shown = _number(fact)
        case _:
            shown = dg.MetadataValue.text(str(fact))
    return shown


def _number(fact: Any) -> dg.MetadataValue[Any]:
    """Numbers of any library as numbers, which the UI plots over windows."""
    if isinstance(fact, bool | np.bool_):
        return dg.MetadataValue.bool(bool(fact))
    return (
        dg.MetadataValue.int(int(fact)) if isinstance(fact, Integral) else dg.MetadataValue.float(float(fact))
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")[:120]
