"""The first of two steps as an asset: made once, shared by its fine-tunings, checked."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from mrs_pipeline.errors import InputError
from mrs_pipeline.plan import plan
from mrs_pipeline.stored.training_data import training_data
from mrs_pipeline.stored.vectors import VECTORS, read_vectors
from mrs_pipeline.tasks.currency import upstream
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.task import CheckOutcome, Stage
from mrs_pipeline_tests.stages.working import copied, perform, stage_of, stale, task_of

QUICK = {"embedding_size": 8, "epochs": 2, "walk_k": 4, "n_layers": 1, "hops": [4, 2], "n_contexts": 2}
CHANGES: dict[str, Any] = {
    "models": {"pmgt": {"embedding_size": 8}, "pamd": {"embedding_size": 8}},
    "pretraining": {"pmgt": QUICK, "pamd": {"embedding_size": 8, "epochs": 2}},
}
PRETRAINED = ["pretrained/pmgt", "pretrained/pamd"]
GRAPHS = {"graphs/text_tfidf_svd", "graphs/image_color_gradient"}


@pytest.fixture(scope="module")
def pretrained(worked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the worked home with both first steps and their fine-tunings."""
    torch.set_num_threads(1)
    root = copied(worked, tmp_path_factory.mktemp("pretrained") / "home")
    stage = stage_of(root, **CHANGES)
    names = [*PRETRAINED, *(f"{kind}/{name}" for kind in _KINDS for name in ("pmgt", "pamd"))]
    names += ["vectors/pmgt", "index/pmgt"]  # PAMD's scores are no inner products
    perform(stage, names)
    return root


_KINDS = ("trained", "final", "recommendations", "metrics")


@pytest.fixture
def stage(pretrained: Path, tmp_path: Path) -> Stage:
    """A home to be changed."""
    return stage_of(copied(pretrained, tmp_path / "home"), **CHANGES)


def _names(**changed: Any) -> list[str]:
    return [task.name for task in plan(stage_of(Path("/nowhere"), **changed).config)]


def test_a_model_brings_its_first_step_and_the_graphs_that_this_needs() -> None:
    names = _names(models={"pmgt": None})
    assert "pretrained/pmgt" in names
    assert "pretrained/pamd" not in names
    assert set(names) >= GRAPHS
    assert names.index("pretrained/pmgt") < names.index("trained/pmgt")
    assert not {"pretrained/pmgt", *GRAPHS} & set(_names(models={"bpr_mf": None}))
    assert not GRAPHS & set(_names(models={"pamd": None}))  # its first step walks no graph


def test_a_first_step_may_be_listed_without_any_model() -> None:
    assert "pretrained/pamd" in _names(models={"bpr_mf": None}, pretraining={"pamd": None})


def test_what_is_read_is_declared() -> None:
    place = stage_of(Path("/nowhere"), **CHANGES)
    features = {"features/text_tfidf_svd", "features/image_color_gradient"}
    assert set(map(str, task_of(place, "pretrained/pmgt").inputs)) >= features | GRAPHS | {"core/splits"}
    assert set(map(str, task_of(place, "trained/pmgt").inputs)) >= features | {"pretrained/pmgt"}
    assert Node.parse("pretrained/pmgt") not in task_of(place, "trained/pamd").inputs


def test_vectors_are_stored_as_they_were_made_and_reach_the_models(stage: Stage) -> None:
    from mrs_pipeline.models.registry import MODELS

    found = read_vectors(stage, "pamd")
    assert set(found) == {f"pamd/{kind}_{m}" for kind in ("common", "specific") for m in ("text", "image")}
    assert all(each.values.dtype == np.float32 and each.values.shape[1] == 8 for each in found.values())
    data = training_data(stage, MODELS["pamd"].spec)
    for key, matrix in found.items():
        assert np.array_equal(data.pretrained[key].values, matrix.values)
        assert np.array_equal(data.pretrained[key].present, matrix.present)
    assert set(training_data(stage, MODELS["pmgt"].spec).pretrained) == {"pmgt"}
    assert not training_data(stage, MODELS["bpr_mf"].spec).pretrained


def test_a_fine_tuning_without_its_first_step_is_refused(worked: Path, tmp_path: Path) -> None:
    place = stage_of(copied(worked, tmp_path / "home"), **CHANGES)
    with pytest.raises(InputError, match=r"needs pretrained/pmgt, which is not materialised yet"):
        upstream(place, task_of(place, "trained/pmgt"))


