"""Warm start beside training from scratch: cost and accuracy of both over windows in a row.

Each window's warm training goes on from the warm training of the window before, as in the pipeline; the first window is
trained from scratch and is the start of the second. Nothing is stored in the pipeline's places. Users of several
windows are taken as different users in the comparison over all windows.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from matplotlib.figure import Figure
from torch import Tensor

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.slices import ALL
from mrs_pipeline.fitting import Fitted, fit, measure
from mrs_pipeline.models.registry import model_class
from mrs_pipeline.reporting import drawing as d
from mrs_pipeline.schema import MODEL, TEST, WINDOW
from mrs_pipeline.statistics import Difference, Sample, compare, judged
from mrs_pipeline.stored.earlier import compared_windows
from mrs_pipeline.stored.training_data import interactions, training_data
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.training.warm_start import WarmStart, why_never
from mrs_pipeline.types import TrainingData

SCRATCH, WARM = "scratch", "warm"
TESTED_METRICS: Final = (("recall", 20), ("ndcg", 20))
"""Metrics on test rows and their cut-off."""
WARM_KEYS: Final = ("dataset", WINDOW, MODEL, "seed", "way")
"""What makes a row of the runs its own."""
_USER: Final = "user"


def check_warm_models(names: Sequence[str]) -> None:
    """InputError names a model that cannot be compared."""
    for name in names:
        reason = why_never(model_class(name).spec)
        if reason:
            raise InputError(f"--models: {reason}, so that it has no warm start; leave it out")


def bench_warm(
    stages: Sequence[Stage], model: str, seeds: Sequence[int]
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Train a model both ways at windows in a row; after each window its runs and its users' metrics.

    A row of the runs holds dataset, window, model, seed, way, seconds (wall clock: epochs and validations),
    cpu_seconds, epochs, best_epoch, validation, recall@20, ndcg@20 (test) and what was carried over. A row of the users
    holds window, model, seed, way, metric, user, value.

    Args:
        stages: the windows in order, tables and features made. The first is trained from scratch only.
        model: a name of the registry.
        seeds: each window is trained both ways once a seed.

    Raises:
        InputError: a window's weights mean nothing in the next, because the features differ.
    """
    weights: dict[int, dict[str, Tensor]] = {}
    for place, stage in enumerate(stages):
        data = training_data(stage, model_class(model).spec)
        test = interactions(stage, TEST)
        rows: list[dict[str, Any]] = []
        users: list[pl.DataFrame] = []
        for seed in seeds:
            start = _start(stage, stages[place - 1], model, data, weights[seed]) if place else None
            for way, begin in ((SCRATCH, None), *(((WARM, start),) if start else ())):
                fitted, cpu = _fitted(stage, model, data, seed, begin)
                found = measure(
                    fitted.model, data, test, stage.config.evaluation.accuracy_only(), seed=seed
                ).user_metrics.filter(slice=ALL)
                keys = {
                    "dataset": stage.config.name,
                    WINDOW: stage.window,
                    MODEL: model,
                    "seed": seed,
                    "way": way,
                }
                means = {
                    f"{metric}@{k}": found.filter(metric=metric, k=k)["value"].mean()
                    for metric, k in TESTED_METRICS
                }
                rows.append({**keys, **_facts(fitted), "cpu_seconds": cpu, **means})
                users += [
                    found.filter(metric=metric, k=k)
                    .select(_USER, "value")
                    .with_columns(
                        *(pl.lit(value).alias(key) for key, value in keys.items()),
                        metric=pl.lit(f"{metric}@{k}"),
                    )
                    for metric, k in TESTED_METRICS
                ]
            weights[seed] = {name: tensor.clone() for name, tensor in fitted.model.state_dict().items()}
        yield pl.DataFrame(rows, infer_schema_length=None), pl.concat(users)


def paired_tests(users: pl.DataFrame) -> pl.DataFrame:
    """Warm minus scratch on test rows: a row a model, metric and window, and one over all windows.

    Columns: model, window ("all" for all of them), metric, difference, error (standard error over users and seeds),
    low, high, p (adjusted for the windows of a model and metric), users.

    Args:
        users: rows of `bench_warm`.
    """
    both = users.filter(pl.col(WINDOW).is_in(users.filter(way=WARM)[WINDOW].unique().to_list()))
    rows: list[dict[str, Any]] = []
    for (model, metric), part in both.group_by(MODEL, "metric", maintain_order=True):
        windows = part[WINDOW].unique(maintain_order=True).to_list()
        found = [_difference(part.filter(pl.col(WINDOW) == window)) for window in windows]
        whole = _difference(part)
        verdicts = [*judged(found), *judged([whole])]
        for window, difference, verdict in zip([*windows, "all"], [*found, whole], verdicts, strict=True):
            assert verdict is not None
            rows.append(
                {MODEL: model, WINDOW: window, "metric": metric, "difference": difference.mean}
                | {"error": difference.error, "low": verdict.low, "high": verdict.high, "p": verdict.p}
                | {"users": difference.n_users}
            )
    return pl.DataFrame(rows, infer_schema_length=None)


