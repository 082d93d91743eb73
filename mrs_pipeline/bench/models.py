"""The public benchmark: which datasets and experiments it is made of, and its results as one row a run.

What is trained is said by each dataset's `defs.yaml`; what the page looks like is `bench.page`; timing on an
idle machine is `bench`. Results of earlier sittings are kept beside the page and replaced run by run.
"""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from mrs_pipeline.bench.ledger import ledger_page
from mrs_pipeline.bench.page import benchmarks_page
from mrs_pipeline.bench.tables import keep_rows, kept_rows, write_table
from mrs_pipeline.bench.verdicts import COMPARED_WITH
from mrs_pipeline.errors import InputError, did_you_mean
from mrs_pipeline.plan import on_request
from mrs_pipeline.reporting.leaderboard import against
from mrs_pipeline.schema import DATASET, FULL_WINDOW, MODEL, SEED, WINDOW
from mrs_pipeline.stages.model_tasks import model_tasks
from mrs_pipeline.stages.report import UserMetrics, measured
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.stored.training_data import seeds_of, split_digest
from mrs_pipeline.studies.running import WHOLE
from mrs_pipeline.tasks.currency import version
from mrs_pipeline.tasks.node import SPLITS, Kind, Node
from mrs_pipeline.tasks.task import Stage

RESULTS, COMPARISONS, EXPERIMENTS, COSTS, EXTRACTION, INGESTION = (
    f"benchmarks/{name}.csv"
    for name in ("results", "comparisons", "experiments", "train", "extract", "ingest")
)
"""Files below the folder of the page."""
_DIGITS: Final = 16
RUN_KEYS: Final = (DATASET, WINDOW, MODEL, SEED)
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
    "energy_joules",
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
            f"{unknown[0]} is no benchmark{did_you_mean(unknown[0], known)}; there are {', '.join(known)} "
            "(`mrs run` for a dataset of your own)"
        )
    return tuple(each for each in BENCHMARKS if not datasets or each.dataset in datasets)


def due_models(stage: Stage, folder: Path) -> list[str]:
    """The models of a dataset of which no result of today's code, settings, seeds and data is kept beside the page.

    What another home has found counts: rows say what they were made by. The dataset's splits must be there.
    """
    kept = kept_rows(folder / RESULTS)
    return [name for name in stage.config.model_configs if not _is_kept(stage, kept, name)]


def due_experiments(stage: Stage, benchmark: Benchmark, folder: Path) -> list[str]:
    """The same for its experiments, which are on request and whose results are means over seeds."""
    tasks = {task.name: task for task in on_request(stage.config)}
    kept = kept_rows(folder / EXPERIMENTS)
    data = split_digest(stage)
    due = []
    for name in benchmark.experiments:
        wanted = {
            "experiment": name,
            "version": version(tasks[str(Node(Kind.EXPERIMENTS, name))]),
            "data_digest": data,
        }
        if kept.is_empty() or _of(kept, stage).filter(**wanted).is_empty():
            due.append(name)
    return due


def results(stage: Stage) -> pl.DataFrame:
    """One row a run (model and seed) that the stage's lake holds: metrics, settings, costs, protocol, digests.

    Metrics are those at 10 and 20; those of the slices `warm` and `cold` have the slice in front: `cold_recall@20`.
    Runs that were measured on other data than today's split are left out.
    """
    keys = {DATASET: stage.config.name, WINDOW: stage.window}
    models = [dict(table.keys)[MODEL] for table in stage.lake.partitions("eval", "metrics", **keys)]
    found = [_of_model(stage, name) for name in models]
    today = split_digest(stage)
    fresh = [rows for rows in found if (rows["data_digest"] == today).all()]
    return pl.concat(fresh, how="diagonal_relaxed") if fresh else pl.DataFrame()


