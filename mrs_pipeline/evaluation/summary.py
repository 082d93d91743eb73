"""From the metrics of slices to tables: values with confidence intervals over users, and the users themselves."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from mrs_pipeline.evaluation.options import COMPARED
from mrs_pipeline.evaluation.slices import ALL, SliceMetrics
from mrs_pipeline.metrics.base import parse_label
from mrs_pipeline.metrics.registry import METRICS
from mrs_pipeline.statistics import Interval, Sample, interval
from mrs_pipeline.tables.columns import frame_types
from mrs_pipeline.types import FloatArray

_SUMMARY = frame_types(
    "slice",
    "protocol",
    "metric",
    "k",
    "users",
    "value",
    "ci_low",
    "ci_high",
    "chance",
    "candidates",
    "ranked_by",
)
_USERS = frame_types("user", "slice", "metric", "k", "value:user")


def summary_table(slices: Sequence[SliceMetrics]) -> pl.DataFrame:
    """One row a slice, metric and k; a metric that is defined for nobody has none.

    The value of a metric of users is their mean, with its 95 % interval over users, inside the metric's bounds (null
    for one user). A metric over all users has no interval. Here is one seed; over several see `reporting.leaderboard`.
    """
    rows = [
        (
            *(found.slice, found.protocol, *parse_label(label), users),
            *(over.mean, over.low, over.high),
            *(found.chance.get(label), found.candidates, found.ranked_by),
        )
        for found in slices
        for label, (users, over) in _summarised(found).items()
        if over.mean is not None
    ]
    return pl.DataFrame(rows, schema=_SUMMARY, orient="row")


def _summarised(found: SliceMetrics) -> dict[str, tuple[int, Interval]]:
    means = {
        label: (int(np.count_nonzero(~np.isnan(values))), _over_users(label, values))
        for label, values in found.values.items()
    }
    overall = {
        label: (len(found.users), Interval(None if np.isnan(value) else value))
        for label, value in found.overall.items()
    }
    return means | overall


def _over_users(label: str, values: FloatArray) -> Interval:
    metric = METRICS[parse_label(label)[0]]
    return interval(Sample.of_users(values), metric.low, metric.high)


def user_table(slices: Sequence[SliceMetrics]) -> pl.DataFrame:
    """One row a user, slice, metric and k for which the metric is defined: user, slice, metric, k, value."""
    return pl.concat([pl.DataFrame(schema=_USERS), *map(_long, slices)])


def shorter_than_catalogue(metrics: pl.DataFrame) -> pl.Expr:
    """Rows whose list cannot hold the slice's whole catalogue: one that can finds everything, whatever the model.

    A list as long as the catalogue is left out too. Rows without a cut-off stay, and of the slice of all items those by
    which models are compared: recall is 1 there for every model of a catalogue that small, but ndcg is not.

    Args:
        metrics: of `summary_table`.
    """
    candidates = dict(metrics.select("slice", "candidates").unique().iter_rows())
    shorter = pl.col("k") < pl.col("slice").replace_strict(candidates, default=0, return_dtype=pl.Int64)
    compared = (pl.col("slice") == ALL) & pl.col("k").is_in([parse_label(label)[1] for label in COMPARED])
    return pl.col("k").is_null() | shorter | compared


def _long(found: SliceMetrics) -> pl.DataFrame:
    wide = pl.DataFrame({"user": found.users, **found.values})
    parts = pl.col("name").str.split_exact("@", 1)
    return (
        wide.unpivot(index="user", variable_name="name", value_name="value")
        .filter(pl.col("value").is_not_nan())
        .select(
            "user",
            pl.lit(found.slice).alias("slice"),
            parts.struct[0].alias("metric"),
            parts.struct[1].cast(pl.Int64).alias("k"),
            "value",
        )
    )
