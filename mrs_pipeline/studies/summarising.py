"""From what arms came to, to one row an arm: means over seeds, intervals over users, paired against the control.

Pure: frames in, frame out. How an arm is run is `running`, how the result is shown is `reporting`.
"""

import numpy as np
import polars as pl

from mrs_pipeline.statistics import compare, holm, mean_interval
from mrs_pipeline.studies.running import WHOLE

_COST = ("seconds", "seconds_per_epoch", "epochs")


def summarise(arms: pl.DataFrame, users: pl.DataFrame, metric: str) -> pl.DataFrame:
    """One row an arm and part, in the order of the experiment.

    Args:
        arms: rows of `eval.experiment_arms`, of all arms and seeds.
        users: rows of `eval.experiment_users` with arm and seed.
        metric: the metric to show, `<name>@<k>`, the one that `users` holds.

    Returns:
        The columns of `eval.experiments`.
    """
    name, _, k = metric.partition("@")
    shown = arms.filter(metric=name, k=int(k))
    means = (
        shown.filter(slice="all")
        .group_by("position", "arm", "series", "against", "part", "model", "removed", maintain_order=True)
        .agg(
            pl.len().alias("seeds"),
            pl.lit(metric).alias("metric"),
            pl.col("value").mean(),
            pl.col("value").std().alias("spread"),
            *(pl.col(column).mean() for column in _COST),
            pl.col("peak_memory_mb").max(),
            pl.col("parameters").max(),
            pl.col("dependence").mean(),
        )
    )
    for part in ("warm", "cold"):
        own = shown.filter(slice=part).group_by("arm", "part").agg(pl.col("value").mean().alias(part))
        means = means.join(own, on=["arm", "part"], how="left")
    return _compared(means.sort("position", maintain_order=True), users)


def _compared(means: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    """With intervals over users, and differences to each arm's control over the users that both were measured on."""
    wide = (
        users.group_by("user", "arm", "part")
        .agg(pl.col("value").cast(pl.Float64).mean())
        .with_columns(key=pl.concat_str("arm", "part", separator="\n"))
        .pivot(on="key", index="user", values="value")
        .sort("user")
    )
    values = {
        column: wide[column].fill_null(np.nan).to_numpy() for column in wide.columns if column != "user"
    }
    controls = {
        f"{arm}\n{part}": f"{control}\n{WHOLE}"
        for arm, part, control in means.select("arm", "part", "against").iter_rows()
    }
    keys = list(controls)
    intervals = [mean_interval(values[key]) for key in keys]
    others = {
        key: compare(values[key], values[control]) for key, control in controls.items() if key != control
    }
    adjusted = dict(zip(others, holm([each.p for each in others.values()]), strict=True))
    return means.with_columns(
        pl.Series("ci_low", [interval.low for interval in intervals], pl.Float64),
        pl.Series("ci_high", [interval.high for interval in intervals], pl.Float64),
        *(
            pl.Series(
                column, [getattr(others[key], field) if key in others else None for key in keys], pl.Float64
            )
            for column, field in (
                ("difference", "difference"),
                ("difference_low", "low"),
                ("difference_high", "high"),
            )
        ),
        pl.Series("p", [adjusted.get(key) for key in keys], pl.Float64),
    )
