"""From stored metrics to a ranking: means over seeds, intervals over users, paired tests. No drawing here.

Rows are compared inside one (protocol, dataset, window) only: numbers of two protocols are never ranked
together.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.options import COMPARED
from mrs_pipeline.metrics.registry import METRICS as KNOWN
from mrs_pipeline.reporting.inputs import METRIC_FRAME, RUN_FRAME, USER_METRIC_FRAME, conform
from mrs_pipeline.reporting.taxonomy_matrix import axis_of
from mrs_pipeline.statistics import Comparison, SampleValues, compare, holm, mean_interval

GROUP_COLUMNS = ("protocol", "dataset", "window")
RUN_COLUMNS = ("dataset", "window", "model", "seed")
COSTS = (
    "seconds",
    "seconds_per_epoch",
    "seconds_evaluation",
    "peak_memory_mb",
    "n_parameters",
    "epochs",
    "best_epoch",
)
POPULARITY_MODEL = "most_pop"
_INTERVAL = ("_spread", "_ci_low", "_ci_high")


def leaderboard(
    metrics: pl.DataFrame,
    runs: pl.DataFrame | None = None,
    user_metrics: pl.DataFrame | None = None,
    *,
    shown: Sequence[str] = COMPARED,
    popularity: str = POPULARITY_MODEL,
) -> pl.DataFrame:
    """One row a (protocol, dataset, window, model), best first inside each group.

    Args:
        metrics: `inputs.METRICS` rows.
        runs: `inputs.RUNS` rows; without them cells, modalities and costs are null.
        user_metrics: `inputs.USER_METRICS` rows; without them there are no tests and the intervals are the means
            over seeds of those in `metrics`.
        shown: metrics that get spread and intervals; the first one ranks and is tested, the others break ties.
        popularity: model every other is tested against besides the leader.

    Returns:
        rank, the group, model, axis, cells, modalities, seeds, n_users; `<metric>@<k>` (`<metric>` for one of the
        whole ranking) means over seeds of slice `all`; of those shown `_spread` (standard deviation over seeds, null
        for one seed), `_ci_low`, `_ci_high` (95 % over users); `<slice>_<metric>` for other slices; `best_*` and
        `popularity_*` (model minus that reference: `difference`, `low`, `high`, and `p` after Holm inside the group);
        costs as means over seeds.

    Raises:
        InputError: a column is missing, a metric stands there twice for a run, or the ranking one does not at
        all.
    """
    rows = _checked(conform(metrics, METRIC_FRAME, "metrics"), shown)
    board = _means(rows, shown)
    board = board.join(
        _run_facts(conform(_or_empty(runs), RUN_FRAME, "runs")), on=RUN_COLUMNS[:3], how="left"
    )
    users = _user_values(conform(_or_empty(user_metrics), USER_METRIC_FRAME, "user metrics"), rows)
    board = _with_user_intervals(board, users, shown)
    groups = [
        _ranked(group, users.filter(_same_group(group)), shown, popularity)
        for group in board.partition_by(GROUP_COLUMNS, maintain_order=True)
    ]
    return _ordered(pl.concat(groups), shown)


def walk_forward(board: pl.DataFrame, metric: str = COMPARED[0]) -> pl.DataFrame:
    """Models by windows: columns protocol, dataset, model, one a window in order, and their `mean`.

    The mean is null where a model lacks a window: an average over easier windows would flatter it. Sorted by
    (protocol, dataset), best mean first.

    Args:
        board: result of `leaderboard`.
        metric: a column of it.
    """
    windows = sorted(board["window"].unique())
    wide = board.pivot("window", index=["protocol", "dataset", "model"], values=metric)
    tables = []
    for table in wide.partition_by("protocol", "dataset", maintain_order=True):
        own = [window for window in windows if table[window].is_not_null().any()]
        complete = pl.all_horizontal(pl.col(own).is_not_null())
        tables.append(table.with_columns(pl.when(complete).then(pl.mean_horizontal(own)).alias("mean")))
    order = ["protocol", "dataset", "mean", "model"]
    return (
        pl.concat(tables)
        .sort(order, descending=[False, False, True, False], nulls_last=True)
        .select("protocol", "dataset", "model", *windows, "mean")
    )


def metric_columns(board: pl.DataFrame) -> list[str]:
    """The columns of `leaderboard` that hold values of metrics, of all slices, in order."""
    whole = [metric.name for metric in KNOWN.values() if not metric.cutoff]
    return [
        column
        for column in board.columns
        if ("@" in column and not column.endswith(_INTERVAL))
        or column.removeprefix("warm_").removeprefix("cold_") in whole
    ]


def _or_empty(frame: pl.DataFrame | None) -> pl.DataFrame:
    return pl.DataFrame() if frame is None else frame


def _checked(metrics: pl.DataFrame, shown: Sequence[str]) -> pl.DataFrame:
    """The metrics with a `name` column such as `recall@20`, after the checks that `leaderboard` promises."""
    key = [*RUN_COLUMNS, "slice", "metric", "k"]
    twice = metrics.filter(pl.struct(key).is_duplicated())
    if len(twice):
        row = twice.row(0, named=True)
        raise InputError(
            f"The metrics hold {row['metric']}@{row['k']} of {row['model']} (dataset {row['dataset']}, "
            f"window {row['window']}, seed {row['seed']}, slice {row['slice']}) twice; keep one."
        )
    label = pl.when(pl.col("k").is_null()).then("metric").otherwise(pl.format("{}@{}", "metric", "k"))
    named = _stamped(metrics).with_columns(name=label)
    known = named.filter(pl.col("slice") == "all")["name"].unique(maintain_order=True)
    for name in shown:
        if name not in known:
            raise InputError(
                f"The metrics hold no {name} of slice 'all', only {', '.join(known) or 'none'}; evaluate it."
            )
    return named


def _stamped(metrics: pl.DataFrame) -> pl.DataFrame:
    """Every row of a run under the protocol of its slice `all`: other slices name themselves in theirs."""
    stamps = (
        metrics.filter(pl.col("slice") == "all").select(*RUN_COLUMNS, "protocol").unique(maintain_order=True)
    )
    twice = stamps.filter(pl.struct(RUN_COLUMNS).is_duplicated())
    if len(twice):
        row = twice.row(0, named=True)
        raise InputError(
            f"The metrics of {row['model']} (dataset {row['dataset']}, window {row['window']}, "
            f"seed {row['seed']}) mix protocols; evaluate the run again."
        )
    joined = metrics.join(stamps, on=RUN_COLUMNS, how="left", suffix="_of_run", maintain_order="left")
    return joined.with_columns(protocol=pl.coalesce("protocol_of_run", "protocol")).drop("protocol_of_run")


def _means(rows: pl.DataFrame, shown: Sequence[str]) -> pl.DataFrame:
    """Seeds averaged, metrics as columns."""
    prefix = pl.when(pl.col("slice") == "all").then(pl.lit("")).otherwise(pl.col("slice") + "_")
    rows = rows.with_columns(column=prefix + pl.col("name"))
    index = [*GROUP_COLUMNS, "model"]
    grouped = rows.group_by(*index, "column", maintain_order=True).agg(
        pl.col("value", "ci_low", "ci_high").mean(), spread=pl.col("value").std()
    )
    board = rows.group_by(index, maintain_order=True).agg(
        seeds=pl.col("seed").n_unique(), n_users=pl.col("n_users").filter(pl.col("slice") == "all").max()
    )
    values = grouped.pivot("column", index=index, values="value")
    board = board.join(values, on=index)
    for value, suffix in (("spread", "_spread"), ("ci_low", "_ci_low"), ("ci_high", "_ci_high")):
        part = grouped.filter(_is_shown(shown)).with_columns(pl.col("column") + suffix)
        board = board.join(part.pivot("column", index=index, values=value), on=index, how="left")
    return board


def _is_shown(shown: Sequence[str]) -> pl.Expr:
    """Columns that carry spread and interval: the metrics shown, and the ranking one in each slice."""
    return pl.col("column").is_in(list(shown)) | pl.col("column").str.ends_with("_" + shown[0])


def _run_facts(runs: pl.DataFrame) -> pl.DataFrame:
    """Cells and costs a (dataset, window, model), costs averaged over seeds."""
    return runs.group_by(RUN_COLUMNS[:3], maintain_order=True).agg(
        pl.col("cells", "modalities").first(), pl.col(COSTS).mean()
    )


def _user_values(users: pl.DataFrame, metrics: pl.DataFrame) -> pl.DataFrame:
    """Per-user metrics averaged over seeds, stamped with the protocol their run was evaluated under."""
    names = [column for column in users.columns if column not in USER_METRIC_FRAME]
    stamps = metrics.select("protocol", *RUN_COLUMNS).unique()
    return (
        users.join(stamps, on=RUN_COLUMNS)
        .group_by(*GROUP_COLUMNS, "model", "user")
        .agg(pl.col(names).cast(pl.Float64).mean())
        .sort(*GROUP_COLUMNS, "model", "user")
    )


def _same_group(group: pl.DataFrame) -> pl.Expr:
    return pl.all_horizontal(pl.col(key) == group[key][0] for key in GROUP_COLUMNS)


def _with_user_intervals(board: pl.DataFrame, users: pl.DataFrame, shown: Sequence[str]) -> pl.DataFrame:
    """Replace the intervals of `shown` by those over users, where per-user values are there."""
    for metric in (name for name in shown if name in users.columns):
        intervals = {
            key: mean_interval(part[metric].fill_null(np.nan).to_numpy())
            for key, part in users.group_by(*GROUP_COLUMNS, "model", maintain_order=True)
        }
        found = [(*key, interval.low, interval.high) for key, interval in intervals.items()]
        schema = {
            **dict.fromkeys([*GROUP_COLUMNS, "model"], pl.String),
            "low": pl.Float64,
            "high": pl.Float64,
        }
        board = board.join(
            pl.DataFrame(found, schema=schema, orient="row"), on=[*GROUP_COLUMNS, "model"], how="left"
        ).with_columns(
            pl.coalesce("low", f"{metric}_ci_low").alias(f"{metric}_ci_low"),
            pl.coalesce("high", f"{metric}_ci_high").alias(f"{metric}_ci_high"),
        )
        board = board.drop("low", "high")
    return board


def _ranked(group: pl.DataFrame, users: pl.DataFrame, shown: Sequence[str], popularity: str) -> pl.DataFrame:
    """One group, best first, with its two families of tests; what ties in the first metric is told by the others."""
    metric, by = shown[0], list(shown)
    group = group.sort([*by, "model"], descending=[*(True for _ in by), False], nulls_last=True)
    ties = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift()) for name in by)
    axes = [None if cells is None else axis_of(cells).value for cells in group["cells"].to_list()]
    group = group.with_columns(
        pl.Series("axis", axes, dtype=pl.String),
        rank=pl.when(ties).then(None).otherwise(pl.int_range(1, pl.len() + 1)).forward_fill().cast(pl.Int64),
    )
    columns = _by_model(users, metric)
    for name, reference in (("best", group["model"][0]), ("popularity", popularity)):
        group = group.with_columns(_tests(name, group["model"].to_list(), reference, columns))
    return group


def _by_model(users: pl.DataFrame, metric: str) -> dict[str, SampleValues]:
    """Model -> [U] values aligned on the users of the whole group, NaN where a model lacks a user."""
    if metric not in users.columns or users.is_empty():
        return {}
    wide = users.pivot("model", index="user", values=metric)
    return {model: wide[model].fill_null(np.nan).to_numpy() for model in wide.columns if model != "user"}


def _tests(
    name: str, models: Sequence[str], reference: str, columns: dict[str, SampleValues]
) -> list[pl.Series]:
    """Columns `<name>_difference`, `_low`, `_high`, `_p` (Holm over `models`), null for the reference."""
    found: list[Comparison | None] = [
        compare(columns[model], columns[reference])
        if model != reference and model in columns and reference in columns
        else None
        for model in models
    ]
    parts: dict[str, list[float | None]] = {
        "difference": [test.difference if test else None for test in found],
        "low": [test.low if test else None for test in found],
        "high": [test.high if test else None for test in found],
        "p": holm([test.p if test else None for test in found]),
    }
    return [pl.Series(f"{name}_{part}", values, dtype=pl.Float64) for part, values in parts.items()]


def _ordered(board: pl.DataFrame, shown: Sequence[str]) -> pl.DataFrame:
    """Identity first, then the metrics shown with their intervals, the others, the tests, the costs."""
    first = ["rank", *GROUP_COLUMNS, "model", "axis", "cells", "modalities", "seeds", "n_users"]
    first += [name + suffix for name in shown for suffix in ("", *_INTERVAL)]
    tests = [
        f"{name}_{part}" for name in ("best", "popularity") for part in ("difference", "low", "high", "p")
    ]
    metrics = [column for column in board.columns if column not in {*first, *tests, *COSTS}]
    return board.select(*first, *sorted(metrics, key=_metric_order), *tests, *COSTS).sort(
        *GROUP_COLUMNS, maintain_order=True
    )


def _metric_order(column: str) -> tuple[str, int, str]:
    """`recall@5` before `recall@10`."""
    name, _, rest = column.partition("@")
    cut, _, suffix = rest.partition("_")
    return name, int(cut) if cut.isdigit() else 0, suffix
