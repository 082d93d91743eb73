"""The examples in docstrings give what they say, and every metric, loss and statistic has one."""

import doctest
import importlib
import inspect
from pathlib import Path
from types import ModuleType

import pytest

import mrs_pipeline
from mrs_pipeline import statistics
from mrs_pipeline.functional import losses
from mrs_pipeline.metrics.registry import METRICS

PACKAGE = Path(mrs_pipeline.__file__).parent
MODULES = sorted(
    ".".join(("mrs_pipeline", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


def failures(module: ModuleType) -> list[str]:
    """What went wrong with each example of a module that did."""
    found: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        runner.run(test, out=found.append)
    return found


def examples(module: ModuleType) -> set[str]:
    """Names in a module that have examples; the module's own is the empty string."""
    tests = doctest.DocTestFinder(exclude_empty=True).find(module)
    return {test.name.removeprefix(module.__name__).lstrip(".") for test in tests if test.examples}


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name: str) -> None:
    module = importlib.import_module(name)
    assert examples(module)
    assert failures(module) == []


def test_every_metric_has_an_example() -> None:
    places = {name: METRICS.reference(name).partition(":")[0] for name in METRICS.own}
    assert [name for name, place in places.items() if place not in MODULES] == []


@pytest.mark.parametrize("module", [losses, statistics], ids=lambda module: module.__name__)
def test_every_public_function_has_an_example(module: ModuleType) -> None:
    functions = inspect.getmembers(module, inspect.isfunction)
    public = {name for name, one in functions if one.__module__ == module.__name__ and name[0] != "_"}
    assert public - examples(module) == set()


def test_a_wrong_example_is_found() -> None:
    module = ModuleType("planted", ">>> 1 + 1\n3")
    (found,) = failures(module)
    assert "Expected:\n    3\nGot:\n    2" in found
