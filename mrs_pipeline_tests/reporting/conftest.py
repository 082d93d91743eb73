"""A small market of made-up results: five models of three axes, two seeds, 300 users, one fixed seed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from mrs_pipeline.reporting.inputs import DataStatistics, ItemCard, ReportInputs, SampleUser

MODELS: dict[str, tuple[float, float, float, list[str]]] = {
    # name: (mean recall, cold recall, seconds, cells)
    "most_pop": (0.03, 0.0, 0.02, ["baseline/collaborative"]),
    "ease": (0.10, 0.0, 2.5, ["baseline/collaborative"]),
    "lightgcn": (0.095, 0.001, 40.0, ["baseline/collaborative"]),
    "freedom": (0.13, 0.05, 60.0, ["interaction/bridge/item_item_graph"]),
    "bm3": (0.13, 0.03, 50.0, ["enhancement/contrastive"]),
}
BREADTH = {"most_pop": 0.05, "ease": 0.6, "lightgcn": 0.4, "freedom": 0.55, "bm3": 0.7}
"""Share of the catalogue that a model's lists show."""
TRIALS = {"most_pop": None, "ease": 7, "lightgcn": 0, "freedom": 20, "bm3": 0}
"""Settings that a search tried; popularity has none to search."""
N_USERS = 300


def protocol(part: str = "all") -> str:
    """Names its slice, as the evaluator's does."""
    return f"full ranking; candidates={part} items; exclude=train_valid"


def _user_rows(
    model: str, window: str, seed: int, rng: np.random.Generator, taste: np.ndarray
) -> pl.DataFrame:
    mean = MODELS[model][0]
    recall = np.clip(mean * 2 * taste + rng.normal(0, 0.02, N_USERS), 0, 1)
    return pl.DataFrame(
        {"dataset": "demo", "window": window, "model": model, "seed": seed, "user": np.arange(N_USERS)}
    ).with_columns(
        pl.Series("n_train", rng.integers(5, 50, N_USERS)),
        pl.Series("recall@20", recall),
        pl.Series("ndcg@20", recall * 0.6),
    )


def _metric_rows(users: pl.DataFrame, model: str, window: str, seed: int) -> pl.DataFrame:
    cold = MODELS[model][1]
    recall, ndcg = (float(users[name].mean()) for name in ("recall@20", "ndcg@20"))
    rows = [
        ("all", "recall", 10, recall * 0.7, N_USERS),
        ("all", "recall", 20, recall, N_USERS),
        ("all", "ndcg", 20, ndcg, N_USERS),
        ("warm", "recall", 20, recall * 1.1, N_USERS),
        ("cold", "recall", 20, cold, 40),
        ("all", "auc", None, 0.5 + recall, N_USERS),
        ("all", "coverage", 20, BREADTH[model], N_USERS),
        ("all", "gini", 20, 1 - BREADTH[model], N_USERS),
        ("all", "novelty", 20, 3 + 5 * BREADTH[model], N_USERS),
        ("all", "popularity", 20, 150 * (1 - BREADTH[model]), N_USERS),
    ]
    return pl.DataFrame(
        [
            ("demo", window, model, seed, part, metric, k, value,
             *((None, None) if metric in ("coverage", "gini") else (value - 0.004, value + 0.004)),
             k / 1000 if k and part == "cold" else None, 1000 if part == "cold" else 5000, n,
             protocol(part), "d" * 32, "c" * 32, False)
            for part, metric, k, value, n in rows
        ],
        schema=["dataset", "window", "model", "seed", "slice", "metric", "k", "value", "ci_low", "ci_high",
                "chance", "candidates", "n_users", "protocol", "data_digest", "code_digest", "stale"],
        orient="row",
    )  # fmt: skip


def _run_row(model: str, window: str, seed: int) -> dict[str, object]:
    _, _, seconds, cells = MODELS[model]
    trained = model not in ("most_pop", "ease")
    return {
        "dataset": "demo", "window": window, "model": model, "seed": seed, "cells": cells,
        "modalities": ["text", "image"] if model in ("freedom", "bm3") else [],
        "epochs": 12 if trained else None, "best_epoch": 8 if trained else None, "seconds": seconds + seed,
        "seconds_per_epoch": seconds / 12, "seconds_evaluation": 0.3, "peak_memory_mb": 512.0,
        "n_parameters": 12345, "config": '{"embedding_size": 64}', "select_value": 0.1,
        "solved": not trained, "trials": TRIALS[model],
    }  # fmt: skip


