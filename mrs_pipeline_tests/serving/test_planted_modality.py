"""Where a record shows its listener's taste in one modality only, the explanation names that modality."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mrs_pipeline.ingest.demo.market import plant_listeners, plant_records
from mrs_pipeline.plan import plan
from mrs_pipeline.serving.bundle import load_bundle
from mrs_pipeline.serving.explaining import explain
from mrs_pipeline.tasks.node import Kind
from mrs_pipeline_tests.stages.working import perform, stage_of

DEMO = {"users": 300, "items": 300}


@pytest.mark.slow
def test_the_planted_modality_is_named(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    settings = {
        "source": {"reader": "demo", "demo": DEMO},
        "features": [
            {"modality": "text", "encoder": "tfidf_svd", "dimensions": 32},
            {"modality": "image", "encoder": "color_gradient"},
        ],
        "models": {"knn_fusion": None},
    }
    stage = stage_of(tmp_path, "2024-12", **settings)
    before = {Kind.RAW, Kind.CORE, Kind.FEATURES, Kind.TRAINED, Kind.FINAL}
    perform(stage, [task.name for task in plan(stage.config) if task.outputs[0].kind in before])
    bundle = load_bundle(stage, "knn_fusion")
    options = stage.config.source.demo  # type: ignore[union-attr]
    records, listeners = plant_records(options), plant_listeners(options)
    numbers = np.array([int(name[1:]) - 1 for name in bundle.shelf.ids])
    named = []
    for user, place in bundle.users.items():
        taste = (listeners.start + listeners.end)[int(user[1:]) - 1] / 2
        if taste.max() < 0.75 or not bundle.known_users[place]:
            continue
        shown = {
            name: (records.style[name][numbers] == taste.argmax()) & bundle.content[name].present
            for name in bundle.content
        }
        both_there = np.all([matrix.present for matrix in bundle.content.values()], axis=0)
        one = (np.sum(list(shown.values()), axis=0) == 1) & both_there & bundle.rankable
        one[bundle.history_of(place)] = False
        for item in np.flatnonzero(one):
            planted = next(name for name, where in shown.items() if where[item])
            named.append(explain(bundle, bundle.shelf.ids[item], user=user, reasons=1).named == planted)
    assert len(named) > 200
    assert np.mean(named) >= 0.9
