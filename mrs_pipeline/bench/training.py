"""Seconds and memory of training and evaluation, each model in a fresh process.

Measures and returns rows; asserts nothing, since a time is no test. Accuracy is `experiment.measure`'s
business.
"""

import statistics
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch

from mrs_pipeline.evaluation.evaluator import ranking_evidence, ranking_task, user_metrics
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.fitting import Fitted, configure, fit, prepare
from mrs_pipeline.memory import peak_memory_mb
from mrs_pipeline.metrics.evidence import Background
from mrs_pipeline.metrics.registry import metrics_of
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.types import TrainingData

_EVALUATIONS = 5
"""How often one evaluation is repeated; the median counts."""


def bench_train(
    data: TrainingData,
    models: Mapping[str, Mapping[str, Any]],
    *,
    epochs: int = 5,
    batch_size: int = 2048,
    threads: int = 2,
    device: str = "auto",
) -> list[dict[str, str | int | float]]:
    """Trains each model for some epochs and times it; one row a model.

    A row holds model, users, items, interactions, batch_size, threads, device, seconds_preparing (item
    graphs), seconds_per_epoch (median, validation not counted), seconds_per_evaluation (median; every
    validation user against every item, the accuracy metrics at all default cut-offs), peak_memory_mb (of training,
    above what the data take) and process_memory_mb (the most resident memory of the whole process, which is what a
    peer's figure is).

    Args:
        data: what to train on; its item graphs are built where they are missing.
        models: name of the registry -> overrides of its settings.
        epochs: timed epochs.
        batch_size: training rows a step.
        threads: CPU threads.
        device: as in `TrainingOptions`.
    """
    options = TrainingOptions(
        epochs=epochs,
        patience=epochs,
        batch_size=batch_size,
        threads=threads,
        device=device,
        checkpoint_every=0,
    )
    rows = []
    for model, overrides in models.items():
        # a fresh process, so that no cache is warm and nothing of another model is held
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
            rows.append(process.submit(_measured, data, model, dict(overrides), options).result())
    return rows


def _measured(
    data: TrainingData, model: str, overrides: dict[str, Any], options: TrainingOptions
) -> dict[str, str | int | float]:
    config = configure(model, overrides)
    started = time.perf_counter()
    data = prepare(data, model, config)
    preparing = time.perf_counter() - started
    fitted = fit(data, model, config, training=options)
    return {
        "model": model,
        "users": data.train.n_users,
        "items": data.train.n_items,
        "interactions": len(data.train),
        "batch_size": options.batch_size,
        "threads": torch.get_num_threads(),
        "device": str(fitted.model.device),
        "seconds_preparing": preparing,
        "seconds_per_epoch": statistics.median(record.seconds for record in fitted.result.history),
        "seconds_per_evaluation": _evaluation_seconds(data, fitted),
        "peak_memory_mb": fitted.result.peak_memory_mb,
        "process_memory_mb": peak_memory_mb(),
    }


def _evaluation_seconds(data: TrainingData, fitted: Fitted) -> float:
    task = ranking_task(data.valid, [data.train], device=fitted.model.device)
    options, background = EvaluationOptions().accuracy_only(), Background(data.train)
    seconds = []
    for _ in range(_EVALUATIONS):
        started = time.perf_counter()
        user_metrics(
            ranking_evidence(fitted.model, task, background), metrics_of(options.metrics), options.ks
        )
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
