"""No model's scores move unseen; `python -m mrs_pipeline_tests.models.golden` writes them anew."""

import json

import pytest

from mrs_pipeline.models.registry import MODELS
from mrs_pipeline_tests.models.golden import FILE, current

GOLDEN = json.loads(FILE.read_text())


@pytest.mark.parametrize("name", sorted(MODELS.own))
def test_scores_are_those_on_record(name):
    assert current(name) == pytest.approx(GOLDEN[name], abs=1e-4)


def test_no_score_is_kept_for_a_model_that_is_gone():
    assert set(GOLDEN) == set(MODELS.own)
