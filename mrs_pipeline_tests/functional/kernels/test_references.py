"""Every kernel gives the values and gradients of its reference, by itself and inside every model."""

import ast
import importlib
import json
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import Tensor

import mrs_pipeline
from mrs_pipeline.functional import kernels
from mrs_pipeline.functional.kernels.dispatch import DENSE, SPARSE, has_kernel
from mrs_pipeline.functional.kernels.edges import EdgePattern
from mrs_pipeline.functional.kernels.multi_edges import MultiEdgePattern
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline_tests.models.golden import FILE, RECORDS, differences

PACKAGE = Path(mrs_pipeline.__file__).parent
MODULES = {
    module.name: importlib.import_module(f"{kernels.__name__}.{module.name}")
    for module in pkgutil.iter_modules(kernels.__path__)
}
KERNELS = {
    name.removesuffix("_reference"): module
    for module in MODULES.values()
    for name in vars(module)
    if name.endswith("_reference") and vars(module)[name].__module__ == module.__name__
}
"""Name of each kernel -> its module."""

GENERATOR = torch.Generator().manual_seed(4)


def real(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64).requires_grad_()


def places(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Entries of a matrix with an empty row and an empty column."""
    filled = torch.rand(rows, columns, generator=GENERATOR) < 0.5
    filled[1] = False
    filled[:, 2] = False
    row, column = torch.nonzero(filled, as_tuple=True)
    return row, column


def csr(rows: int, columns: int) -> Csr:
    entries = places(rows, columns)
    return Csr.from_pairs(*entries, real(len(entries[0])).detach(), (rows, columns))


SQUARE, WIDE = csr(6, 6), csr(5, 7)
OPERATOR, WIDE_OPERATOR = SparseOperator.from_csr(SQUARE), SparseOperator.from_csr(WIDE)
PATTERN = EdgePattern.from_csr(WIDE)
DOUBLED = MultiEdgePattern.from_edges(
    torch.tensor([2, 0, 0, 2, 2, 4]), torch.tensor([1, 1, 3, 1, 0, 3]), (5, 6)
)
NNZ = len(WIDE.indices)
WITH_ZERO = torch.cat([real(3, 4), torch.zeros(1, 4)]).detach().requires_grad_()
COUNTS = torch.tensor([1.0, 3.0, 2.0, 1.0], dtype=torch.float64)
TWICE = torch.cat([COUNTS, COUNTS])

CASES: dict[str, list[tuple[Callable[..., tuple[object, ...]], tuple[Tensor, ...]]]] = {
    "contrast": [
        (lambda a, k: (a, k, COUNTS, COUNTS), (real(4, 3), real(4, 3))),
        (lambda a, k: (a, k, COUNTS, TWICE), (real(4, 3), real(8, 3))),
        (lambda a, k: (1e3 * a, k, COUNTS, TWICE), (real(4, 3), real(8, 3))),
    ],
    "edge_attention": [(lambda left, right: (PATTERN, left, right), (real(5, 3), real(7, 3)))],
    "edge_product": [
        (
            lambda w, d: (WIDE.with_weights(w), SparseOperator.from_csr(WIDE.with_weights(w.detach())), d),
            (real(NNZ), real(7, 3)),
        )
    ],
    "edge_similarities": [(lambda x: (SQUARE, x), (real(6, 3),))],
    "edge_scores": [(lambda left, right: (PATTERN, left, right), (real(5, 3), real(7, 3)))],
    "edge_sums": [(lambda s, w, r: (PATTERN, s, w, r), (real(5, 3), real(NNZ), real(7, 3)))],
    "frobenius_norm": [(lambda x: (x,), (real(4, 3),)), (lambda x: (0 * x,), (real(4, 3),))],
    "mean_propagation": [(lambda x, n=n: (OPERATOR, x, n), (real(6, 3),)) for n in (0, 1, 3)],
    "multi_edge_product": [(lambda w, d: (DOUBLED, w, d), (real(6), real(6, 3)))],
    "sparse_product": [(lambda d: (WIDE_OPERATOR, d), (real(7, 3),))],
    "unit_rows": [(lambda x: (x,), (real(4, 3),)), (lambda x: (x,), (WITH_ZERO,))],
    "weighted_row_sums": [(lambda w, t: (WIDE, w, t), (real(NNZ, 2), real(7, 3)))],
}
"""Name of each kernel -> (arguments from tensors, the tensors that get a gradient)."""


def outcome(
    function: Callable[..., object], arguments: Callable[..., tuple[object, ...]], tensors: tuple
) -> list:
    """What the function returns, and the gradient of each tensor under one fixed upstream gradient."""
    results = function(*arguments(*tensors))
    results = results if isinstance(results, tuple) else (results,)
    upstream = torch.Generator().manual_seed(1)
    total = sum(
        (result * torch.randn(result.shape, generator=upstream, dtype=result.dtype)).sum()
        for result in results
    )
    return [*results, *torch.autograd.grad(total, tensors)]


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name in sorted(CASES) for case in range(len(CASES[name]))]
)
def test_a_kernel_gives_the_values_and_gradients_of_its_reference(name, case):
    module, (arguments, tensors) = KERNELS[name], CASES[name][case]
    with mock.patch.object(module, f"{name}_reference", side_effect=AssertionError("the reference ran")):
        found = outcome(getattr(module, name), arguments, tensors)
    expected = outcome(getattr(module, f"{name}_reference"), arguments, tensors)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_reference_runs_where_there_is_no_kernel(name):
    module, (arguments, tensors) = KERNELS[name], CASES[name][0]
    with (
        mock.patch.object(module, "has_kernel", return_value=False) as rule,
        mock.patch.object(module, f"{name}_reference", return_value="plain") as reference,
    ):
        assert getattr(module, name)(*arguments(*tensors)) == "plain"
    assert reference.called
    assert rule.call_args.args[0] in (DENSE, SPARSE)


def test_every_kernel_has_a_case():
    assert set(CASES) == set(KERNELS)


def test_every_backward_of_our_own_is_a_kernel_with_a_reference():
    """A hand-written autograd function is applied in one place: the kernel that has a reference."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and "Function" in {
                ast.unparse(base).split(".")[-1] for base in node.bases
            }:
                found[node.name] = path
    assert {path.parent for path in found.values()} == {PACKAGE / "functional" / "kernels"}
    applied = {}
    for path in (PACKAGE / "functional" / "kernels").glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                calls = [
                    node
                    for node in ast.walk(function)
                    if isinstance(node, ast.Attribute) and node.attr == "apply"
                ]
                applied |= {ast.unparse(call.value): function.name for call in calls}
    assert applied.keys() == found.keys()
    assert set(applied.values()) == set(KERNELS)


