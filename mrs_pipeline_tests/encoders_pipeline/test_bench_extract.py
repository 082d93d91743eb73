"""The extraction bench measures each of its numbers; no speed is asserted."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mrs_pipeline.bench import extract_datasets as bench_extract
from mrs_pipeline.bench import precisions
from mrs_pipeline.encoders.options import NetworkOptions
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.encoders.text_transformer import TextTransformerOptions
from mrs_pipeline.errors import InputError
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.types import TrainingData
from mrs_pipeline_tests.encoders_pipeline.reduced import stage_for
from mrs_pipeline_tests.stages.working import perform, stage_of


def _catalogue(folder: Path, columns: str, row: str) -> Path:
    folder.mkdir()
    (folder / "items.csv").write_text("\n".join([columns, *(row.format(at) for at in range(40))]) + "\n")
    (folder / "interactions.csv").write_text("user_id,item_id,rating\nu,0,5\n")
    return folder


def test_every_number_is_measured(
    tmp_path: Path, saved: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_extract, "FEW", 50)
    monkeypatch.setattr(precisions, "find_spec", lambda module: None)  # int8 is measured below
    source = _catalogue(
        tmp_path / "shop", "item_id,title,description", "{0},red wine {0},a dark wine of the race"
    )
    table = bench_extract.bench_extraction(
        stage_for(tmp_path, source), text_model=saved("bert"), image_model=None, n_items=80
    )
    found = {(measure, items): value for _, measure, items, value in table.iter_rows()}
    assert set(found) == {
        ("bare forward pass, items a second", 40),
        ("engine, items a second", 40),
        ("engine / bare", 40),
        ("sorted batches, texts a second", 40),
        ("unsorted batches, texts a second", 40),
        ("sorted / unsorted", 40),
        ("peak memory MB", 50),
        ("peak memory MB", 80),
        ("float32, items a second", 40),
        ("bfloat16, items a second", 40),
        ("bfloat16 / float32", 40),
        ("bfloat16, cosine to float32, mean", 40),
        ("bfloat16, cosine to float32, least", 40),
    }
    assert all(value > 0 for value in found.values())
    assert set(table["feature_set"]) == {"text_transformer"}  # without pictures no pictures are timed


def test_a_catalogue_without_texts_is_refused(tmp_path: Path) -> None:
    source = _catalogue(tmp_path / "shop", "item_id,year", "{0},1999")
    with pytest.raises(InputError, match="reduced has no texts to encode; name a dataset"):
        bench_extract.bench_extraction(
            stage_for(tmp_path, source), text_model=None, image_model=None, n_items=5
        )


def test_precisions_are_held_against_float32(shop: Stage, words: NetworkOptions) -> None:
    items = shop.lake.read(shop.table("core", "items"))
    rows = precisions.bench_precisions(words, items, shop.home.data, EngineSettings(workers=0))
    assert [row.precision for row in rows] == list(precisions.precisions_of(words))
    assert rows[0].cosine_min == pytest.approx(1, abs=1e-6)
    for row in rows[1:]:
        assert 0.97 < row.cosine_min <= row.cosine_mean < 1 - 1e-8
        assert row.items == len(items)


def test_recall_is_that_of_the_vectors_in_each_precision(
    shop: Stage, words: NetworkOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precisions, "find_spec", lambda module: None)
    seen = {}

    def fitted(data: TrainingData, model: str, *_: object, **__: object) -> SimpleNamespace:
        seen[model, len(seen)] = np.array(data.features["text"].values)
        return SimpleNamespace(result=SimpleNamespace(best_score=0.5))

    with monkeypatch.context() as patch:
        patch.setattr(precisions, "fit", fitted)
        rows = list(precisions.recall_by_precision(shop, [words], ["vbpr"]))
    assert [row[:2] for row in rows] == [("vbpr", "float32"), ("vbpr", "bfloat16")]
    plain, half = seen.values()
    assert not np.array_equal(plain, half)
    assert (plain * half).sum(1).min() > 0.99
    scores = [row[3] for row in precisions.recall_by_precision(shop, [words], ["vbpr"])]
    assert all(0 < score < 1 for score in scores)


def test_without_a_run_there_is_no_recall(tmp_path: Path) -> None:
    assert not precisions.can_measure_recall(stage_of(tmp_path))


@pytest.fixture
def shop(tmp_path: Path) -> Stage:
    """A demonstration shop with its tables."""
    stage = stage_of(tmp_path, features=[], models={"most_pop": None})
    perform(stage, ["raw/items", "raw/interactions", "core/tables", "core/splits"])
    assert precisions.can_measure_recall(stage)
    return stage


@pytest.fixture
def words(saved: Callable[..., Path]) -> NetworkOptions:
    """A small text encoder."""
    return TextTransformerOptions(
        encoder="transformer", model=str(saved("bert")), pooling="mean", columns=("title", "description")
    )