def comparisons(stage: Stage) -> pl.DataFrame:
    """The paired tests that the page's sentences rest on, each with the version of both models, as in `results`.

    One row a model and reference: EASE on all items, nearest neighbours on cold ones.
    """
    keys = {DATASET: stage.config.name, WINDOW: stage.window}
    if not stage.lake.partitions("eval", "user_metrics", **keys):
        return pl.DataFrame()
    metrics = measured(stage).filter(pl.col(WINDOW) == stage.window)
    tables = stage.lake.partitions("eval", "metrics", **keys)
    versions = {model: _version_of(stage, model) for model in (dict(table.keys)[MODEL] for table in tables)}
    found = [
        against(metrics, UserMetrics(stage, stage.window), reference, column)
        .drop_nulls("p")
        .with_columns(
            column=pl.lit(column),
            reference=pl.lit(reference),
            version=pl.col(MODEL).replace_strict(versions, default=None, return_dtype=pl.String),
            reference_version=pl.lit(versions.get(reference)),
        )
        for column, reference in COMPARED_WITH.items()
    ]
    return pl.concat(found).drop("protocol")


def _of_model(stage: Stage, model: str) -> pl.DataFrame:
    lake = stage.lake
    tables = stage.table("eval", "metrics", model=model), stage.table("models", "runs", model=model)
    name = pl.concat_str(
        pl.when(pl.col("slice") == "all").then(pl.lit("")).otherwise(pl.col("slice") + "_"),
        "metric",
        pl.lit("@"),
        pl.col("k").cast(pl.String),
    )
    metrics = lake.read(tables[0]).with_columns(name=name)
    wide = metrics.filter(pl.col("name").str.contains("|".join(f"{each}$" for each in _METRICS))).pivot(
        "name", index=[SEED, "protocol", "data_digest", "code_digest"], values="value"
    )
    shown = metrics.filter(name="recall@20").select(
        SEED, "users", low="ci_low", high="ci_high", seconds_evaluation="seconds_evaluation"
    )
    runs = lake.read(tables[1]).select(SEED, pl.col("cells").list.join(" "), *_FACTS)
    facts = {
        DATASET: stage.config.name,
        WINDOW: stage.window,
        MODEL: model,
        "version": _version_of(stage, model),
        "machine": _machine(),
    }
    searched = pl.when(pl.col("config") == stage.config.config_of(model).model_dump_json())
    return (
        wide.join(shown, on=SEED)
        .join(runs, on=SEED)
        .select(*(pl.lit(value).alias(key) for key, value in facts.items()), pl.all())
        .with_columns(
            trials=searched.then(pl.lit(stage.config.trials_of(model), pl.Int64)), stale=pl.lit(value=False)
        )
    )


def _version_of(stage: Stage, model: str) -> str:
    tables = (stage.table("models", "runs", model=model), stage.table("eval", "metrics", model=model))
    return _made_by(*(stage.lake.manifest(table).provenance.code_version for table in tables))


def _is_kept(stage: Stage, kept: pl.DataFrame, model: str) -> bool:
    if kept.is_empty():
        return False
    tasks = {
        task.outputs[0].kind: task for task in model_tasks(stage.config, model, stage.config.config_of(model))
    }
    wanted = {
        MODEL: model,
        "version": _made_by(version(tasks[Kind.TRAINED]), version(tasks[Kind.METRICS])),
        "data_digest": split_digest(stage),
    }
    rows = _of(kept, stage).filter(**wanted)
    return set(seeds_of(stage.config, model)) <= set(rows[SEED])


def _of(kept: pl.DataFrame, stage: Stage) -> pl.DataFrame:
    return kept.filter(dataset=stage.config.name, window=stage.window)


def _made_by(trained: str, measured: str) -> str:
    """One version for what trained and what measured: code, settings, seeds."""
    return text_digest(trained, measured)[:_DIGITS]


def _machine() -> str:
    """What this process runs on, for people; the runs are taken to be of the same machine."""
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    told = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in told.read_text().splitlines() if "model name" in line]
        if told.exists()
        else []
    )
    return f"{os.cpu_count()} cores of {names[0] if names else platform.machine()}, torch {torch.__version__}"