def warm_summary(runs: pl.DataFrame, tests: pl.DataFrame) -> pl.DataFrame:
    """One row a model and metric: the share of scratch's cost that warm trainings took, and what accuracy they gained.

    Args:
        runs: rows of `bench_warm`; the first window, which has no warm training, is left out.
        tests: rows of `paired_tests`.
    """
    windows = runs.filter(way=WARM)[WINDOW].unique().to_list()
    sums = (
        runs.filter(pl.col(WINDOW).is_in(windows))
        .group_by(MODEL, "way", maintain_order=True)
        .agg(pl.col("seconds", "cpu_seconds", "epochs").sum())
    )
    ways = sums.filter(way=SCRATCH).join(sums.filter(way=WARM), on=MODEL, suffix="_warm")
    shares = ways.select(
        MODEL,
        pl.lit(len(windows)).alias("windows"),
        *(
            (pl.col(f"{column}_warm") / pl.col(column)).alias(f"share of {column}")
            for column in ("seconds", "cpu_seconds", "epochs")
        ),
    )
    whole = tests.filter(pl.col(WINDOW) == "all").select(
        MODEL, pl.col("metric"), "difference", "error", in_errors=pl.col("difference") / pl.col("error")
    )
    return shares.join(whole, on=MODEL)


@d.styled
def warm_plot(runs: pl.DataFrame) -> Figure:
    """A row a model; CPU seconds and test recall of both ways over the windows."""
    models = runs[MODEL].unique(maintain_order=True).to_list()
    means = runs.group_by(MODEL, WINDOW, "way", maintain_order=True).agg(
        pl.col("cpu_seconds", "recall@20").mean()
    )
    figure = d.empty(d.WIDE, 2.6 * len(models))
    for row, model in zip(figure.subplots(len(models), 2, squeeze=False), models, strict=True):
        for axes, column in zip(row, ("cpu_seconds", "recall@20"), strict=True):
            for way, style in ((SCRATCH, "o--"), (WARM, "s-")):
                line = means.filter(model=model, way=way).sort(WINDOW)
                axes.plot(line[WINDOW], line[column], style, label=way)
            axes.set_ylim(0, 1.1 * (means.filter(model=model)[column].max() or 1))  # type: ignore[operator]
            axes.set_title(f"{model}: {column.replace('cpu_seconds', 'CPU seconds of training')}")
    figure.axes[0].legend()
    return figure


def _start(
    stage: Stage, before: Stage, model: str, data: TrainingData, weights: dict[str, Tensor]
) -> WarmStart:
    window = compared_windows(stage, before, model_class(model).spec, data)
    if isinstance(window, str):
        raise InputError(
            f"{model} of {stage.config.name} {stage.window} has no warm start: {window}; list features that are not "
            "fitted to a catalogue, or compare a model that ignores features"
        )
    return window.start(weights)


def _fitted(
    stage: Stage, model: str, data: TrainingData, seed: int, start: WarmStart | None
) -> tuple[Fitted, float]:
    """A training and its CPU seconds."""
    before = time.process_time()
    fitted = fit(
        data,
        model,
        stage.config.config_of(model),
        seed=seed,
        training=stage.config.training_of(model).model_copy(update={"checkpoint_every": 0}),
        evaluation=stage.config.evaluation,
        start=start,
    )
    return fitted, time.process_time() - before


def _facts(fitted: Fitted) -> dict[str, Any]:
    carried = {} if fitted.carried is None else asdict(fitted.carried)
    names = ("users", "new_users", "items", "new_items", "from_content", "known_validation")
    return {
        "seconds": fitted.result.seconds,
        "epochs": len(fitted.result.history),
        "best_epoch": fitted.result.best_epoch,
        "validation": fitted.result.best_score,
        "threads": torch.get_num_threads(),
        **{name: carried.get(name) for name in names},
    }


def _difference(part: pl.DataFrame) -> Difference:
    """Warm minus scratch over the users, seeds and windows of some rows."""
    everyone = part.select(WINDOW, _USER).unique(maintain_order=True).with_row_index("number")
    numbered = part.join(everyone, on=[WINDOW, _USER])
    warm, scratch = (
        Sample.of(
            rows["number"].to_numpy().astype(np.int64), rows["seed"].to_numpy(), rows["value"].to_numpy()
        )
        for rows in (numbered.filter(way=WARM), numbered.filter(way=SCRATCH))
    )
    return compare(warm, scratch)