def _history(model: str, window: str, seed: int) -> pl.DataFrame:
    epoch = np.arange(1, 13)
    terms = {
        "bpr": 0.7 * np.exp(-epoch / 5),
        "reg": 0.01 * np.sqrt(epoch),
        "valid": 0.1 * (1 - np.exp(-epoch / 3)),
    }
    return pl.concat(
        pl.DataFrame({"epoch": epoch, "seconds": epoch * 0.5, "value": value}).with_columns(
            dataset=pl.lit("demo"),
            window=pl.lit(window),
            model=pl.lit(model),
            seed=pl.lit(seed),
            term=pl.lit(term),
        )
        for term, value in terms.items()
    )


def make_inputs(models: tuple[str, ...] | None = None, windows: tuple[str, ...] = ("full",)) -> ReportInputs:
    rng = np.random.default_rng(7)
    metrics, runs, history, users = [], [], [], []
    for window in windows:
        taste = rng.beta(1, 1, N_USERS)
        for model in models or MODELS:
            for seed in (0, 1):
                rows = _user_rows(model, window, seed, rng, taste)
                users.append(rows)
                metrics.append(_metric_rows(rows, model, window, seed))
                runs.append(_run_row(model, window, seed))
                if runs[-1]["epochs"]:
                    history.append(_history(model, window, seed))
    return ReportInputs(
        title="Demo comparison",
        generated="2024-05-01 12:00 UTC",
        metrics=pl.concat(metrics),
        runs=pl.DataFrame(runs, infer_schema_length=None),
        history=pl.concat(history) if history else pl.DataFrame(),
        user_metrics=pl.concat(users),
        checks=pl.DataFrame(
            {
                "name": ["rows_match", "beats_popularity", "coverage"],
                "asset": ["core/items", "trained/bm3", "features/image"],
                "severity": ["ERROR", "ERROR", "WARN"],
                "passed": [True, True, False],
                "description": [
                    "As many rows as items.",
                    "Recall above popularity.",
                    "At least 90 % of items.",
                ],
            }
        ),
        data=(statistics(),),
        samples=(
            SampleUser(
                "u17", "bm3", (ItemCard("Red scarf"),), (ItemCard("Blue scarf", hit=True), ItemCard("Hat"))
            ),
        ),
        provenance={"Git commit": "0123abcd", "mrs_pipeline": "0.1.0"},
    )


def statistics() -> DataStatistics:
    rng = np.random.default_rng(3)
    months = [date(2023, month, 1) for month in range(1, 13)]
    splits = ["train"] * 9 + ["valid", "test", "test"]
    return DataStatistics(
        dataset="demo",
        window="full",
        rows_read=10_500,
        rows_kept=10_000,
        n_users=N_USERS,
        n_items=400,
        quarantine=pl.DataFrame({"reason": ["duplicate", "no timestamp"], "rows": [480, 20]}),
        splits=pl.DataFrame({"split": ["train", "valid", "test"], "rows": [8000, 1000, 1000]}),
        over_time=pl.DataFrame({"period": months, "split": splits, "rows": list(range(500, 1700, 100))}),
        item_counts=np.sort(rng.zipf(1.6, 400).clip(1, 800)),
        user_counts=rng.geometric(0.05, N_USERS) + 4,
        coverage=pl.DataFrame(
            {"feature_set": ["text_tfidf_svd", "image_color"], "present": [400, 250], "missing": [0, 150]}
        ),
        features=pl.DataFrame(
            {
                "feature_set": ["text_tfidf_svd"],
                "width": [128],
                "effective_rank": [71.3],
                "mean_norm": [1.0],
                "duplicates": [2],
            }
        ),
    )


@pytest.fixture(scope="session")
def full_inputs() -> ReportInputs:
    return make_inputs()


@pytest.fixture(scope="session")
def build_inputs() -> Callable[..., ReportInputs]:
    return make_inputs


@pytest.fixture(scope="session")
def bare_inputs(full_inputs: ReportInputs) -> ReportInputs:
    """One closed-form model, slice `all` only, and nothing else."""
    metrics = full_inputs.metrics.filter((pl.col("model") == "ease") & (pl.col("slice") == "all"))
    return ReportInputs(title="One model", generated="now", metrics=metrics)


@pytest.fixture(scope="session")
def with_metrics(full_inputs: ReportInputs) -> Callable[[pl.DataFrame], ReportInputs]:
    return lambda metrics: replace(full_inputs, metrics=metrics)
