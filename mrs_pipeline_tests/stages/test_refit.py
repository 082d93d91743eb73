"""What is served is trained on all of the history, for the epochs that validation chose; what is tested if asked."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.encoders.completion import complete
from mrs_pipeline.fitting import epochs_of, refit
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.plan import plan
from mrs_pipeline.stored.features import read_features
from mrs_pipeline.stored.training_data import interactions, training_data
from mrs_pipeline.tasks.node import Kind, Node
from mrs_pipeline.tasks.places import record, store_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.training import loop
from mrs_pipeline_tests.stages.test_verdict import LATE, shop
from mrs_pipeline_tests.stages.working import copied, perform, stage_of, stale, task_of

KINDS = ("recommendations", "vectors")
LEARNING: dict[str, Any] = {
    "models": {
        "most_pop": None,
        "ease": None,
        "bpr_mf": {"embedding_size": 8, "learning_rate": 0.05, "reg_weight": 0.01},
    },
    "training": {"epochs": 30, "patience": 30, "checkpoint_every": 1},
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A shop whose last user has two events, both held out for validation; one model learns a vector a user."""
    stage = shop(tmp_path_factory.mktemp("refit"), **LEARNING)
    perform(stage)
    return stage


def directory(stage: Stage, kind: Kind, name: str, seed: int = 1) -> Path:
    store, keys = store_of(stage, Node(kind, name))
    return store.read(*keys).directory / f"seed={seed}"


def lists_of(stage: Stage, model: str, user_id: str) -> pl.DataFrame:
    lists = stage.lake.read(stage.table("serving", "recommendations", model=model))
    return lists.filter(user_id=user_id).sort("rank")


@pytest.mark.parametrize("model", ["ease", "bpr_mf"])
def test_a_user_of_late_events_alone_is_served_by_the_model(served: Stage, model: str) -> None:
    """Both events are of the first taste, whose items are every third one."""
    splits = served.lake.read(served.table("core", "splits"))
    users = served.lake.read(served.table("core", "users"))
    late = users.filter(user_id=LATE)["user"].item()
    assert splits.filter(user=late)["split"].to_list() == ["valid", "valid", "test"]
    mine = lists_of(served, model, LATE)
    assert set(mine["ranked_by"]) == {"model"}
    assert {int(item[1:]) % 3 for item in mine["item_id"].head(5)} == {0}
    assert not set(mine["item_id"]) & {"i00", "i03"}  # all of the history is left out


def test_without_it_the_model_knows_nothing_of_that_user(served: Stage, tmp_path: Path) -> None:
    stage = stage_of(
        copied(served.home.root, tmp_path / "home"),
        served.window,
        **{**served.config.model_dump(mode="json", exclude_unset=True), "serving": {"refit": False}},
    )
    due = stale(stage)
    planned = {task.name for task in plan(stage.config)}
    assert due == {
        f"{kind}/{name}" for name in LEARNING["models"] for kind in KINDS if f"{kind}/{name}" in planned
    }
    assert not any(task.outputs[0].kind is Kind.FINAL for task in plan(stage.config))
    perform(stage, sorted(due))
    assert set(lists_of(stage, "bpr_mf", LATE)["ranked_by"]) == {"history"}, "folded in"
    assert set(lists_of(stage, "ease", LATE)["ranked_by"]) == {"history"}


def test_it_is_the_chosen_number_of_epochs_on_all_rows(served: Stage) -> None:
    runs = served.lake.read(served.table("models", "runs", model="bpr_mf"))
    best = runs["best_epoch"].item()
    assert 1 < best <= runs["epochs"].item()
    assert epochs_of(directory(served, Kind.TRAINED, "bpr_mf")) == best
    assert epochs_of(directory(served, Kind.FINAL, "bpr_mf")) == best
    data = training_data(served, MODELS["bpr_mf"].spec, whole=True)
    counts = [len(interactions(served, split)) for split in ("train", "valid")]
    assert (len(data.train), len(data.valid)) == (sum(counts), 0)
    again = refit(
        data,
        "bpr_mf",
        served.config.model_configs["bpr_mf"],
        epochs=best,
        training=served.config.training,
    )
    stored = load_file(directory(served, Kind.FINAL, "bpr_mf") / "weights.safetensors")
    for name, tensor in again.model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), stored[name])


def test_a_closed_form_is_solved_again(served: Stage) -> None:
    chosen, final = (
        load_file(directory(served, kind, "ease") / "weights.safetensors")
        for kind in (Kind.TRAINED, Kind.FINAL)
    )
    assert all(chosen[name].shape == final[name].shape for name in chosen)
    assert any(not np.array_equal(chosen[name], final[name]) for name in chosen)


