"""The extraction bench measures each of its numbers; no speed is asserted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mrs_pipeline.bench import extract_datasets as bench_extract
from mrs_pipeline.errors import InputError
from mrs_pipeline_tests.encoders_pipeline.reduced import stage_for


def _catalogue(folder: Path, columns: str, row: str) -> Path:
    folder.mkdir()
    (folder / "items.csv").write_text("\n".join([columns, *(row.format(at) for at in range(40))]) + "\n")
    (folder / "interactions.csv").write_text("user_id,item_id,rating\nu,0,5\n")
    return folder


def test_every_number_is_measured(
    tmp_path: Path, saved: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_extract, "FEW", 50)
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
    }
    assert all(value > 0 for value in found.values())
    assert set(table["feature_set"]) == {"text_transformer"}  # without pictures no pictures are timed


def test_a_catalogue_without_texts_is_refused(tmp_path: Path) -> None:
    source = _catalogue(tmp_path / "shop", "item_id,year", "{0},1999")
    with pytest.raises(InputError, match="reduced has no texts to encode; name a dataset"):
        bench_extract.bench_extraction(
            stage_for(tmp_path, source), text_model=None, image_model=None, n_items=5
        )