def test_the_rule():
    class Elsewhere:
        device = torch.device("mps")

    class Cuda:
        device = torch.device("cuda")

    here = torch.zeros(1)
    assert [has_kernel(DENSE, each) for each in (here, Cuda(), Elsewhere())] == [True, False, False]
    assert [has_kernel(SPARSE, each) for each in (here, Cuda(), Elsewhere())] == [True, True, False]


def test_rows_are_taken_as_by_an_index():
    table, rows = real(5, 3), torch.tensor([4, 0, 0, 2])
    weights = torch.randn(4, 3, dtype=torch.float64)
    assert torch.equal(take_rows(table, rows), table[rows])
    one, other = (
        torch.autograd.grad((taken * weights).sum(), table)[0]
        for taken in (take_rows(table, rows), table[rows])
    )
    assert torch.equal(one, other)


@pytest.fixture
def references() -> Iterator[None]:
    """Every kernel off, as on a device without one."""
    patches = [
        mock.patch.object(module, "has_kernel", return_value=False)
        for module in MODULES.values()
        if module.__name__.split(".")[-1] != "dispatch" and hasattr(module, "has_kernel")
    ]
    for patch in patches:
        patch.start()
    yield
    for patch in patches:
        patch.stop()


@pytest.mark.usefixtures("references")
@pytest.mark.parametrize("name", sorted(RECORDS))
def test_a_model_of_references_computes_what_the_model_of_kernels_does(name):
    assert differences(json.loads(FILE.read_text())[name], RECORDS[name]()) == []
