"""From raw media to features, checks, pages and a trained model; a second run costs what has changed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.encoders_pipeline.reduced import checked, reduce_pack, stage_for
from mrs_pipeline_tests.stages.working import perform, stale, task_of

N_FILMS = 100
TEXT, IMAGE, AUDIO = "features/text_transformer", "features/image_transformer", "features/audio_log_mel"


@pytest.fixture
def films(packs: Path, tmp_path: Path, saved: Callable[..., Path]) -> Stage:
    """A hundred films with plots and posters, encoded by pretrained models from folders."""
    source = reduce_pack(packs / "ml-latest-small-mm", tmp_path / "films", "image", N_FILMS)
    features: list[dict[str, Any]] = [
        {"modality": "text", "encoder": "transformer", "model": str(saved("bert")), "pooling": "mean"},
        {"modality": "image", "encoder": "transformer", "model": str(saved("vit")), "pooling": "cls"},
    ]
    return stage_for(tmp_path / "home", source, features=features, models={"vbpr": None})


def _rerun(stage: Stage, feature: str) -> dict[str, Any]:
    """Facts of a feature set made again after its source has changed."""
    names = ["raw/interactions", "raw/items", "core/tables", feature]
    return dict(perform(stage, names)[feature].facts)


def test_films_by_pretrained_text_and_image_encoders(films: Stage) -> None:
    done = perform(films)
    for feature in (TEXT, IMAGE):
        facts = done[feature].facts
        assert (facts["present"], facts["encoded now"], facts["dimensions"]) == (N_FILMS, N_FILMS, 16)
        assert all(outcome.passed for outcome in checked(films, feature).values() if outcome.blocking)
        page = done[feature.replace("features", "quality")].facts["page"]
        assert "What these vectors call similar" in page.read_text()
    assert done["metrics/vbpr"].facts["users"] > 100
    assert stale(films) == set()

    again = [_rerun(films, feature) for feature in (TEXT, IMAGE)]
    assert [(facts["encoded now"], facts["taken over unchanged"]) for facts in again] == [(0, N_FILMS)] * 2


def test_one_film_in_a_hundred_changed_costs_one_forward_pass(films: Stage, tmp_path: Path) -> None:
    perform(films, ["raw/interactions", "raw/items", "core/tables", TEXT, IMAGE])
    path = tmp_path / "films" / "items.csv"
    items = pl.read_csv(path, infer_schema_length=None).with_row_index("row")
    plot = pl.when(pl.col("row") == 7).then(pl.lit("A dark film of a fast red car.")).otherwise("description")
    items.with_columns(description=plot).drop("row").write_csv(path)
    poster = tmp_path / "films" / items["image"][3]
    poster.write_bytes((tmp_path / "films" / items["image"][4]).read_bytes())
    for feature in (TEXT, IMAGE):
        facts = _rerun(films, feature)
        assert (facts["encoded now"], facts["taken over unchanged"]) == (1, N_FILMS - 1), feature
        assert "previous version" not in checked(films, feature)["signal"].description


def test_swapped_weights_make_their_own_feature_set_stale(films: Stage, saved: Callable[..., Path]) -> None:
    perform(films, ["raw/interactions", "raw/items", "core/tables", "core/splits", TEXT, IMAGE])
    assert not stale(films) & {TEXT, IMAGE}
    saved("bert", seed=1)
    assert stale(films) & {TEXT, IMAGE} == {TEXT}
    assert perform(films, [TEXT])[TEXT].facts["encoded now"] == N_FILMS
    assert TEXT not in stale(films)


def test_the_same_weights_with_a_new_date_encode_nothing(films: Stage, saved: Callable[..., Path]) -> None:
    perform(films, ["raw/interactions", "raw/items", "core/tables", TEXT])
    os.utime(saved("bert") / "model.safetensors", ns=(1, 1))
    assert TEXT in stale(films)
    assert perform(films, [TEXT])[TEXT].facts["encoded now"] == 0


def test_tracks_from_raw_audio_to_a_trained_model(packs: Path, tmp_path: Path) -> None:
    source = reduce_pack(packs / "emotify-audio", tmp_path / "tracks", "audio", 30)
    stage = stage_for(
        tmp_path / "home",
        source,
        features=[{"modality": "audio", "encoder": "log_mel"}],
        models={"most_pop": None, "vbpr": None, "freedom": None},
    )
    done = perform(stage)
    facts = done[AUDIO].facts
    assert (facts["present"], facts["failed"]) == (30, 0)
    assert all(outcome.passed for outcome in checked(stage, AUDIO).values())
    assert done["quality/audio_log_mel"].facts["baseline"] > 0
    assert stage.lake.read(stage.table("models", "runs", model="vbpr"))["modalities"].to_list() == [["audio"]]
    assert done["metrics/freedom"].facts["users"] > 50
    assert task_of(stage, AUDIO).tags == ("modality/audio", "encoder/log_mel")
