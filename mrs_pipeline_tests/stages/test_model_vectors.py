"""Vectors and index of a model: what is stored is what the model scores with, and a broken index is found out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.plan import plan
from mrs_pipeline.retrieval.index import (
    FACTS,
    GRAPH,
    ItemIndex,
    build_index,
    open_index,
    recall_against_exact,
)
from mrs_pipeline.retrieval.options import IndexOptions
from mrs_pipeline.storage.catalogue import query, refresh
from mrs_pipeline.stored.indexes import read_index, read_vectors_of
from mrs_pipeline.stored.trained import load_trained
from mrs_pipeline.stored.training_data import training_data
from mrs_pipeline.tasks.node import Kind
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import perform, stage_of, task_of


def clustered(n: int, width: int, seed: int) -> np.ndarray:
    """Vectors in twenty clusters, of unequal length, as those of models are."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(20, width))
    rows = centres[rng.integers(0, 20, n)] + 0.7 * rng.normal(size=(n, width))
    return (rows * np.exp(rng.normal(0, 0.3, (n, 1)))).astype(np.float32)


def test_vectors_are_those_that_the_served_model_scores_with(worked: Path) -> None:
    stage = stage_of(worked)
    data = training_data(stage, MODELS["bpr_mf"].spec, whole=True)
    model = load_trained(stage, "bpr_mf", 1, data, final=True)
    numbers, items = read_vectors_of(stage, "bpr_mf", "item")
    owners, users = read_vectors_of(stage, "bpr_mf", "user")
    assert (numbers == np.flatnonzero(model.rankable.numpy())).all()
    assert (owners == np.flatnonzero(data.users_trained)).all()
    import torch

    scores = model.score(torch.from_numpy(owners)).numpy()[:, numbers]
    np.testing.assert_allclose(users @ items.T, scores, atol=1e-5)


def test_sql_measures_them_with_the_ids_of_the_source(stage: Stage) -> None:
    refresh(stage.home)
    sql = """
        SELECT u.id AS user_id, i.id AS item_id, array_inner_product(u.vector, i.vector) AS score
        FROM vectors.tiny_bpr_mf u JOIN vectors.tiny_bpr_mf i ON u.side = 'user' AND i.side = 'item'
    """
    lists = stage.lake.read(stage.table("serving", "recommendations", model="bpr_mf"))
    scores = query(stage.home, sql)
    joined = lists.filter(ranked_by="model").join(scores, on=["user_id", "item_id"], suffix="_in_sql")
    assert len(joined) > 100
    np.testing.assert_allclose(joined["score"], joined["score_in_sql"], atol=1e-5)


def test_models_whose_scores_are_no_products_have_neither(worked: Path) -> None:
    stage = stage_of(worked, models={"ease": None, "item_knn": None, "bpr_mf": None})
    kinds = {(task.outputs[0].kind, task.subject) for task in plan(stage.config)}
    assert {name for kind, name in kinds if kind is Kind.VECTORS} == {"bpr_mf"}
    assert {name for kind, name in kinds if kind is Kind.INDEX} == {"bpr_mf"}


def test_few_items_are_searched_exactly(worked: Path) -> None:
    stage = stage_of(worked)
    index = read_index(stage, "bpr_mf")
    assert index.graph is None
    _, users = read_vectors_of(stage, "bpr_mf", "user")
    found, scores = index.search(users[:3], 4)
    every = users[:3] @ index.vectors.T
    best = np.argsort(-every, axis=1, kind="stable")[:, :4]
    assert (found == index.items[best]).all()
    np.testing.assert_allclose(scores, np.take_along_axis(every, best, 1), rtol=1e-6)


def test_a_graph_finds_nearly_all_and_says_the_scores_of_the_vectors(tmp_path: Path) -> None:
    vectors, items = clustered(3000, 16, 1), np.arange(0, 6000, 2)
    queries = clustered(200, 16, 2)
    options = IndexOptions(exact_below=100, expansion_search=16)
    built = build_index(tmp_path, vectors, items, queries[:100], options)
    again = open_index(tmp_path)
    assert built.graph is not None and again.graph is not None
    assert recall_against_exact(again, queries[100:], 20) >= 0.98
    found, scores = again.search(queries, 5)
    assert set(np.unique(found)) <= set(items)
    np.testing.assert_allclose(scores, np.einsum("bd,bkd->bk", queries, vectors[found // 2]), rtol=1e-4)
    assert (np.diff(scores, axis=1) <= 0).all()
    narrow = json.loads((tmp_path / FACTS).read_text())["expansion_search"]
    assert narrow > 16, "sixteen candidates are too few, so that it was doubled"


def test_only_some_rows_and_ties_by_number() -> None:
    index = ItemIndex(np.ones((6, 2), np.float32), np.arange(10, 16))
    among = np.array([False, True, True, False, True, True])
    found, _ = index.exact(np.ones((1, 2), np.float32), 3, among)
    assert found.tolist() == [[11, 12, 14]]
    assert index.exact(np.ones((1, 2), np.float32), 9)[0].tolist() == [[10, 11, 12, 13, 14, 15]]


def test_the_check_measures_recall_and_a_planted_fault_trips_it(stage: Stage, tmp_path: Path) -> None:
    task = task_of(stage, "index/bpr_mf")
    assert task.check is not None
    (sound,) = task.check(stage, task)
    assert sound.passed and sound.facts["recall"] == 1.0
    approximate = stage_of(stage.home.root, serving={"index": {"exact_below": 10, "expansion_search": 8}})
    perform(approximate, ["index/bpr_mf"])
    index = read_index(approximate, "bpr_mf")
    assert index.graph is not None
    (sound,) = task.check(approximate, task)
    assert sound.passed
    artifact = approximate.indexes.read("tiny", approximate.window, "bpr_mf").directory
    # the graph of other vectors: shuffled rows
    rng = np.random.default_rng(1)
    options = IndexOptions(exact_below=10, expansion_search=8)
    build_index(tmp_path, rng.permutation(np.asarray(index.vectors)), index.items, index.vectors[:3], options)
    republish(approximate, {GRAPH: tmp_path / GRAPH}, artifact)
    (broken,) = task.check(approximate, task)
    assert not broken.passed and broken.facts["recall"] < 0.9
    assert "at least 0.99" in broken.description


def test_an_index_of_other_vectors_is_found_out(stage: Stage) -> None:
    task = task_of(stage, "index/bpr_mf")
    perform(stage_of(stage.home.root, serving={"refit": False}), ["vectors/bpr_mf"])
    assert task.check is not None
    (broken,) = task.check(stage, task)
    assert not broken.passed and "not one of the vectors" in broken.description


def test_without_usearch_a_graph_is_refused_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(InputError, match=r"mrs-pipeline\[serve\].*exact_below"):
        build_index(
            tmp_path, clustered(50, 4, 1), np.arange(50), clustered(2, 4, 2), IndexOptions(exact_below=9)
        )


def republish(stage: Stage, files: dict[str, Path], artifact: Path) -> None:
    """Put files of one's own into an artifact, under its digest as if a fault in the code had written them."""
    provenance = stage.indexes.read("tiny", stage.window, "bpr_mf").provenance
    kept = artifact.with_name("kept")
    shutil.copytree(artifact, kept)
    with stage.indexes.writing("tiny", stage.window, "bpr_mf", provenance=provenance, facts={}) as directory:
        shutil.copytree(kept, directory, dirs_exist_ok=True)
        for name, source in files.items():
            shutil.copy(source, directory / name)
