"""Measure: one model on the test rows of one window, for each seed.

How a model is measured is `fitting`.
"""

import time
from collections.abc import Sequence

import numpy as np
import polars as pl

from mrs_pipeline.evaluation.slices import ALL
from mrs_pipeline.evaluation.summary import shorter_than_catalogue
from mrs_pipeline.fitting import measure
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.schema import TEST
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.item_facts import item_facts
from mrs_pipeline.stored.trained import load_trained
from mrs_pipeline.stored.training_data import interactions, protocol, seeds_of, training_data
from mrs_pipeline.tasks.node import SPLITS
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import Outcome, Stage, Task


def measure_model(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """Metrics on the test rows, for each seed. Beside the experiments the only reader of test rows."""
    name = task.subject
    data = training_data(stage, MODELS[name].spec)
    test = interactions(stage, TEST)
    facts = item_facts(stage)
    found, seconds = [], []
    for seed in seeds_of(stage.config, name):
        model = load_trained(stage, name, seed, data)
        started = time.perf_counter()
        found.append(
            measure(
                model,
                data,
                test,
                stage.config.evaluation,
                facts=facts,
                seed=seed,
                data_digest=provenance.upstream[str(SPLITS)][:16],
                code_digest=provenance.code_version,
            )
        )
        seconds.append(time.perf_counter() - started)
    metrics = pl.concat([each.metrics for each in found]).with_columns(
        pl.lit(protocol(stage.config)).alias("protocol"),
        pl.lit(float(np.mean(seconds))).alias("seconds_evaluation"),
    )
    users = pl.concat(
        [
            each.user_metrics.with_columns(pl.lit(seed, pl.Int64).alias("seed"))
            for seed, each in zip(seeds_of(stage.config, name), found, strict=True)
        ]
    )
    shorter = shorter_than_catalogue(metrics)
    metrics, users = metrics.filter(shorter), users.filter(shorter)
    stage.lake.write_frame(stage.table("eval", "user_metrics", model=name), users, provenance)
    manifest = stage.lake.write_frame(table_of(stage, task.outputs[0]), metrics.drop("model"), provenance)
    return [
        Outcome(
            task.outputs[0],
            manifest.digest,
            _metric_facts(metrics, float(np.mean(seconds))),
            manifest.columns,
        )
    ]


def _metric_facts(metrics: pl.DataFrame, seconds: float) -> dict[str, object]:
    mean = metrics.group_by("slice", "metric", "k", maintain_order=True).agg(
        pl.col("value").mean(), pl.col("users").first()
    )
    if mean.is_empty():
        return {"note": "no test row in this window yet: nothing to score"}
    headline = {
        f"{metric}@{k}": round(value, 5)
        for slice_name, metric, k, value, _ in mean.iter_rows()
        if slice_name == ALL and k == 20 and metric in ("recall", "ndcg")
    }
    return {
        **headline,
        "users": int(mean["users"][0]),
        "seconds": round(seconds, 3),
        "metrics": mean.filter(pl.col("k").is_null() | (pl.col("k") == 20)),
    }