def test_filled_features_are_of_all_rows(worked: Path) -> None:
    stage = stage_of(worked, missing="propagate")
    whole = training_data(stage, MODELS["vbpr"].spec, whole=True)
    stored = {name: read_features(stage, sets[0]) for name, sets in stage.config.model_features.items()}
    expected = complete(stored, "propagate", whole.train)
    for name, matrix in expected.items():
        np.testing.assert_array_equal(matrix.values, whole.features[name].values)
    order = np.lexsort((whole.train.items, whole.train.times, whole.train.users))
    assert (order == np.arange(len(order))).all()


class KilledError(Exception):
    """In place of SIGKILL."""


def test_a_refit_that_was_killed_goes_on(
    served: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_of(
        copied(served.home.root, tmp_path / "home"),
        served.window,
        **served.config.model_dump(mode="json", exclude_unset=True),
    )
    node = Node(Kind.FINAL, "bpr_mf")
    before = record(stage, node)[0]
    store, keys = store_of(stage, node)
    store.discard(*keys)
    steps, trained = loop._Run._steps, []

    def noted(self: Any, epoch: int) -> dict[str, float]:
        if epoch == 2 and len(trained) == 1:
            trained.append(0)
            raise KilledError
        trained.append(epoch)
        return steps(self, epoch)

    monkeypatch.setattr(loop._Run, "_steps", noted)
    with pytest.raises(KilledError):
        perform(stage, [str(node)])
    resume = store.root.joinpath(*keys) / "resume"
    assert resume.is_dir() and not store.exists(*keys)
    outcome = perform(stage, [str(node)])[str(node)]
    (epochs,) = outcome.facts["epochs"]
    assert trained == [1, 0, *range(2, epochs + 1)]
    assert outcome.digest == before
    assert not resume.exists()


def test_what_comes_out_as_it_was_ends_the_wave(served: Stage, tmp_path: Path) -> None:
    """More patience finds the same best epoch: trained again, and not refitted."""
    changed = {**LEARNING["training"], "patience": 31}
    stage = stage_of(
        copied(served.home.root, tmp_path / "home"),
        served.window,
        **{**served.config.model_dump(mode="json", exclude_unset=True), "training": changed},
    )
    due = {f"trained/{name}" for name in LEARNING["models"]}
    assert stale(stage) == due
    perform(stage, sorted(due))
    assert stale(stage) == set()


def test_what_is_tested_is_refitted_where_the_protocol_says_so(served: Stage, tmp_path: Path) -> None:
    changed = {
        **served.config.model_dump(mode="json", exclude_unset=True),
        "evaluation": {**served.config.evaluation.model_dump(exclude_unset=True), "refit": True},
        "seeds": [1, 2],
    }
    stage = stage_of(copied(served.home.root, tmp_path / "home"), served.window, **changed)
    names = [f"{kind}/{name}" for kind in ("trained", "final", "metrics") for name in ("ease", "bpr_mf")]
    perform(stage, names)
    assert epochs_of(directory(stage, Kind.FINAL, "bpr_mf", 2)) == epochs_of(
        directory(stage, Kind.TRAINED, "bpr_mf", 2)
    )
    assert not directory(stage, Kind.FINAL, "ease", 2).exists()  # a closed form has no seed
    assert Node(Kind.TRAINED, "ease") not in task_of(stage, "metrics/ease").inputs
    for model in ("ease", "bpr_mf"):
        now, before = (each.lake.read(each.table("eval", "metrics", model=model)) for each in (stage, served))
        (rule,) = now["protocol"].unique()
        (plain,) = before["protocol"].unique()
        assert rule == f"{plain}; trained on train + valid, for the epochs that valid chose"
        assert "new users" in before["slice"] and "new users" not in now["slice"]
        everyone = now.filter(slice="all", metric="recall", k=5)["users"].unique().item()
        assert everyone == before.filter(slice="all", metric="recall", k=5)["users"].item() + 1
    assert now["seed"].unique().sort().to_list() == [1, 2]


def test_validation_rows_that_are_trained_on_cannot_be_candidates(served: Stage) -> None:
    settings = served.config.model_dump(mode="json", exclude_unset=True)
    settings["evaluation"] = {**settings["evaluation"], "refit": True, "exclude": "train"}
    with pytest.raises(ValueError, match="leave exclude at train_valid, or refit at false"):
        DatasetConfig.model_validate(settings)
