"""What models receive by `modalities`: sets side by side, sets as modalities of their own; what a change makes due."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.encoders.joining import join
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.plan import plan
from mrs_pipeline.stored.features import read_features
from mrs_pipeline.stored.training_data import training_data
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import TINY, perform, stage_of, stale

TWO_TEXTS: dict[str, Any] = {
    "features": [
        {"modality": "text", "encoder": "tfidf_svd", "dimensions": 8},
        {"modality": "text", "encoder": "tfidf_svd", "name": "titles", "columns": ["title"], "dimensions": 4},
    ],
    "models": {"most_pop": None, "freedom": None},
}
TOGETHER = {"text": ["text_tfidf_svd", "text_titles"]}
APART = {"text": "text_tfidf_svd", "titles": "text_titles"}


def sets(root: Path, modalities: dict[str, Any]) -> Stage:
    return stage_of(root, **TWO_TEXTS, modalities=modalities)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which everything was made with both sets side by side."""
    root = tmp_path_factory.mktemp("modalities")
    perform(sets(root, TOGETHER))
    return root


def test_sets_side_by_side(root: Path) -> None:
    stage = sets(root, TOGETHER)
    data = training_data(stage, MODELS["freedom"].spec)
    parts = [read_features(stage, name) for name in TOGETHER["text"]]
    assert list(data.features) == list(data.item_graphs) == ["text"]
    np.testing.assert_array_equal(data.features["text"].values, join(parts).values)
    assert data.features["text"].values.shape[1] == sum(part.values.shape[1] for part in parts)
    assert data.item_graphs["text"].shape == (len(parts[0].present),) * 2
    trained = stage.lake.read(stage.table("models", "runs", model="freedom"))
    assert trained["modalities"].to_list() == [["text"]]


def test_sets_as_modalities_of_their_own(root: Path) -> None:
    stage = sets(root, APART)
    assert {"graphs/text_tfidf_svd", "graphs/text_titles"} <= {task.name for task in plan(stage.config)}
    perform(stage, ["graphs/text_tfidf_svd", "graphs/text_titles"])
    data = training_data(stage, MODELS["freedom"].spec)
    assert list(data.features) == list(data.item_graphs) == ["text", "titles"]
    np.testing.assert_array_equal(data.features["titles"].values, read_features(stage, "text_titles").values)


def test_another_choice_makes_models_of_content_due_and_nothing_else(root: Path) -> None:
    assert stale(sets(root, TOGETHER)) == set()
    due = stale(sets(root, {"text": "text_titles"}))
    others = {name for name in due if name.startswith(("graphs/", "experiments/", "eval/"))}
    kinds = ("trained", "final", "vectors", "recommendations", "metrics")
    assert due - others == {f"{kind}/freedom" for kind in kinds}


def test_settings_without_a_choice_are_what_they_were() -> None:
    """A dataset that names no modalities has the versions that it had."""
    config = DatasetConfig.model_validate(TINY)
    assert not any("modalities" in task.settings for task in plan(config))
