"""Each strategy for missing modalities, from the dataset's settings to trained models and their metrics."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.stored.training_data import training_data
from mrs_pipeline.tasks.currency import is_current, version
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import perform, stage_of, task_of

LISTED = {"ease": None, "vbpr": None, "freedom": None}
STRATEGIES = ("mask", "zero", "mean", "neighbours", "propagate")
SHARED = ["core/tables", "core/splits"]
FEATURES = ["features/text_tfidf_svd", "features/image_color_gradient"]


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that has lost the picture of every second record."""
    root = tmp_path_factory.mktemp("half")
    stage = stage_of(root, models=LISTED)
    perform(stage, ["raw/interactions", "raw/items"])
    for path in sorted((root / "data/raw/demo/images").glob("*.jpg"))[::2]:
        path.unlink()
    perform(stage, [*SHARED, *FEATURES, "graphs/text_tfidf_svd", "graphs/image_color_gradient"])
    return root


def _stage(root: Path, strategy: str) -> Stage:
    return stage_of(root, models=LISTED, missing=strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_models_are_trained_and_measured(half: Path, strategy: str) -> None:
    stage = _stage(half, strategy)
    names = [f"{kind}/{model}" for kind in ("trained", "metrics", "recommendations") for model in LISTED]
    done = perform(stage, names)
    assert set(done) == set(names)
    for name in names:
        assert is_current(stage, task_of(stage, name)), name
    for model in ("vbpr", "freedom"):
        score = stage.lake.read(stage.table("models", "runs", model=model))["best_score"]
        assert score.null_count() == 0 and score.is_finite().all()
    other = _stage(half, "mean" if strategy != "mean" else "zero")
    assert not is_current(other, task_of(other, "trained/vbpr"))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_models_receive(half: Path, strategy: str) -> None:
    plain = training_data(_stage(half, "mask"), MODELS["freedom"].spec)
    filled = training_data(_stage(half, strategy), MODELS["freedom"].spec)
    before, after = plain.features["image"], filled.features["image"]
    lacking = ~before.present
    assert lacking.sum() > 10
    np.testing.assert_array_equal(after.values[before.present], before.values[before.present])
    share_usable = after.present[lacking].mean()
    empty = np.diff(filled.item_graphs["image"].indptr)[lacking] == 0
    if strategy == "mask":
        assert share_usable == 0
        assert empty.all()
    elif strategy == "zero":
        assert share_usable == 1
        assert not after.values[lacking].any()
    else:
        touched = np.isin(
            np.arange(len(lacking)), plain.train.items
        )  # the others have no neighbours by users
        assert after.present[lacking & touched].mean() > 0.8
        assert after.values[lacking & after.present].any(axis=1).all()
        assert not empty[after.present[lacking]].any()  # the graph is that of the filled rows
    if strategy == "mean":
        np.testing.assert_allclose(
            after.values[lacking][0], before.values[before.present].mean(axis=0), rtol=1e-4, atol=1e-6
        )


def test_models_without_features_do_not_depend_on_it(half: Path) -> None:
    stages = [
        stage_of(half, models={"most_pop": None, "vbpr": None}, missing=strategy)
        for strategy in ("mask", "mean")
    ]
    one, other = (task_of(stage, "trained/most_pop") for stage in stages)
    assert version(one) == version(other)
    one, other = (task_of(stage, "trained/vbpr") for stage in stages)
    assert version(one) != version(other)


def test_neighbours_need_another_modality() -> None:
    text = [{"modality": "text", "encoder": "tfidf_svd"}]
    with pytest.raises(ValidationError, match="list features of a second one"):
        stage_of(Path(), features=text, missing="neighbours")
