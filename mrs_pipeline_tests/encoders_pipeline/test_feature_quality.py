"""The signal test, the baseline and drift at the stage level, each with a planted fault."""

from pathlib import Path

import numpy as np
import pytest

from mrs_pipeline.encoders.store import MATRIX
from mrs_pipeline.fitting import fit
from mrs_pipeline.schema import TRAIN, VALID
from mrs_pipeline.stored.features import read_features
from mrs_pipeline.stored.training_data import interactions
from mrs_pipeline.tasks.node import CORE_ITEMS
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.types import TrainingData
from mrs_pipeline_tests.encoders_pipeline.reduced import checked
from mrs_pipeline_tests.stages.working import perform, stage_of, task_of

SET = "image_color_gradient"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A demo shop with its features measured. The planted faults change one artifact after the other."""
    source = {"reader": "demo", "demo": {"users": 150, "items": 100}}
    stage = stage_of(tmp_path_factory.mktemp("shop"), source=source, models={"most_pop": None})
    perform(stage, ["raw/interactions", "raw/items", "core/tables", "core/splits", f"features/{SET}"])
    return stage


def _measured(stage: Stage) -> dict[str, float]:
    perform(stage, [f"quality/{SET}"])
    return stage.lake.read(stage.table("quality", "feature_sets", feature_set=SET)).row(0, named=True)


def test_the_row_and_the_page(shop: Stage) -> None:
    row = _measured(shop)
    assert row["signal_z"] > 3
    assert row["signal_cosine"] > row["shuffled_cosine"]
    assert checked(shop, f"quality/{SET}")["above_chance"].passed
    data = TrainingData(
        interactions(shop, TRAIN), interactions(shop, VALID), {"image": read_features(shop, SET)}
    )
    baseline = fit(data, "item_knn", {"source": "content"}).result.best_score
    assert row["baseline"] == pytest.approx(baseline)
    assert row["popularity"] == pytest.approx(fit(data, "most_pop").result.best_score)
    page = shop.home.reports / "tiny" / "features" / shop.window / f"{SET}.html"
    assert "Signal" in page.read_text()


def test_features_do_not_depend_on_interactions(shop: Stage) -> None:
    assert task_of(shop, f"features/{SET}").inputs == (CORE_ITEMS,)


def test_rows_of_other_items_warn(shop: Stage) -> None:
    path = shop.features.read("tiny", shop.window, SET).directory / MATRIX
    values = np.load(path)
    try:
        np.save(path, values[np.random.default_rng(0).permutation(len(values))])
        assert _measured(shop)["signal_z"] < 3
        outcome = checked(shop, f"quality/{SET}")["above_chance"]
    finally:
        np.save(path, values)
    assert not outcome.passed
    assert not outcome.blocking
    assert "do the rows belong to these items?" in outcome.description


def test_pictures_gone_dark_is_drift(shop: Stage) -> None:
    from PIL import Image, ImageFilter

    assert checked(shop, f"features/{SET}")["signal"].passed
    images: list[Path] = sorted((shop.home.data / "raw/demo/images").glob("*.jpg"))
    assert images
    for path in images:
        with Image.open(path) as image:
            faint = image.convert("RGB").resize((8, 8)).point(lambda level: level // 12)
        faint.resize((64, 64)).filter(ImageFilter.BLUR).save(path)
    perform(shop, [f"features/{SET}"])
    outcome = checked(shop, f"features/{SET}")["signal"]
    assert not outcome.passed
    assert "previous version" in outcome.description
