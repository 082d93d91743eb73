"""From data to numbers without Dagster: fit, resume, save, load, recommend, measure."""

import json
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.fitting import (
    configure,
    fit,
    history_table,
    load,
    measure,
    prepare,
    recommend,
    run_facts,
    save,
)
from mrs_pipeline.metrics.registry import metrics_of
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline_tests.toy import COLD_USERS, N_USERS, interactions, small_config, toy_market

TRAINING = TrainingOptions(epochs=6, batch_size=64, patience=1000, checkpoint_every=2)


@pytest.fixture(scope="module")
def fitted(market):
    return fit(market.data, "vbpr", small_config("vbpr"), seed=5, training=TRAINING)


def test_recommends_nothing_that_was_taken_to_everyone(fitted, market):
    lists = recommend(fitted.model, 10, [market.data.train, market.data.valid])
    assert lists.items.shape == (N_USERS, 10)
    for part in (market.data.train, market.data.valid):
        taken = set(zip(part.users.tolist(), part.items.tolist(), strict=True))
        given = {(int(u), int(i)) for u, row in zip(lists.users, lists.items, strict=True) for i in row}
        assert not taken & given
    assert (lists.items[COLD_USERS] >= 0).all()
    assert (np.diff(lists.scores, axis=1) <= 0).all()


def test_recommends_to_some(fitted, market):
    users = np.array([9, 2])
    some = recommend(fitted.model, 4, [market.data.train], users)
    everyone = recommend(fitted.model, 4, [market.data.train])
    assert np.array_equal(some.items, everyone.items[users])


def test_measures_every_slice_and_user(fitted, market):
    options = EvaluationOptions(ks=(5, 10))
    found = measure(fitted.model, market.data, market.test, options, seed=5, data_digest="d", code_digest="c")
    metrics = found.metrics
    assert metrics.columns == [
        *("slice", "protocol", "metric", "k", "users", "value", "ci_low", "ci_high"),
        *("chance", "candidates", "ranked_by"),
        *("model", "seed", "data_digest", "code_digest"),
    ]
    assert metrics.select("model", "seed", "data_digest", "code_digest").unique().rows() == [
        ("vbpr", 5, "d", "c")
    ]
    of_users = [metric.name for metric in metrics_of(options.metrics) if metric.per_user is not None]
    assert len(metrics) == 3 * len(options.metrics) * 2
    assert metrics["metric"].unique(maintain_order=True).sort().to_list() == sorted(options.metrics)
    over_all = metrics.filter(~pl.col("metric").is_in(of_users))
    assert over_all["metric"].unique().sort().to_list() == ["coverage", "gini"]
    assert over_all["ci_low"].null_count() == over_all["ci_high"].null_count() == len(over_all)
    metrics = metrics.filter(pl.col("metric").is_in(of_users))
    means = found.user_metrics.group_by("slice", "metric", "k").agg(
        pl.col("value").cast(pl.Float64).mean().alias("mean"), pl.len().cast(pl.Int64).alias("n")
    )
    joined = metrics.join(means, on=["slice", "metric", "k"])
    assert len(joined) == len(metrics)
    assert joined.filter((pl.col("mean") - pl.col("value")).abs() > 1e-6).is_empty()
    assert joined.filter(pl.col("n") != pl.col("users")).is_empty()


def test_measuring_nothing_gives_empty_tables(fitted, market):
    nothing = interactions(np.zeros((0, 2)))
    found = measure(fitted.model, market.data, nothing, seed=5)
    assert found.metrics.is_empty() and found.user_metrics.is_empty()
    assert found.user_metrics.columns == ["user", "slice", "metric", "k", "value"]


def test_history_and_facts(fitted):
    history = history_table(fitted.result)
    assert set(history["measure"]) == {
        "seconds",
        "validation_seconds",
        "validation_score",
        "loss/bpr",
        "loss/reg",
    }
    assert history["epoch"].max() == 6
    facts = run_facts(fitted)
    best = history.filter(pl.col("measure") == "validation_score").sort(
        "value", "epoch", descending=[True, False]
    )
    assert (facts["best_epoch"], facts["best_score"]) == best.select("epoch", "value").row(0)
    assert facts["parameters"] == sum(p.numel() for p in fitted.model.parameters())
    assert json.loads(facts["config"]) == fitted.model.config.model_dump(mode="json")
    assert facts["peak_memory_mb"] > 0


