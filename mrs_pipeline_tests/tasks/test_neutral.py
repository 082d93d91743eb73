"""Settings that decide no result: they are in no version, and with them changed the result has the same bits."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.deciding import deciding
from mrs_pipeline.encoders.engine import extract
from mrs_pipeline.encoders.options import EncoderOptions
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.encoders.store import MATRIX
from mrs_pipeline.fitting import fit
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline_tests.toy import prepared, small_config, toy_market

OTHER: dict[str, Any] = {"threads": 2, "checkpoint_every": 1, "device": "cpu"}


SAME_THREADS: dict[str, dict[str, int]] = {"sasrec": {"threads": torch.get_num_threads()}}
"""Models whose wide products are rounded otherwise on another number of threads, see below."""


def test_every_neutral_setting_of_training_is_tried() -> None:
    assert set(OTHER) == set(TrainingOptions.NEUTRAL)


def test_neutral_settings_are_in_no_version() -> None:
    plain = TrainingOptions(epochs=3)
    assert deciding(plain) == deciding(TrainingOptions(epochs=3, **OTHER))
    assert deciding(plain) != deciding(TrainingOptions(epochs=4))
    assert not set(OTHER) & set(deciding(plain))


@pytest.mark.parametrize("name", ["bpr_mf", "freedom", "ease", "sasrec"])
def test_training_has_the_same_bits(name: str, tmp_path: Path) -> None:
    data = prepared(name, toy_market().data)
    threads = torch.get_num_threads()
    try:
        weights = [
            fit(
                data,
                name,
                small_config(name),
                training=TrainingOptions(epochs=2, batch_size=64, **options),
                checkpoints=tmp_path / str(number),
            ).model.state_dict()
            for number, options in enumerate(({}, {**OTHER, **SAME_THREADS.get(name, {})}))
        ]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_threads_change_no_more_than_rounding(tmp_path: Path) -> None:
    """Products over many rows are added in another order: the last digits differ, and nothing else."""
    data, threads = prepared("sasrec", toy_market().data), torch.get_num_threads()
    try:
        one, two = (
            fit(
                data,
                "sasrec",
                small_config("sasrec"),
                training=TrainingOptions(epochs=1, batch_size=64, threads=n),
            ).model.state_dict()
            for n in (1, 2)
        )
    finally:
        torch.set_num_threads(threads)
    assert all(torch.allclose(one[key], two[key], rtol=0, atol=1e-5) for key in one)


def _options(**changed: Any) -> EncoderOptions:
    settings = {
        "name": "shop",
        "source": {"reader": "demo"},
        "features": [{"modality": "text", "encoder": "tfidf_svd", "dimensions": 4, **changed}],
    }
    return DatasetConfig.model_validate(settings).features[0]


def test_extraction_has_the_same_bits(tmp_path: Path) -> None:
    texts = [f"{colour} hat number {number}" for number in range(18) for colour in ("red", "blue")]
    rows = range(len(texts))
    items = pl.DataFrame({"item": rows, "item_id": [str(row) for row in rows], "title": texts})
    items = items.with_columns(description=pl.lit(None, pl.String))
    other = _options(batch_size=3, name="other"), EngineSettings(chunk_items=5, workers=0)
    matrices = []
    for number, (options, settings) in enumerate(((_options(), EngineSettings()), other)):
        extract(options, items, tmp_path, tmp_path / str(number), settings=settings)
        matrices.append(np.load(tmp_path / str(number) / MATRIX, allow_pickle=False))
    assert np.array_equal(*matrices)
    assert deciding(_options()) == deciding(_options(batch_size=3, name="other"))
