"""From stored metrics to a ranking: means over seeds, intervals over users and seeds, paired tests. No drawing here.

Rows are compared inside one (protocol, dataset, window) only: numbers of two protocols are never ranked together, nor
are numbers of two versions of the data.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.options import COMPARED
from mrs_pipeline.metrics.base import parse_label
from mrs_pipeline.metrics.registry import METRICS as KNOWN
from mrs_pipeline.reporting import cold_items
from mrs_pipeline.reporting.cold_items import cold_metrics, with_cold_columns
from mrs_pipeline.reporting.inputs import METRIC_FRAME, RUN_FRAME, USER_METRIC_FRAME, conform
from mrs_pipeline.reporting.taxonomy_matrix import axis_of
from mrs_pipeline.statistics import Sample, compare, interval, judged

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
USERS_AND_SEEDS, ONE_SEED, USERS = "users and seeds", "users, one seed", "users"
"""What intervals and tests allow for: the values of `interval_over`."""
_INTERVAL = ("_spread", "_ci_low", "_ci_high")
_TEST = ("difference", "low", "high", "p")
_FAMILIES = ("best", "popularity", "warm_best", "cold_best")

Samples = Mapping[tuple[str, ...], Mapping[str, Sample]]
"""(protocol, dataset, window, model) -> column of the leaderboard -> what users had of it; 16 bytes a user and
column."""


def leaderboard(
    metrics: pl.DataFrame,
    runs: pl.DataFrame | None = None,
    user_metrics: pl.DataFrame | Iterable[pl.DataFrame] = (),
    *,
    shown: Sequence[str] = COMPARED,
    popularity: str = POPULARITY_MODEL,
) -> pl.DataFrame:
    """One row a (protocol, dataset, window, model), best first inside each group, stale rows after all others.

    Args:
        metrics: `inputs.METRIC_FRAME` rows.
        runs: `inputs.RUN_FRAME` rows; without them cells, modalities and costs are null.
        user_metrics: `inputs.USER_METRIC_FRAME` rows, in one frame or in several that are reduced one after the other,
            all rows of a model and window in the same one; without them there are no tests and the intervals are the
            means over seeds of those in `metrics`.
        shown: metrics that get spread and intervals; the first one ranks and is tested, the others break ties.
        popularity: model every other is tested against besides the leader.

    Returns:
        rank (null for stale rows), the group, model, stale, axis, cells, modalities, seeds, `interval_over`, trials,
        n_users; `<metric>@<k>` (`<metric>` for one of the whole ranking) means over seeds of slice `all`; of those
        shown `_spread` (standard deviation over seeds, null for one seed), `_ci_low`, `_ci_high` (95 %, see
        `statistics.interval`); `<slice>_<metric>` for other slices;
            `cold_items.COLD_COLUMNS`; `best_*`, `popularity_*`, `warm_best_*` and `cold_best_*` (model
        minus that reference, the last two on warm and on cold items against the best of them there: `difference`, and
        `low`, `high`, `p` adjusted inside the group by `statistics.judged`); costs as means over seeds.

    Raises:
        InputError: a column is missing, a metric stands there twice for a run, or the ranking one does not at
            all, or rows that are not stale come from different data.
    """
    rows = _checked(conform(metrics, METRIC_FRAME, "metrics"), shown)
    cold = cold_metrics(rows, GROUP_COLUMNS, shown[0])
    on_cold = dict(zip(cold.select(GROUP_COLUMNS).iter_rows(), cold["cold_metric"], strict=True))
    wanted = [
        *shown,
        f"warm_{shown[0]}",
        *(f"cold_{label}" for label in cold["cold_metric"].unique(maintain_order=True)),
    ]
    board = _means(rows, wanted)
    board = board.join(
        _run_facts(conform(_or_empty(runs), RUN_FRAME, "runs")), on=RUN_COLUMNS[:3], how="left"
    )
    frames = [user_metrics] if isinstance(user_metrics, pl.DataFrame) else user_metrics
    samples = _samples(frames, rows, wanted)
    board = _with_intervals(board, samples, wanted).with_columns(
        pl.when(pl.col("seeds") > 1)
        .then(pl.lit(USERS_AND_SEEDS if samples else USERS))
        .when(pl.col("solved"))
        .then(pl.lit(USERS))
        .otherwise(pl.lit(ONE_SEED))
        .alias("interval_over")
    )
    groups = [
        _ranked(group, samples, shown, popularity, on_cold.get(group.select(GROUP_COLUMNS).row(0)))
        for group in with_cold_columns(board, rows, GROUP_COLUMNS, shown[0]).partition_by(
            GROUP_COLUMNS, maintain_order=True
        )
    ]
    return _ordered(pl.concat(groups, how="diagonal"), shown)


def against(
    metrics: pl.DataFrame, user_metrics: Iterable[pl.DataFrame], reference: str, column: str
) -> pl.DataFrame:
    """Every model against one of them, by the test of `leaderboard`; stale rows are left out.

    Args:
        metrics: `inputs.METRIC_FRAME` rows.
        user_metrics: as for `leaderboard`.
        reference: name of the model.
        column: what is compared, such as `recall@20` or `cold_recall@20`.

    Returns:
        The group, model, difference (model minus reference), low, high and p, adjusted inside the group.
    """
    rows = _checked(conform(metrics, METRIC_FRAME, "metrics"), ()).filter(~pl.col("stale"))
    samples = _samples(user_metrics, rows, [column])
    models = rows.select(*GROUP_COLUMNS, "model").unique(maintain_order=True)
    groups = [models.clear().with_columns(pl.lit(None, pl.Float64).alias(part) for part in _TEST)]
    for group in models.partition_by(GROUP_COLUMNS, maintain_order=True):
        own = {row[-1]: samples[row][column] for row in group.iter_rows() if column in samples.get(row, {})}
        tests = _tests("", group["model"].to_list(), reference, own)
        groups.append(group.with_columns(test.alias(test.name.removeprefix("_")) for test in tests))
    return pl.concat(groups)


def current(board: pl.DataFrame) -> pl.DataFrame:
    """The rows that may be compared: measured on today's data."""
    return board.filter(~pl.col("stale"))