def experiment_results(stage: Stage, benchmark: Benchmark) -> pl.DataFrame:
    """`eval.experiments` of the benchmark's experiments, with what each was made by and from."""
    found = []
    for name in benchmark.experiments:
        table = stage.table("eval", "experiments", experiment=name)
        if stage.lake.exists(table):
            made = stage.lake.manifest(table).provenance
            facts = {
                DATASET: stage.config.name,
                WINDOW: stage.window,
                "experiment": name,
                "version": made.code_version,
                "data_digest": made.upstream[str(SPLITS)][:_DIGITS],
            }
            columns = (pl.lit(value).alias(key) for key, value in facts.items())
            found.append(stage.lake.read(table).select(*columns, pl.all()))
    return pl.concat(found, how="diagonal_relaxed") if found else pl.DataFrame()


def collect(stage: Stage, benchmark: Benchmark, folder: Path) -> None:
    """Put what the lake holds of a benchmark beside its page; results of other homes stay, marked where stale."""
    keep_rows(folder / RESULTS, results(stage), RUN_KEYS)
    _mark_stale(folder / RESULTS, stage)
    keep_rows(folder / COMPARISONS, comparisons(stage), (DATASET, WINDOW, "column", MODEL))
    keys = (DATASET, WINDOW, "experiment", "arm", "part")
    keep_rows(folder / EXPERIMENTS, experiment_results(stage, benchmark), keys)


def _mark_stale(path: Path, stage: Stage) -> None:
    """Say of each kept row of the stage's dataset and window whether it is of the split as it is now."""
    rows, today = kept_rows(path), split_digest(stage)
    if rows.is_empty() or today is None:
        return
    own = (pl.col(DATASET) == stage.config.name) & (pl.col(WINDOW) == stage.window)
    known = pl.col("stale") if "stale" in rows.columns else pl.lit(value=False)
    write_table(
        rows.with_columns(
            stale=pl.when(own).then(pl.col("data_digest") != today).otherwise(known.fill_null(value=False))
        ),
        path,
    )


def write_benchmark_page(folder: Path, benches: Path) -> Path:
    """Write `benchmarks.md`, and `ledger.md` beside it, from the CSV files below `folder`.

    Args:
        folder: where the page lies.
        benches: where `mrs bench train`, `extract` and `ingest` write; what is there is taken over.
    """
    costs = kept_rows(benches / f"bench_{Path(COSTS).name}")
    keep_rows(folder / COSTS, costs, (DATASET, MODEL))  # a home may have timed some models only
    for name in (EXTRACTION, INGESTION):
        measured = kept_rows(benches / f"bench_{Path(name).name}")
        if not measured.is_empty():
            write_table(measured, folder / name)
    path = folder / "benchmarks.md"
    path.write_text(render_page(folder), encoding="utf-8")
    (folder / "ledger.md").write_text(ledger_page(kept_rows(folder / RESULTS)), encoding="utf-8")
    return path


def render_page(folder: Path) -> str:
    """The page that belongs to the CSV files below `folder`."""
    order = [each.dataset for each in BENCHMARKS]
    in_order = pl.col(DATASET).replace_strict({name: at for at, name in enumerate(order)}, default=len(order))
    names = (RESULTS, COMPARISONS, EXPERIMENTS, COSTS, EXTRACTION, INGESTION)
    kept = {name: kept_rows(folder / name) for name in names}
    frames = {
        name: frame.sort(in_order, maintain_order=True) if DATASET in frame.columns else frame
        for name, frame in kept.items()
    }
    experiments = frames[EXPERIMENTS]
    if not experiments.is_empty():
        listed = max((each.experiments for each in BENCHMARKS), key=len)
        place = pl.col("experiment").replace_strict(
            {name: at for at, name in enumerate(listed)}, default=len(listed)
        )
        experiments = experiments.sort(
            in_order, place, "position", pl.col("part") != WHOLE, maintain_order=True
        )
    costs = frames[COSTS]
    if not costs.is_empty():  # what stands beside a peer comes first
        costs = costs.sort(in_order, pl.col("peer_seconds_per_epoch").is_null(), maintain_order=True)
    return benchmarks_page(
        results=frames[RESULTS],
        comparisons=frames[COMPARISONS],
        experiments=experiments,
        costs=costs,
        extraction=frames[EXTRACTION],
        ingestion=frames[INGESTION],
    )
