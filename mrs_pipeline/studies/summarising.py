"""From what arms came to, to one row an arm: means, intervals over users and seeds, paired against the control.

Pure: frames in, frame out. How an arm is run is `running`, how the result is shown is `reporting`.
"""

import polars as pl

from mrs_pipeline.metrics.base import parse_label
from mrs_pipeline.metrics.registry import METRICS
from mrs_pipeline.statistics import Sample, compare, interval, judged
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
    name, k = parse_label(metric)
    shown = arms.filter(metric=name, k=k)
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
    return _compared(means.sort("position", maintain_order=True), users, name)


def _compared(means: pl.DataFrame, users: pl.DataFrame, metric: str) -> pl.DataFrame:
    """With intervals, and differences to each arm's control over the users that both were measured on."""
    samples = {
        key: Sample.of(*(own[name].to_numpy() for name in ("user", "seed", "value")))
        for key, own in users.partition_by("arm", "part", as_dict=True).items()
    }
    keys = means.select("arm", "part").rows()
    controls = [(control, WHOLE) for control in means["against"]]
    bounds = METRICS[metric].low, METRICS[metric].high
    intervals = [interval(samples[key], *bounds) for key in keys]
    tests = judged(
        [
            None if key == control else compare(samples[key], samples[control])
            for key, control in zip(keys, controls, strict=True)
        ]
    )
    names = {
        "difference": "difference",
        "difference_low": "low",
        "difference_high": "high",
        "p": "p",
    }
    return means.with_columns(
        pl.Series("ci_low", [each.low for each in intervals], pl.Float64),
        pl.Series("ci_high", [each.high for each in intervals], pl.Float64),
        *(
            pl.Series(column, [getattr(test, field, None) for test in tests], pl.Float64)
            for column, field in names.items()
        ),
    )