def walk_forward(board: pl.DataFrame, metric: str = COMPARED[0]) -> pl.DataFrame:
    """Models by windows: columns protocol, dataset, model, one a window in order, and their `mean`.

    Stale rows count as missing. The mean is null where a model lacks a window: an average over easier windows would
    flatter it. Sorted by (protocol, dataset), best mean first.

    Args:
        board: result of `leaderboard`.
        metric: a column of it.
    """
    board = current(board)
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
    _require_one_version(metrics)
    label = pl.when(pl.col("k").is_null()).then("metric").otherwise(pl.format("{}@{}", "metric", "k"))
    named = _stamped(metrics).with_columns(name=label)
    known = named.filter(pl.col("slice") == "all")["name"].unique(maintain_order=True)
    for name in shown:
        if name not in known:
            raise InputError(
                f"The metrics hold no {name} of slice 'all', only {', '.join(known) or 'none'}; evaluate it."
            )
    return named


def _require_one_version(metrics: pl.DataFrame) -> None:
    """Refuse to rank numbers of different data as one."""
    key = ["dataset", "window"]
    fresh = metrics.filter(~pl.col("stale")).group_by(key).agg(pl.col("data_digest").n_unique())
    mixed = fresh.filter(pl.col("data_digest") > 1).sort(key)
    if len(mixed):
        row = mixed.row(0, named=True)
        raise InputError(
            f"The metrics of {row['dataset']} (window {row['window']}) come from {row['data_digest']} versions of the "
            "data; mark those of older ones as stale, or evaluate them again."
        )


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


def _means(rows: pl.DataFrame, wanted: Sequence[str]) -> pl.DataFrame:
    """Seeds averaged, metrics as columns; those wanted with spread and interval."""
    prefix = pl.when(pl.col("slice") == "all").then(pl.lit("")).otherwise(pl.col("slice") + "_")
    rows = rows.with_columns(column=prefix + pl.col("name"))
    index = [*GROUP_COLUMNS, "model"]
    grouped = rows.group_by(*index, "column", maintain_order=True).agg(
        pl.col("value", "ci_low", "ci_high").mean(), spread=pl.col("value").std()
    )
    board = rows.group_by(index, maintain_order=True).agg(
        seeds=pl.col("seed").n_unique(),
        n_users=pl.col("n_users").filter(pl.col("slice") == "all").max(),
        stale=pl.col("stale").any(),
    )
    values = grouped.pivot("column", index=index, values="value")
    board = board.join(values, on=index)
    for value, suffix in (("spread", "_spread"), ("ci_low", "_ci_low"), ("ci_high", "_ci_high")):
        part = grouped.filter(pl.col("column").is_in(list(wanted))).with_columns(pl.col("column") + suffix)
        board = board.join(part.pivot("column", index=index, values=value), on=index, how="left")
    return board


def _run_facts(runs: pl.DataFrame) -> pl.DataFrame:
    """Cells and costs a (dataset, window, model), costs averaged over seeds."""
    return runs.group_by(RUN_COLUMNS[:3], maintain_order=True).agg(
        pl.col("cells", "modalities", "solved", "trials").first(), pl.col(COSTS).mean()
    )


def _samples(frames: Iterable[pl.DataFrame], metrics: pl.DataFrame, wanted: Sequence[str]) -> Samples:
    """Users' values reduced model by model, under the protocol that each run was evaluated under."""
    stamps = metrics.select("protocol", *RUN_COLUMNS).unique()
    found: dict[tuple[str, ...], dict[str, Sample]] = {}
    for frame in frames:
        users = conform(frame, USER_METRIC_FRAME, "user metrics").join(stamps, on=RUN_COLUMNS)
        for key, part in users.partition_by(*GROUP_COLUMNS, "model", as_dict=True).items():
            if key in found:
                raise ValueError(f"rows of {key[-1]} stand in two frames of user metrics")
            found[key] = {name: _sample(part, name) for name in wanted if name in part.columns}
    return found


