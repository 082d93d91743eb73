"""Metrics of a fitted model on the test rows of a dataset."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from mrs_pipeline import fitting
from mrs_pipeline.api.dataset import Dataset
from mrs_pipeline.api.model import FittedModel, _options
from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.types import Interactions


def evaluate(
    model: FittedModel, dataset: Dataset, *, ks: Sequence[int] = (5, 10, 20, 50), exclude: str = "train_valid"
) -> pl.DataFrame:
    """Metrics over the whole catalogue, for all, warm and cold items, with 95 % intervals over users.

    Args:
        model: of `fit` or `load`.
        dataset: whose test rows are looked for; its users and items are those that the model was trained on.
        ks: cut-offs of the lists.
        exclude: `train` or `train_valid`: whose items are no candidates.

    Returns:
        One row a slice, metric and k: model, seed, slice, metric, k, value, ci_low, ci_high, users, protocol.

    Raises:
        InputError: there is no test row, an id is unknown, or the model was trained on some of the test rows.
    """
    given = {"ks": tuple(ks), "exclude": exclude, "refit": model.refitted}
    options: EvaluationOptions = _options(EvaluationOptions, given, "evaluate")
    found = fitting.measure(model.recommender, model.data, _test(model, dataset), options, seed=model.seed)
    metrics = found.metrics.drop("data_digest", "code_digest")
    if model.refitted:
        metrics = metrics.with_columns(pl.col("protocol") + "; trained on train + valid")
    first = ["model", "seed", "slice", "metric", "k", "value", "ci_low", "ci_high", "users"]
    return metrics.select(*first, pl.exclude(first))


def _test(model: FittedModel, dataset: Dataset) -> Interactions:
    """The test rows by the model's own numbers."""
    rows = dataset.interactions("test")
    if not len(rows):
        raise InputError("the dataset has no test row; give the split a share of `test`")
    users = model.users.numbers(dataset.users.column(rows.users), "the test rows")
    items = model.items.numbers(dataset.items.column(rows.items), "the test rows")
    n_users, n_items = len(model.users), len(model.items)
    trained = np.isin(users * n_items + items, model.data.train.users * n_items + model.data.train.items)
    if trained.any():
        raise InputError(
            f"the model was trained on {int(trained.sum())} of the {len(rows)} test rows; evaluate it on the split "
            "that it was fitted on"
        )
    order = np.lexsort((items, rows.times if rows.times is not None else items, users))
    times = None if rows.times is None else rows.times[order]
    return Interactions(users[order], items[order], n_users, n_items, times)
