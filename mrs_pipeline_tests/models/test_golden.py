"""What models compute stays what it is; `golden` says what is kept, why it is portable and how to write it again."""

import json
from unittest import mock

import pytest
import torch

from mrs_pipeline.functional.kernels.sparse_products import mean_propagation
from mrs_pipeline.functional.losses import info_nce, squared_norm
from mrs_pipeline.models.pretraining.registry import PRETRAINERS
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline_tests.models.golden import (
    FILE,
    RECORDS,
    differences,
    model_values,
    portable,
    pretrainer_values,
)

GOLDEN = json.loads(FILE.read_text())
ADAM = torch.optim.Adam


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_values_are_those_on_record(name):
    assert differences(GOLDEN[name], RECORDS[name]()) == []


def test_no_value_is_kept_for_what_is_gone():
    assert set(GOLDEN) == set(RECORDS)


@pytest.mark.parametrize("name", sorted(MODELS.own))
def test_inputs_that_differ_in_the_tenth_digit_move_no_value_of_a_model(name):
    """Far more than instruction sets make values differ; a model that fails here needs a tolerance of its own."""
    assert differences(GOLDEN[name], model_values(name, noise=1e-10)) == []


@pytest.mark.parametrize("name", sorted(PRETRAINERS.own))
def test_inputs_that_differ_in_the_tenth_digit_move_no_value_of_a_pretrainer(name):
    assert differences(GOLDEN[f"pretraining {name}"], pretrainer_values(name, noise=1e-10)) == []


@pytest.mark.parametrize(
    ("name", "target", "changed", "seen"),
    [
        ("bpr_mf", "baselines.bpr_mf.embedding_norm", squared_norm, "loss"),
        (
            "lightgcn",
            "layers.lightgcn.mean_propagation",
            lambda operator, x, n_layers: mean_propagation(operator, x, n_layers + 1),
            "scores",
        ),
        ("micro", "bridge.micro.grace", info_nce, "loss"),
        ("freedom", "layers.item_graphs.binary", lambda graph: graph, "scores"),
        ("sasrec", "sequences.sasrec.dropout", lambda x, p, generator: x, "gradient"),
        (
            "grcn",
            "filtration.grcn.unit_rows",
            lambda table: table / table.norm(dim=1, keepdim=True).detach(),
            "gradient",
        ),
    ],
)
def test_a_changed_formula_is_seen(name, target, changed, seen):
    with mock.patch(f"mrs_pipeline.models.{target}", changed):
        found = differences(GOLDEN[name], model_values(name))
    assert any(line.startswith(seen) for line in found)


def test_a_changed_start_is_seen():
    start = torch.nn.init.xavier_normal_

    def wider(tensor, gain=1.0, generator=None):
        return start(tensor, gain=1.001, generator=generator)

    with mock.patch.object(torch.nn.init, "xavier_normal_", wider):
        found = differences(GOLDEN["bpr_mf"], model_values("bpr_mf"))
    assert any(line.startswith("start of user_embedding") for line in found)


@pytest.mark.parametrize("name", ["bpr_mf", "sasrec"])
def test_a_changed_training_loop_is_seen(name):
    def hasty(*args, **options):
        return ADAM(*args, **{**options, "betas": (0.9, 0.99)})

    with mock.patch.object(torch.optim, "Adam", hasty):
        found = differences(GOLDEN[f"trained {name}"], RECORDS[f"trained {name}"]())
    assert found[0].startswith("scores")


def test_settings_of_torch_are_put_back():
    with portable():
        assert torch.ones(1).float().dtype == torch.float64
    assert torch.get_default_dtype() == torch.float32
    assert torch.ones(1).double().float().dtype == torch.float32
