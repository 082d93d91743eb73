"""MM-EASE and the configurable fusion model against their equations in dense NumPy."""

import numpy as np
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline_tests.models.small import DATA, N_ITEMS, RATINGS, ridge_weights, scores
from mrs_pipeline_tests.toy import build


def content_vectors() -> np.ndarray:
    content = np.concatenate(
        [
            (m.values - m.values[m.present].astype(np.float64).mean(0)) * m.present[:, None]
            for m in DATA.features.values()
        ],
        axis=1,
    )
    return content / np.linalg.norm(content, axis=1, keepdims=True)


def test_mm_ease():
    model, _ = build("mm_ease", DATA, reg_weight=2.0, feature_weight=3.0)
    content = content_vectors()
    gram = RATINGS.T @ RATINGS + 3.0 * content @ content.T
    assert np.allclose(scores(model), RATINGS @ ridge_weights(gram, 2.0), atol=1e-5)


def test_mm_ease_ranks_a_cold_item_by_its_content():
    model, _ = build("mm_ease", DATA, reg_weight=2.0, feature_weight=3.0)
    blind, _ = build("ease", DATA, reg_weight=2.0)
    assert RATINGS[:, 5].sum() == 0
    assert np.abs(scores(blind)[:, 5]).max() == 0
    assert np.abs(scores(model)[:, 5]).min() > 0


def test_mm_ease_refuses_a_catalogue_that_does_not_fit():
    with pytest.raises(InputError, match=rf"'mm_ease' would need about 0\.0 GB for {N_ITEMS} items"):
        build("mm_ease", DATA, memory_limit_gb=1e-9)