def test_outcome_tells_how_it_went(stage: Stage) -> None:
    outcome = perform(stage, ["pretrained/pmgt"])["pretrained/pmgt"]
    assert outcome.facts["epochs"] == 2
    assert outcome.facts["dimensions"] == 8
    assert outcome.facts["held-out loss"] > 0
    assert {"loss structure", "loss features"} <= set(outcome.facts)
    assert outcome.facts["loss curve"].startswith(b"\x89PNG")
    assert json.dumps(outcome.facts["settings"])


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, set()),
        ({"pretraining": {**CHANGES["pretraining"], "pmgt": {**QUICK, "seed": 2}}}, {"pretrained/pmgt"}),
        (
            {"models": {**CHANGES["models"], "pamd": {"embedding_size": 9}}},
            {"trained/pamd", "final/pamd"},
        ),
    ],
)
def test_a_changed_setting_touches_its_own_step(
    stage: Stage, changed: dict[str, Any], expected: set[str]
) -> None:
    """Fine-tunings share the first step: their own settings leave it as it is."""
    again = stage_of(stage.home.root, **{**CHANGES, **changed})
    mine = {name for name in stale(again) if name.endswith(("pmgt", "pamd"))}
    assert mine == expected


def test_another_first_step_makes_its_fine_tunings_stale(stage: Stage) -> None:
    settings = {**CHANGES, "pretraining": {**CHANGES["pretraining"], "pmgt": {**QUICK, "seed": 2}}}
    again = stage_of(stage.home.root, **settings)
    perform(again, ["pretrained/pmgt"])
    mine = {name for name in stale(again) if name.endswith(("pmgt", "pamd"))}
    assert mine == {f"{kind}/pmgt" for kind in (*_KINDS, "vectors")}


def _checked(stage: Stage, name: str) -> dict[str, CheckOutcome]:
    task = task_of(stage, name)
    assert task.check is not None
    return {outcome.name: outcome for outcome in task.check(stage, task)}


def _tamper(stage: Stage, name: str, fault: Any) -> None:
    path = stage.pretrained.read("tiny", stage.window, name).directory / VECTORS
    arrays = load_file(path)
    key = sorted(key for key in arrays if key.startswith("values:"))[0]
    save_file({**arrays, key: fault(arrays[key]).astype(np.float32)}, path)


@pytest.mark.parametrize("name", PRETRAINED)
def test_good_vectors_pass(stage: Stage, name: str) -> None:
    found = _checked(stage, name)
    assert found["finite"].passed
    assert found["not_collapsed"].passed
    assert found["not_collapsed"].facts["vectors"].height == len(read_vectors(stage, name.partition("/")[2]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_not_finite_block(stage: Stage, value: float) -> None:
    def fault(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[3, 2] = value
        return values

    _tamper(stage, "pamd", fault)
    found = _checked(stage, "pretrained/pamd")["finite"]
    assert not found.passed
    assert found.blocking
    assert found.description == "not finite: pamd/common_image"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (np.ones_like, "mean cosine 1.000 of any two items"),
        (
            lambda values: np.outer(np.linspace(-1, 1, len(values)), np.ones(8)),
            "the vectors span 1.0 directions",
        ),
        (lambda values: values * 1e-3 + 1, "mean cosine 1.000"),
    ],
)
def test_collapsed_vectors_are_warned_of(stage: Stage, fault: Any, sentence: str) -> None:
    _tamper(stage, "pmgt", fault)
    found = _checked(stage, "pretrained/pmgt")["not_collapsed"]
    assert not found.passed
    assert not found.blocking
    assert f"pmgt: {sentence}" in found.description


def test_vectors_of_hardly_any_item_are_warned_of(stage: Stage) -> None:
    path = stage.pretrained.read("tiny", stage.window, "pmgt").directory / VECTORS
    arrays = load_file(path)
    save_file({**arrays, "present:pmgt": np.arange(len(arrays["present:pmgt"])) == 0}, path)
    found = _checked(stage, "pretrained/pmgt")["not_collapsed"]
    assert not found.passed
    assert "fewer than two items have a vector" in found.description


def test_a_first_step_of_pairs_gives_vectors_of_users_too(worked: Path, tmp_path: Path) -> None:
    from mrs_pipeline.models.baselines.bpr_mf import BprMf
    from mrs_pipeline.models.registry import MODELS

    changes: dict[str, Any] = {
        "models": {"gorec": {"embedding_size": 8, "knn_k": 3}},
        "pretraining": {"factors": {"model": "bpr_mf", "embedding_size": 8, "epochs": 2}},
    }
    place = stage_of(copied(worked, tmp_path / "home"), **changes)
    assert BprMf in task_of(place, "pretrained/factors").uses
    perform(place, ["pretrained/factors", "trained/gorec"])
    data = training_data(place, MODELS["gorec"].spec)
    vectors = read_vectors(place, "factors")
    assert vectors["factors/users"].values.shape == (data.train.n_users, 8)
    assert vectors["factors/items"].values.shape == (data.train.n_items, 8)
    for key, matrix in vectors.items():
        assert np.array_equal(data.pretrained[key].values, matrix.values)
