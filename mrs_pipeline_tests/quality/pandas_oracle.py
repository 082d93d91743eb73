"""What Great Expectations itself finds on a pandas frame: the oracle of what `quality` counts inside DuckDB."""

from collections.abc import Sequence
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.expectations.registry import get_expectation_impl

from mrs_pipeline.quality.expect import Expectation


def found_by_pandas(frame: pd.DataFrame, expectations: Sequence[Expectation]) -> list[tuple[bool, Any]]:
    """(success, offending rows or number of rows; None where it could not be evaluated) of each expectation."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": _plain(frame)})
    return [_found(batch.validate(_as_declared(one))) for one in expectations]


def _as_declared(one: Expectation) -> Any:
    """Great Expectations' own object of an expectation."""
    arguments = dict(one.arguments)
    if one.type == "expect_compound_columns_to_be_unique":
        arguments["column_list"] = list(one.columns)
    elif one.columns:
        arguments["column"] = one.columns[0]
    if one.mostly < 1:
        arguments["mostly"] = one.mostly
    return get_expectation_impl(one.type)(**arguments)


def _found(result: Any) -> tuple[bool, Any]:
    found = result.result or {}
    return bool(result.success), found.get("unexpected_count", found.get("observed_value"))


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with NumPy's types in place of pandas' nullable ones, on which GX's comparisons stumble."""
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    nullable = {name: kind for name, kind in kinds.items() if kind[:1] in "IUF" or kind == "boolean"}
    return frame.astype(
        {name: "object" if kind == "boolean" else "float64" for name, kind in nullable.items()}
    )
