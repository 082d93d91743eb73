"""What types promise about models holds when they run: batches are of the class that the spec's kind stands for."""

import ast
from pathlib import Path
from typing import Never, get_args, get_origin

import pytest

import mrs_pipeline.models
from mrs_pipeline.models.base import PairBatch, Recommender, SequenceBatch, UserRowBatch
from mrs_pipeline.models.pretraining.base import Pretrainer
from mrs_pipeline.models.pretraining.registry import PRETRAINERS
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import BatchKind

ROOT = Path(mrs_pipeline.models.__file__).parent
BATCHES = {
    BatchKind.PAIRS: PairBatch,
    BatchKind.USER_ROWS: UserRowBatch,
    BatchKind.SEQUENCES: SequenceBatch,
    BatchKind.NONE: Never,
}


def arguments(kind: type, generic: type) -> tuple[object, ...]:
    """What a class puts in for the type variables of `generic`, through all classes between."""
    for base in getattr(kind, "__orig_bases__", ()):
        origin = get_origin(base)
        if origin is generic:
            return get_args(base)
        if isinstance(origin, type) and issubclass(origin, generic):
            own = dict(zip(origin.__parameters__, get_args(base), strict=True))
            return tuple(own.get(each, each) for each in arguments(origin, generic))
    raise AssertionError(f"{kind.__name__} does not say what it puts in for {generic.__name__}")


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_is_typed_by_its_settings_and_its_batches(name):
    model = MODELS[name]
    assert arguments(model, Recommender) == (model.Config, BATCHES[model.spec.batches])


@pytest.mark.parametrize("name", sorted(PRETRAINERS))
def test_a_pretrainer_is_typed_by_its_settings(name):
    assert arguments(PRETRAINERS[name], Pretrainer) == (PRETRAINERS[name].Config,)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_with_graphs_says_how_wide_they_must_be(name):
    config, spec = MODELS[name].Config(), MODELS[name].spec
    for wanted, needed in (
        (config.item_neighbours, spec.item_graph),
        (config.user_neighbours, spec.user_graph),
    ):
        assert (wanted is not None) == needed
        assert wanted is None or getattr(config, wanted.setting) == wanted.count


def any_in_signatures(source: str) -> set[str]:
    """Public functions and methods, and attributes, whose annotation is or holds `Any`."""

    def says_any(annotation: ast.expr | None) -> bool:
        return annotation is not None and any(
            isinstance(each, ast.Name) and each.id == "Any" for each in ast.walk(annotation)
        )

    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__init__"):
            every = [
                *node.args.posonlyargs,
                *node.args.args,
                *node.args.kwonlyargs,
                node.args.vararg,
                node.args.kwarg,
            ]
            annotations = [each.annotation for each in every if each is not None]
            found |= {node.name} if any(map(says_any, [*annotations, node.returns])) else set()
        if isinstance(node, ast.AnnAssign) and says_any(node.annotation):
            found.add(ast.unparse(node.target))
    return found


def test_no_interface_of_models_says_any():
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted(ROOT.rglob("*.py"))
        for name in any_in_signatures(path.read_text())
    }
    assert found == set()


def test_any_in_an_interface_is_found():
    methods = ["def f(self, a: dict[str, Any]): ...", "def g(self) -> Any: ...", "def _h(self, a: Any): ..."]
    source = "\n    ".join(["class A:", "x: Any", "y: int", *methods])
    assert any_in_signatures(source) == {"x", "f", "g"}
