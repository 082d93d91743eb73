"""What only a GPU can show; each test runs once for each there is. `pytest -m gpu` runs these and those of encoders."""

import pytest
import torch

from mrs_pipeline.fitting import fit, load, save
from mrs_pipeline.functional.graphs import knn_graph
from mrs_pipeline.functional.kernels.edges import EdgePattern, edge_attention, edge_attention_reference
from mrs_pipeline.functional.kernels.sparse_products import (
    SparseOperator,
    mean_propagation,
    mean_propagation_reference,
)
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.registry import MODELS, model_class
from mrs_pipeline.models.spec import BatchKind
from mrs_pipeline.training.batches import batch_source
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline_tests.models.golden import TOLERANCE, VARIANTS, differences_elsewhere
from mrs_pipeline_tests.toy import N_USERS, prepared, small_config, toy_market

DEVICES = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
pytestmark = pytest.mark.gpu
on_each = pytest.mark.parametrize(
    "device", DEVICES or [pytest.param("cuda", marks=pytest.mark.skip(reason="there is no CUDA device"))]
)
CASES = [(name, {}) for name in sorted(MODELS.own)] + [
    (name, each) for name in VARIANTS for each in VARIANTS[name]
]


def label(case) -> str:
    return " ".join([case[0], *(f"{key}={value}" for key, value in case[1].items())])


@on_each
@pytest.mark.parametrize("case", CASES, ids=label)
def test_golden_values(case, device):
    """In float64, with the draws of the CPU: sums in another order move nothing by more than `golden.TOLERANCE`."""
    assert TOLERANCE == 1e-7
    assert differences_elsewhere(*case, device) == []


@on_each
@pytest.mark.parametrize("name", sorted(MODELS.own))
def test_trains_is_stored_and_scores_the_same_when_loaded_there_and_on_the_cpu(name, device, tmp_path):
    data = prepared(name, toy_market().data)
    options = TrainingOptions(epochs=2, batch_size=64, patience=1000, device=device)
    fitted = fit(data, name, small_config(name), training=options)
    assert str(fitted.model.device) == device
    save(fitted, tmp_path)
    users = torch.arange(N_USERS)
    there = load(tmp_path, data, device=device).score(users.to(device)).cpu()
    assert there.isfinite().all()
    here = load(tmp_path, data).score(users)
    torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-4)


@on_each
@pytest.mark.parametrize(
    "name", [name for name in sorted(MODELS.own) if MODELS[name].spec.batches is not BatchKind.NONE]
)
def test_no_step_waits_for_the_host(name, device):
    inputs = ModelInputs.from_data(prepared(name, toy_market().data), device)
    model = model_class(name)(small_config(name), inputs, torch.Generator(device).manual_seed(1))
    optimizer = torch.optim.Adam([dict(group) for group in model.parameter_groups()], fused=True)
    model.train()
    for _ in range(2):  # what libraries set up at their first call is set up in the first pass
        model.start_epoch()
        batches = list(batch_source(model, inputs, 64).epoch(model.generator))
        torch.cuda.set_sync_debug_mode("error" if optimizer.state else "default")
        try:
            for batch in batches:
                optimizer.zero_grad(set_to_none=True)
                torch.stack(list(model.loss(batch).values())).sum().backward()
                optimizer.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")


def pattern(device: str, rows: int = 200, columns: int = 150) -> Csr:
    generator = torch.Generator().manual_seed(2)
    dense = torch.rand(rows, columns, generator=generator) * (
        torch.rand(rows, columns, generator=generator) < 0.05
    )
    pairs = dense.nonzero()
    return Csr.from_pairs(
        *(part.to(device) for part in (pairs[:, 0], pairs[:, 1], dense[pairs[:, 0], pairs[:, 1]])),
        (rows, columns),
    )


@on_each
def test_a_product_into_memory_that_holds_anything(device):
    """Whoever finds this passing may add `cuda` to `dispatch.INTO_PLACE`, if `mrs bench gpu` shows that it pays."""
    matrix = pattern(device).tensor()
    dense = torch.randn(150, 32, device=device)
    result = torch.full((200, 32), torch.nan, device=device)
    torch.addmm(result, matrix, dense, beta=0, out=result)
    torch.testing.assert_close(result, matrix.to_dense() @ dense)
    added = torch.ones(200, 32, device=device)
    torch.addmm(added, matrix, dense, out=added)
    torch.testing.assert_close(added, 1 + matrix.to_dense() @ dense)


@on_each
def test_a_sampled_product_into_its_own_input(device):
    graph = pattern(device)
    left, right = torch.randn(200, 16, device=device), torch.randn(150, 16, device=device)
    result = graph.with_weights(torch.full_like(graph.weights, torch.nan)).tensor()
    torch.sparse.sampled_addmm(result, left, right.T, beta=0.0, out=result)
    expected = (left @ right.T)[graph.row_numbers(), graph.indices.long()]
    torch.testing.assert_close(result.values(), expected, rtol=1e-4, atol=1e-4)


@on_each
def test_kernels_compute_what_their_references_do(device):
    graph = pattern(device, 120, 120)
    operator = SparseOperator.from_csr(graph)
    x = torch.randn(120, 24, device=device, requires_grad=True)
    for kernel, reference in (
        (lambda: mean_propagation(operator, x, 3), lambda: mean_propagation_reference(operator, x, 3)),
        (
            lambda: edge_attention(EdgePattern.from_csr(graph), x, 2 * x)[0],
            lambda: edge_attention_reference(EdgePattern.from_csr(graph), x, 2 * x)[0],
        ),
    ):
        values = [made() for made in (kernel, reference)]
        gradients = [torch.autograd.grad(value.square().sum(), x)[0] for value in values]
        torch.testing.assert_close(*values, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)


@on_each
def test_neighbours_are_those_of_the_cpu(device):
    matrix = toy_market().data.features["image"]
    here, there = knn_graph(matrix, 5), knn_graph(matrix, 5, device=device)
    assert (here.indices == there.indices).all()
