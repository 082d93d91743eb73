"""BM3 starts from the given features and fine-tunes those of warm items alone, or none."""

import numpy as np
import pytest
import torch

from mrs_pipeline_tests.models.small import BATCH, DATA
from mrs_pipeline_tests.toy import build


@pytest.mark.parametrize("trained", [True, False])
def test_features_move_for_the_items_of_a_batch_or_not_at_all(trained):
    model, _ = build("bm3", DATA, train_features=trained)
    names = [name for name, _ in model.named_parameters() if name.startswith("features.")]
    assert names == [f"features.{name}" for name in sorted(DATA.features) if trained]
    torch.stack(list(model.loss(BATCH).values())).sum().backward()
    for name, matrix in DATA.features.items():
        if trained:
            values = model.features[name]
            assert np.array_equal(values.detach().numpy(), matrix.values)
            moved = set(torch.nonzero(values.grad.abs().sum(1)).flatten().tolist())
            assert moved == {item for item in BATCH.positives.tolist() if matrix.present[item]}


def test_biases_start_as_long_as_published():
    model, _ = build("bm3", DATA)
    for layer in (model.predictor, *model.projections.values()):
        bound = layer.in_features**-0.5
        assert 0 < layer.bias.abs().max() <= bound
