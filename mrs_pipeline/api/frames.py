"""Tables of other libraries as Polars frames, and what their columns must be. No ids and no models."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.types import IntArray

AnyTable = Any
"""A Polars, pandas or Arrow table, or a dictionary of columns."""


def as_frame(table: AnyTable, what: str) -> pl.DataFrame:
    """The table as a Polars frame; InputError where it is none. `what` names it in messages."""
    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    if not (isinstance(table, Mapping) or hasattr(table, "__arrow_c_stream__") or hasattr(table, "iloc")):
        raise InputError(
            f"{what} must be a Polars, pandas or Arrow table or a dictionary of columns, not {_kind(table)}"
        )
    try:
        return pl.from_pandas(table) if hasattr(table, "iloc") else pl.DataFrame(table)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{what} cannot be read ({reason}); give each column one type, strings or numbers"
        ) from error


def column(frame: pl.DataFrame, name: str, what: str) -> pl.Series:
    """A column; InputError lists those there are."""
    if name not in frame.columns:
        raise InputError(
            f"{what} has no column '{name}'; it has {', '.join(frame.columns) or 'none'}: name the right one"
        )
    return frame[name]


def as_series(values: Any, what: str) -> pl.Series:
    """Ids as a Polars series: a series, an array, a list, or a single id."""
    if isinstance(values, pl.Series):
        return values
    if isinstance(values, str | int):
        values = [values]
    if isinstance(values, Mapping) or not (hasattr(values, "__len__") or hasattr(values, "__iter__")):
        raise InputError(f"{what} must be a list, an array or a series of ids, not {_kind(values)}")
    try:
        return pl.Series(values if isinstance(values, Sequence | np.ndarray) else list(values))
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{what} cannot be read as ids of one type: {str(error).splitlines()[0]}") from error


def checked_ids(values: pl.Series, what: str) -> pl.Series:
    """Ids of a type that can be compared and stored; categories become strings.

    Raises:
        InputError: one is missing, or they are lists, structures or Python objects.
    """
    if isinstance(values.dtype, pl.Categorical | pl.Enum):
        values = values.cast(pl.String)
    if values.dtype.is_nested() or values.dtype in (pl.Object, pl.Null):
        raise InputError(f"{what} is of type {values.dtype}; ids are strings or whole numbers")
    missing = values.is_null() | values.is_nan() if values.dtype.is_float() else values.is_null()
    if missing.any():
        raise InputError(
            f"{what} holds {missing.sum()} missing values, the first in row {missing.arg_max()}; drop these rows"
        )
    return values


def seconds(values: pl.Series, what: str) -> IntArray:
    """Times as [rows] int64: whole seconds since 1970 (UTC) of dates and datetimes, numbers as they are.

    Raises:
        InputError: a time is missing, or the column holds neither times nor numbers.
    """
    if values.null_count():
        raise InputError(
            f"{what} holds {values.null_count()} missing times, the first in row {values.is_null().arg_max()}; drop "
            "these rows, or leave `time` out"
        )
    if values.dtype.is_temporal() and values.dtype not in (pl.Time, pl.Duration):
        values = values.cast(pl.Datetime("us")).dt.epoch("s")
    if not values.dtype.is_numeric() or not bool(values.cast(pl.Float64).is_finite().all()):
        raise InputError(
            f"{what} is of type {values.dtype} and cannot be ordered as time; convert it, for instance with "
            "`pl.col(...).str.to_datetime()`"
        )
    return np.asarray(values.cast(pl.Int64).to_numpy())


def _kind(value: object) -> str:
    return type(value).__name__
