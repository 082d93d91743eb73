"""Fitting, measuring, recommending, saving and loading with the user's own ids."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mrs_pipeline import Dataset, FittedModel, evaluate, fit, fitting, load, recommend
from mrs_pipeline.api.ids import Ids
from mrs_pipeline.errors import InputError
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import FeatureUse
from mrs_pipeline_tests.toy import small_config, toy_market

FEW = {"epochs": 2, "batch_size": 64}
HISTORIES = [name for name in MODELS.own if MODELS[name].spec.histories and not MODELS[name].spec.times]
"""A history that is given here has no times."""
ABLE = [name for name in HISTORIES if MODELS[name].spec.raw is not FeatureUse.REQUIRED]


@pytest.fixture(scope="module")
def ease(dataset: Dataset) -> FittedModel:
    return fit(dataset, "ease", reg_weight=10.0)


@pytest.fixture(scope="module")
def vbpr(dataset: Dataset) -> FittedModel:
    return fit(dataset, "vbpr", seed=3, training=FEW, embedding_size=8)


def test_a_model_is_what_fitting_makes_of_the_dense_rows(dataset: Dataset, vbpr: FittedModel) -> None:
    data = dataset.training_data()
    training = fitting.TrainingOptions(**FEW)
    other = fitting.fit(data, "vbpr", {"embedding_size": 8}, seed=3, training=training)
    lists = fitting.recommend(other.model, 5, [data.train, data.valid], np.array([4]))
    found = recommend(vbpr, ["c04"], k=5)
    assert found["sku"].to_list() == dataset.items.column(lists.items[0]).to_list()
    assert found["customer"].unique().to_list() == ["c04"]
    assert found["rank"].to_list() == [1, 2, 3, 4, 5]
    assert vbpr.history.filter(pl.col("measure") == "seconds").height == 2
    measured = fitting.measure(other.model, data, dataset.interactions("test"), seed=3).metrics
    assert evaluate(vbpr, dataset)["value"].to_list() == measured["value"].to_list()


def test_lists_leave_out_what_was_seen_unless_asked(dataset: Dataset, ease: FittedModel) -> None:
    known = pl.concat([dataset.train, dataset.valid]).select("customer", "sku")
    lists = recommend(ease, k=40)
    assert lists.join(known, on=["customer", "sku"]).is_empty()
    assert lists["customer"].n_unique() == 40
    everything = recommend(ease, "c00", k=40, exclude_seen=False)
    assert everything.height == dataset.train["sku"].n_unique()  # EASE knows nothing of the others
    assert everything["score"].is_sorted(descending=True)
    assert lists.to_pandas()["sku"].dtype == np.int64


@pytest.mark.parametrize("name", ["ease", "vbpr", "sasrec", "dualgnn", "pmgt"])
def test_a_refitted_model_knows_the_validation_rows(dataset: Dataset, name: str, tmp_path: Path) -> None:
    settings = {"embedding_size": 8} if "embedding_size" in MODELS[name].Config.model_fields else {}
    first_step = {"epochs": 1, "n_layers": 1, "hops": (4, 2), "embedding_size": 8} if name == "pmgt" else None
    options = {"training": FEW, "pretraining": first_step, "checkpoints": tmp_path / "state", **settings}
    chosen, model = fit(dataset, name, **options), fit(dataset, name, refit=True, **options)
    rows = len(dataset.train) + len(dataset.valid)
    assert (len(model.data.train), len(model.data.valid), model.refitted) == (rows, 0, True)
    assert (len(chosen.data.train), chosen.refitted) == (len(dataset.train), False)
    for each in (chosen, model):
        known = pl.concat([dataset.train, dataset.valid]).select("customer", "sku")
        assert recommend(each, k=40).join(known, on=["customer", "sku"]).is_empty()
    if name == "dualgnn":  # which users share items is asked again
        assert model.data.user_graph is not None and chosen.data.user_graph is not None
        assert model.data.user_graph.weights.sum() > chosen.data.user_graph.weights.sum()
    if name == "pmgt":  # the first step is not
        assert model.data.pretrained["pmgt"] is chosen.data.pretrained["pmgt"] or np.array_equal(
            model.data.pretrained["pmgt"].values, chosen.data.pretrained["pmgt"].values
        )
    (rule,) = evaluate(model, dataset)["protocol"].unique().str.split("; trained on ").list.last().unique()
    assert rule == "train + valid"
    again = load(model.save(tmp_path / "kept"))
    assert again.refitted and recommend(again, k=6).equals(recommend(model, k=6))
    assert not recommend(model, k=6).equals(recommend(chosen, k=6))


def test_a_refitted_model_has_no_validation_rows_among_its_candidates(dataset: Dataset) -> None:
    with pytest.raises(InputError, match="leave exclude at train_valid"):
        evaluate(fit(dataset, "most_pop", refit=True), dataset, exclude="train")


@pytest.mark.parametrize("name", ["ease", "vbpr", "sasrec", "lattice", "pmgt"])
def test_a_saved_model_answers_alike_without_the_data(dataset: Dataset, name: str, tmp_path: Path) -> None:
    settings = {"embedding_size": 8} if "embedding_size" in MODELS[name].Config.model_fields else {}
    first_step = {"epochs": 1, "n_layers": 1, "hops": (4, 2), "embedding_size": 8} if name == "pmgt" else None
    model = fit(dataset, name, training=FEW, pretraining=first_step, **settings)
    again = load(model.save(tmp_path / "models" / "kept"))
    assert recommend(again, k=6).equals(recommend(model, k=6))
    assert evaluate(again, dataset).equals(evaluate(model, dataset))
    assert (again.name, again.seed, again.settings) == (model.name, model.seed, model.settings)
    kinds = {path.suffix for path in (tmp_path / "models" / "kept").iterdir()}
    assert kinds == {".json", ".parquet", ".safetensors"}


@pytest.mark.parametrize("name", ABLE)
def test_a_history_of_anybody_scores_as_the_user_who_has_it(name: str) -> None:
    data = toy_market().data
    config = small_config(name)
    trained = fitting.fit(data, name, config, training=fitting.TrainingOptions(epochs=1, batch_size=64)).model
    ids = pl.Series(np.arange(data.train.n_items))
    model = FittedModel(
        trained, Ids("u", pl.Series(np.arange(data.train.n_users))), Ids("i", ids), data, 1, pl.DataFrame()
    )
    users = [0, 5, 11]
    histories = {f"like {user}": data.train.items[data.train.users == user].tolist() for user in users}
    lists = fitting.recommend(
        trained, 8, [data.train], np.array(users)
    )  # validation rows are not observed here
    found = recommend(model, histories=histories, k=8)
    for at, user in enumerate(users):
        own = found.filter(pl.col("u") == f"like {user}")
        assert own["i"].to_list() == lists.items[at].tolist()
        assert own["score"].to_numpy() == pytest.approx(lists.scores[at], abs=1e-5)


def test_histories_may_be_a_table_and_may_be_empty(ease: FittedModel) -> None:
    table = pl.DataFrame({"customer": ["new", "other", "new"], "sku": [3, 10, 17]})
    found = recommend(ease, histories=table, k=3)
    assert found["customer"].unique().sort().to_list() == ["new", "other"]
    asked = {"new": [3, 17], "other": [10]}
    assert recommend(ease, histories=asked, k=3).equals(found)
    assert recommend(ease, histories={1: []}, k=3).height == 3


def test_metrics_come_as_a_frame_with_intervals(dataset: Dataset, ease: FittedModel) -> None:
    found = evaluate(ease, dataset, ks=(5, 20))
    assert found.columns[:9] == [
        "model",
        "seed",
        "slice",
        "metric",
        "k",
        "value",
        "ci_low",
        "ci_high",
        "users",
    ]
    assert set(found["k"]) == {5, 20}
    recall = found.filter(metric="recall", k=20, slice="all").row(0, named=True)
    assert recall["ci_low"] < recall["value"] < recall["ci_high"]
    assert recall["value"] > 0.5  # two tastes are easy to tell


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda d, e, v: fit(d.rows, "ease"), "fit takes a Dataset, not DataFrame"),
        (
            lambda d, e, v: fit(d, "eese"),
            r"there is no model 'eese' \(did you mean 'ease'\?\); the models are",
        ),
        (lambda d, e, v: fit(d, "ease", reg=3), "model 'ease', setting 'reg': Extra inputs"),
        (lambda d, e, v: fit(d, "vbpr", training={"epoch": 3}), "training, epoch: Extra inputs"),
        (lambda d, e, v: fit(d, "vbpr", select_on="recall"), "fit, select_on: select_on must be one of"),
        (lambda d, e, v: fit(d, "kgat"), "needs a knowledge graph, which a Dataset does not hold"),
        (lambda d, e, v: fit(d, "end_to_end"), "needs decoded media, which a Dataset does not hold"),
        (lambda d, e, v: recommend(e, ["c00", "nobody"]), "users: customer 'nobody' is not among the 40"),
        (lambda d, e, v: recommend(e, [1]), "users is of type Int64, but the ids that are known are String"),
        (lambda d, e, v: recommend(e, ["c00"], histories={1: [3]}), "give `users` or `histories`, not both"),
        (lambda d, e, v: recommend(e, histories={1: [4]}), "histories: sku 4 is not among the 31"),
        (lambda d, e, v: recommend(e, histories={}), "histories are empty"),
        (lambda d, e, v: recommend(e, k=0), "k must be a whole number from 1, not 0"),
        (lambda d, e, v: evaluate(e, d, ks=(20, 5)), "evaluate, ks: ks must be positive, ascending"),
        (lambda d, e, v: evaluate(e, d.split("random", test=0.0)), "has no test row"),
        (lambda d, e, v: evaluate(e, d.split("random", seed=9)), "was trained on .* of the .* test rows"),
        (lambda d, e, v: v.save(Path(__file__).parent), "exists already; name another folder"),
        (lambda d, e, v: load("nowhere"), "nowhere holds no saved model"),
    ],
)
def test_wrong_input_is_one_sentence(
    dataset: Dataset, ease: FittedModel, vbpr: FittedModel, call: Any, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        call(dataset, ease, vbpr)


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("model.json", '{"format": 0}', "of another version"),
        ("model.json", "{", "this is not JSON"),
        (
            "model.json",
            '{"format": 1, "model": "gone", "package": "mrs-gone"}',
            "`pip install mrs-gone`",
        ),
        ("users.parquet", None, "users.parquet is missing or damaged"),
        ("items.parquet", "x", "items.parquet is missing or damaged"),
        ("interactions.parquet", "x", "interactions.parquet is missing or damaged"),
        ("arrays.safetensors", "x", "arrays.safetensors is missing or damaged"),
        ("weights.safetensors", "x", "weights.safetensors does not hold this model's weights"),
    ],
)
def test_a_damaged_folder_names_its_file(
    vbpr: FittedModel, tmp_path: Path, file: str, content: str | None, sentence: str
) -> None:
    folder = vbpr.save(tmp_path / "kept")
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(InputError, match=sentence):
        load(folder)


def test_a_folder_is_replaced_only_on_demand_and_nothing_is_left_behind(
    ease: FittedModel, tmp_path: Path
) -> None:
    folder = ease.save(tmp_path / "kept")
    (folder / "note.txt").write_text("mine")
    ease.save(folder, overwrite=True)
    assert not (folder / "note.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