def _sample(users: pl.DataFrame, column: str) -> Sample:
    known = users.select("user", "seed", pl.col(column).cast(pl.Float64)).drop_nulls()
    try:
        return Sample.of(*(known[name].to_numpy() for name in ("user", "seed", column)))
    except ValueError as error:
        raise InputError(
            f"The user metrics hold a user of {users['model'][0]} twice for one seed."
        ) from error


def _with_intervals(board: pl.DataFrame, samples: Samples, wanted: Sequence[str]) -> pl.DataFrame:
    """Replace the intervals of `wanted` by those over users and seeds, where per-user values are there."""
    key = [*GROUP_COLUMNS, "model"]
    for column in (name for name in wanted if name in board.columns):
        known = KNOWN.get(parse_label(column.removeprefix("warm_").removeprefix("cold_"))[0])
        bounds = (-np.inf, np.inf) if known is None else (known.low, known.high)
        over = {row: interval(own[column], *bounds) for row, own in samples.items() if column in own}
        found = pl.DataFrame(
            [(*row, each.low, each.high) for row, each in over.items()],
            schema={**dict.fromkeys(key, pl.String), "low": pl.Float64, "high": pl.Float64},
            orient="row",
        )
        board = (
            board.join(found, on=key, how="left", maintain_order="left")
            .with_columns(
                pl.coalesce("low", f"{column}_ci_low").alias(f"{column}_ci_low"),
                pl.coalesce("high", f"{column}_ci_high").alias(f"{column}_ci_high"),
            )
            .drop("low", "high")
        )
    return board


def _ranked(
    group: pl.DataFrame, samples: Samples, shown: Sequence[str], popularity: str, cold_metric: str | None
) -> pl.DataFrame:
    """One group, best first, with its families of tests; what ties in the first metric is told by the others."""
    metric, by = shown[0], list(shown)
    directions = [False, *(True for _ in by), False]
    group = group.sort(["stale", *by, "model"], descending=directions, nulls_last=True)
    ties = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift()) for name in by)
    axes = [None if cells is None else axis_of(cells).value for cells in group["cells"].to_list()]
    group = group.with_columns(
        pl.Series("axis", axes, dtype=pl.String),
        rank=pl.when(~pl.col("stale") & pl.col(metric).is_not_null()).then(
            pl.when(ties).then(None).otherwise(pl.int_range(1, pl.len() + 1)).forward_fill().cast(pl.Int64)
        ),
    )
    fresh = current(group)
    leader = "" if fresh.is_empty() or fresh[metric][0] is None else str(fresh["model"][0])
    on_warm, on_cold = _best(fresh, f"warm_{metric}"), _best(fresh, f"cold_{cold_metric}")
    key = group.select(GROUP_COLUMNS).row(0)
    for family, reference, column in (
        ("best", leader, metric),
        ("popularity", popularity, metric),
        ("warm_best", on_warm, f"warm_{metric}"),
        ("cold_best", on_cold, f"cold_{cold_metric}"),
    ):
        if column not in group.columns:
            continue
        own = {
            model: samples[*key, model][column]
            for model in fresh["model"]
            if column in samples.get((*key, model), {})
        }
        group = group.with_columns(_tests(family, group["model"].to_list(), reference, own))
    return group


def _best(rows: pl.DataFrame, column: str) -> str:
    """The first model by a column; "" where nobody has a value of it."""
    if column not in rows.columns or rows[column].null_count() == len(rows):
        return ""
    return str(rows.sort([column, "model"], descending=[True, False], nulls_last=True)["model"][0])


def _tests(
    family: str, models: Sequence[str], reference: str, samples: Mapping[str, Sample]
) -> list[pl.Series]:
    """Columns `<family>_difference`, `_low`, `_high`, `_p`, adjusted over `models`; null for the reference."""
    found = judged(
        [
            compare(samples[model], samples[reference])
            if reference in samples and model in samples and model != reference
            else None
            for model in models
        ]
    )
    return [
        pl.Series(f"{family}_{part}", [getattr(test, part, None) for test in found], dtype=pl.Float64)
        for part in _TEST
    ]


def _ordered(board: pl.DataFrame, shown: Sequence[str]) -> pl.DataFrame:
    """Identity first, then the metrics shown with their intervals, the others, the tests, the costs."""
    first = ["rank", *GROUP_COLUMNS, "model", "stale", "axis", "cells", "modalities"]
    first += ["seeds", "interval_over", "trials", "n_users"]
    first += [name + suffix for name in shown for suffix in ("", *_INTERVAL)]
    first += [column for column in cold_items.COLD_COLUMNS if column in board.columns]
    tests = [f"{family}_{part}" for family in _FAMILIES for part in _TEST]
    tests = [column for column in tests if column in board.columns]
    metrics = [column for column in board.columns if column not in {*first, *tests, *COSTS, "solved"}]
    return board.select(*first, *sorted(metrics, key=_metric_order), *tests, *COSTS).sort(
        *GROUP_COLUMNS, maintain_order=True
    )


def _metric_order(column: str) -> tuple[str, int, str]:
    """`recall@5` before `recall@10`."""
    name, _, rest = column.partition("@")
    cut, _, suffix = rest.partition("_")
    return name, int(cut) if cut.isdigit() else 0, suffix