@pytest.mark.parametrize(
    ("name", "config"), [("lightgcn", {}), ("hm4sr", {"embedding_size": 4, "n_layers": 1, "max_length": 8})]
)
def test_resumes_where_it_was_killed(market, name, config, tmp_path, monkeypatch):
    whole = fit(market.data, name, config, seed=5, training=TRAINING)
    calls = []

    def killed(self, model):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(self, model)

    from mrs_pipeline.evaluation.slices import Selection

    original = Selection.__call__
    with monkeypatch.context() as patch:
        patch.setattr(Selection, "__call__", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(market.data, name, config, seed=5, training=TRAINING, checkpoints=tmp_path / "run")
    resumed = fit(market.data, name, config, seed=5, training=TRAINING, checkpoints=tmp_path / "run")
    everyone = torch.arange(N_USERS)
    assert torch.equal(whole.model.score(everyone), resumed.model.score(everyone))
    other = fit(market.data, name, config, seed=6, training=TRAINING, checkpoints=tmp_path / "run")
    assert torch.equal(
        other.model.score(everyone),
        fit(market.data, name, config, seed=6, training=TRAINING).model.score(everyone),
    )


def test_loading_with_other_data_is_refused(fitted, market, tmp_path):
    save(fitted, tmp_path)
    fewer = interactions(np.array([[0, 0]]), n_users=10)
    with pytest.raises(InputError, match=r"trained on 60 users and 40 items, the data have 10 and 40"):
        load(tmp_path, replace(market.data, train=fewer))
    other_width = toy_market(("text", "image")).data
    narrow = {
        "image": replace(other_width.features["image"], values=other_width.features["image"].values[:, :5])
    }
    with pytest.raises(InputError, match=r"does not hold this model's weights"):
        load(tmp_path, replace(market.data, features={**market.data.features, **narrow}))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", None, "config.json is missing; save the model again"),
        ("config.json", "{", "this is not JSON .* save the model again"),
        ("config.json", "{}", "lacks 'config'"),
        ("weights.safetensors", None, "does not hold this model's weights"),
        ("weights.safetensors", "torn", "does not hold this model's weights"),
    ],
)
def test_a_broken_directory_is_refused(fitted, market, tmp_path, file, content, message):
    save(fitted, tmp_path)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=message):
        load(tmp_path, market.data)


def test_a_wrong_setting_is_named():
    with pytest.raises(InputError, match=r"model 'lightgcn', setting 'n_layers'"):
        configure("lightgcn", {"n_layers": 0})
    with pytest.raises(InputError, match=r"model 'item_knn': knn_k is now called n_neighbours; write"):
        configure("item_knn", {"knn_k": 3})
    with pytest.raises(InputError, match=r"model 'lightgcn', setting 'layers'"):
        configure("lightgcn", {"layers": 2})


def test_training_by_gradient_needs_validation_rows(market):
    data = replace(market.data, valid=interactions(np.zeros((0, 2))))
    with pytest.raises(InputError, match="no validation interaction"):
        fit(data, "bpr_mf")
    assert math.isnan(fit(data, "ease").result.best_score)  # in closed form there is no epoch to choose


def test_graphs_are_built_where_they_are_missing(market):
    config = small_config("freedom")
    ready = prepare(market.data, "freedom", config)
    assert set(ready.item_graphs) == {"image", "text"}
    assert np.diff(ready.item_graphs["text"].indptr).max() == config.knn_k
    again = prepare(ready, "freedom", config)
    assert all(again.item_graphs[name] is graph for name, graph in ready.item_graphs.items())
    assert prepare(market.data, "vbpr", small_config("vbpr")) is market.data


def test_the_graph_of_users_is_built_where_it_is_missing(market):
    config = small_config("dualgnn", user_k=3)
    ready = prepare(market.data, "dualgnn", config)
    assert np.diff(ready.user_graph.indptr).max() == config.user_k
    assert prepare(ready, "dualgnn", config).user_graph is ready.user_graph
    assert prepare(market.data, "freedom", small_config("freedom")).user_graph is None


def test_a_feature_matrix_of_other_items_is_refused(market):
    short = replace(market.data.features["text"], values=market.data.features["text"].values[:7])
    with pytest.raises(InputError, match="'text' has 7 rows but the dataset 40 items"):
        fit(replace(market.data, features={"text": short}), "vbpr")


def test_a_feature_that_is_not_finite_is_refused(market):
    values = market.data.features["text"].values.copy()
    item = int(np.flatnonzero(market.data.features["text"].present)[3])
    values[item, 2] = np.nan
    broken = replace(market.data.features["text"], values=values)
    with pytest.raises(InputError, match=f"NaN or infinite value in the row of item {item}"):
        fit(replace(market.data, features={"text": broken}), "vbpr")
