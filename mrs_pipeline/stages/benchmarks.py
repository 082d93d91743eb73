"""The public benchmark: which datasets and experiments it is made of, and its results as one row a run.

What is trained is said by each dataset's `defs.yaml`; what the page looks like is `reporting.benchmarks`; timing on an
idle machine is `bench`. Results of earlier sittings are kept beside the page and replaced run by run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.schema import DATASET, FULL_WINDOW, MODEL, SEED, WINDOW
from mrs_pipeline.stages.bench import write_table
from mrs_pipeline.storage.lake import Lake

RUN: Final = (DATASET, WINDOW, MODEL, SEED)
"""What makes a row of the results its own."""
_METRICS: Final = tuple(f"{metric}@{k}" for k in (10, 20) for metric in ("recall", "ndcg"))
_FACTS: Final = (
    "config",
    "threads",
    "epochs",
    "best_epoch",
    "best_score",
    "seconds",
    "seconds_per_epoch",
    "peak_memory_mb",
    "parameters",
)


@dataclass(frozen=True)
class Benchmark:
    """One dataset at one window, and the experiments that are run on it."""

    dataset: str
    window: str = FULL_WINDOW
    experiments: tuple[str, ...] = ()


BENCHMARKS: Final = (
    Benchmark("tiktok", experiments=("mirror",)),
    Benchmark("baby"),
    Benchmark(
        "movielens",
        experiments=("modality", "fusion", "enhancement", "disentangled", "training", "missing", "mirror"),
    ),
    Benchmark("movielens_next"),
    Benchmark("movielens_cold"),
    Benchmark("xwines", "2020"),
)
"""In the order of the page."""


def chosen_benchmarks(datasets: Sequence[str]) -> tuple[Benchmark, ...]:
    """Those of the named datasets, all where none is named; InputError lists what there is."""
    known = [each.dataset for each in BENCHMARKS]
    unknown = [name for name in datasets if name not in known]
    if unknown:
        raise InputError(
            f"{unknown[0]} is no benchmark; there are {', '.join(known)} (`mrs run` for a dataset of your own)"
        )
    return tuple(each for each in BENCHMARKS if not datasets or each.dataset in datasets)


def results(lake: Lake, benchmark: Benchmark) -> pl.DataFrame:
    """One row a run (model and seed): metrics at 10 and 20, settings, costs, protocol, digests; empty where none is.

    Metrics of the slices `warm` and `cold` have the slice in front: `cold_recall@20`.
    """
    keys = {DATASET: benchmark.dataset, WINDOW: benchmark.window}
    models = [dict(table.keys)[MODEL] for table in lake.partitions("eval", "metrics", **keys)]
    return pl.concat([_of_model(lake, keys, model) for model in models], how="diagonal_relaxed") if models else EMPTY


EMPTY: Final = pl.DataFrame(schema={name: pl.Int64 if name == SEED else pl.String for name in RUN})


def _of_model(lake: Lake, keys: dict[str, str], model: str) -> pl.DataFrame:
    (measured,) = lake.partitions("eval", "metrics", **keys, model=model)
    (trained,) = lake.partitions("models", "runs", **keys, model=model)
    name = pl.concat_str(
        pl.when(pl.col("slice") == "all").then(pl.lit("")).otherwise(pl.col("slice") + "_"),
        "metric",
        pl.lit("@"),
        pl.col("k").cast(pl.String),
    )
    metrics = lake.read(measured).with_columns(name=name)
    wide = metrics.filter(pl.col("name").str.contains("|".join(f"{each}$" for each in _METRICS))).pivot(
        "name", index=[SEED, "protocol", "data_digest", "code_digest"], values="value"
    )
    shown = metrics.filter(name="recall@20").select(
        SEED, "users", low="ci_low", high="ci_high", seconds_evaluation="seconds_evaluation"
    )
    runs = lake.read(trained).select(SEED, pl.col("cells").list.join(" "), *_FACTS)
    return (
        wide.join(shown, on=SEED)
        .join(runs, on=SEED)
        .select(*(pl.lit(value).alias(key) for key, value in {**keys, MODEL: model}.items()), pl.all())
    )


def experiment_results(lake: Lake, benchmark: Benchmark) -> pl.DataFrame:
    """`eval.experiments` of the benchmark's experiments, with dataset, window and experiment as columns."""
    keys = {DATASET: benchmark.dataset, WINDOW: benchmark.window}
    return pl.concat(
        [
            pl.DataFrame({**keys, "experiment": name}).join(lake.read(table), how="cross")
            for name in benchmark.experiments
            for table in lake.partitions("eval", "experiments", **keys, experiment=name)
        ]
        or [pl.DataFrame(schema=dict.fromkeys((*keys, "experiment"), pl.String))],
        how="diagonal_relaxed",
    )


def keep(path: Path, rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Add rows to a CSV of results; what it holds of the same keys is replaced. Returns all that it holds then."""
    kept = read_kept(path)
    if kept.is_empty():
        whole = rows
    elif rows.is_empty():
        whole = kept
    else:
        whole = pl.concat([kept.join(rows, on=list(keys), how="anti"), rows], how="diagonal_relaxed")
    if not whole.is_empty():
        whole = whole.sort(*keys, maintain_order=True)
        write_table(whole, path)
    return whole


def read_kept(path: Path) -> pl.DataFrame:
    """The rows of such a CSV; empty where there is none yet."""
    if not path.exists():
        return pl.DataFrame()
    return pl.read_csv(path, infer_schema_length=None, schema_overrides={WINDOW: pl.String})
