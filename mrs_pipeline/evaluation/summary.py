"""From per-user metrics to tables: means with confidence intervals over users, and the users themselves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from mrs_pipeline.evaluation.slices import UserMetrics
from mrs_pipeline.types import FloatArray, Interactions

CONFIDENCE = 0.95

_SUMMARY_SCHEMA = {
    "slice": pl.String,
    "protocol": pl.String,
    "metric": pl.String,
    "k": pl.Int64,
    "users": pl.Int64,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
}
_USER_SCHEMA = {"user": pl.Int64, "slice": pl.String, "metric": pl.String, "k": pl.Int64, "value": pl.Float32}


def summary_table(slices: Sequence[UserMetrics]) -> pl.DataFrame:
    """One row a slice, metric and k: mean over users and its 95 % interval (Student's t over users)."""
    rows: list[dict[str, Any]] = [
        {
            "slice": metrics.slice,
            "protocol": metrics.protocol,
            "metric": name.partition("@")[0],
            "k": int(name.partition("@")[2]),
            "users": len(metrics.users),
            **_interval(values),
        }
        for metrics in slices
        for name, values in metrics.values.items()
    ]
    return pl.DataFrame(rows, schema=_SUMMARY_SCHEMA)


def user_table(slices: Sequence[UserMetrics]) -> pl.DataFrame:
    """One row a user, slice, metric and k: user, slice, metric, k, value."""
    return pl.concat([pl.DataFrame(schema=_USER_SCHEMA), *map(_long, slices)])


def telling(train: Interactions) -> pl.Expr:
    """Rows whose list is shorter than the slice's catalogue: a list that holds every candidate finds everything."""
    n_warm = int(np.unique(train.items).size)
    candidates = {"all": train.n_items, "warm": n_warm, "cold": train.n_items - n_warm}
    return pl.col("k") < pl.col("slice").replace_strict(candidates, return_dtype=pl.Int64)


def _interval(values: FloatArray) -> dict[str, float]:
    from scipy import stats

    exact = values.astype(np.float64)
    mean = float(exact.mean())
    error = float(stats.sem(exact)) if len(exact) > 1 else 0.0
    if error == 0.0:
        return {"value": mean, "ci_low": mean, "ci_high": mean}
    low, high = stats.t.interval(CONFIDENCE, len(exact) - 1, loc=mean, scale=error)
    return {"value": mean, "ci_low": float(low), "ci_high": float(high)}


def _long(metrics: UserMetrics) -> pl.DataFrame:
    wide = pl.DataFrame({"user": metrics.users, **metrics.values})
    parts = pl.col("name").str.split_exact("@", 1)
    return wide.unpivot(index="user", variable_name="name", value_name="value").select(
        "user",
        pl.lit(metrics.slice).alias("slice"),
        parts.struct[0].alias("metric"),
        parts.struct[1].cast(pl.Int64).alias("k"),
        "value",
    )
