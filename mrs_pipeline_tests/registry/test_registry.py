"""Registries: names without imports, things of other packages, and one sentence for each way to go wrong."""

import sys
from collections import OrderedDict
from collections.abc import Mapping

import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.registry import Registry, class_flaw, spec_flaw
from mrs_pipeline_tests.registry.conftest import Install

GROUP = "mrs_tests.mappings"
OWN = {"ordered": "collections:OrderedDict", "counter": "collections:Counter"}


def _registry(own: Mapping[str, str] = OWN) -> Registry[type[dict]]:
    return Registry(GROUP, "mapping", own, lambda _, found: class_flaw(found, dict))


def test_it_is_a_mapping_in_the_order_given() -> None:
    registry = _registry()
    assert list(registry) == ["ordered", "counter"]
    assert len(registry) == 2
    assert registry["ordered"] is OrderedDict
    assert dict(registry)["ordered"] is OrderedDict
    assert registry.own == ("ordered", "counter")
    assert registry.distribution("ordered") == "mrs-pipeline"
    with pytest.raises(KeyError):
        registry["other"]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="^there is no mapping 'other'; there are ordered, counter$"):
        _registry().find("other")


def test_installed_packages_add_names_that_are_imported_when_they_are_asked_for(install: Install) -> None:
    install("mrs-mine", GROUP, {"mine": "mrs_mine:Mine"}, mrs_mine="class Mine(dict):\n    pass\n")
    registry = _registry()
    assert list(registry) == ["ordered", "counter", "mine"]
    assert "mine" in registry
    assert registry.distribution("mine") == "mrs-mine"
    assert registry.own == ("ordered", "counter")
    assert "mrs_mine" not in sys.modules
    assert registry["mine"].__name__ == "Mine"
    assert registry["mine"] is registry.find("mine")
    assert "mrs_mine" in sys.modules


@pytest.mark.parametrize(
    ("points", "source", "sentence"),
    [
        (
            {"broken": "mrs_broken:Mine"},
            "import no_such_library_of_mine\n",
            "the mapping 'broken' of the package mrs-broken cannot be loaded from mrs_broken:Mine: "
            "ModuleNotFoundError: No module named 'no_such_library_of_mine'; mend the package, or uninstall it",
        ),
        (
            {"broken": "mrs_broken:Mine"},
            "",
            "the mapping 'broken' of the package mrs-broken cannot be loaded from mrs_broken:Mine: "
            "AttributeError: module 'mrs_broken' has no attribute 'Mine'; mend the package, or uninstall it",
        ),
        (
            {"broken": "mrs_broken:Mine"},
            "class Mine(list): pass\n",
            "the mapping 'broken' of the package mrs-broken cannot be used: mrs_broken:Mine is no subclass of "
            "builtins.dict",
        ),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence_that_names_the_package(
    install: Install, points: dict[str, str], source: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "mrs_broken", raising=False)
    install("mrs-broken", GROUP, points, mrs_broken=source)
    registry = _registry()
    assert registry["ordered"] is OrderedDict  # the others go on
    with pytest.raises(InputError) as refused:
        registry["broken"]
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        (
            {"ordered": "collections:OrderedDict"},
            "the mapping 'ordered' is registered by mrs-pipeline and by mrs-twice; rename the entry point of one of "
            "them, or uninstall one",
        ),
        (
            {"My Mapping": "collections:OrderedDict"},
            "the package mrs-twice registers a mapping under 'My Mapping'",
        ),
        ({"../up": "collections:OrderedDict"}, "names are lower-case letters, digits and _"),
    ],
)
def test_names_that_cannot_be_told_apart_or_written_are_refused(
    install: Install, points: dict[str, str], sentence: str
) -> None:
    install("mrs-twice", GROUP, points)
    with pytest.raises(InputError) as refused:
        list(_registry())
    assert sentence in str(refused.value)


def test_two_packages_with_one_name_are_both_named(install: Install) -> None:
    install("mrs-a", GROUP, {"same": "collections:OrderedDict"})
    install("mrs-b", GROUP, {"same": "collections:Counter"})
    with pytest.raises(InputError, match="registered by mrs-a and by mrs-b|registered by mrs-b and by mrs-a"):
        len(_registry())


def test_a_fault_of_this_package_keeps_its_traceback() -> None:
    with pytest.raises(ModuleNotFoundError):
        _registry({"gone": "no_such_module_of_ours:Gone"})["gone"]


def test_a_spec_must_give_the_registered_name() -> None:
    class Base:
        pass

    class Thing(Base):
        Config = dict

        class spec:  # noqa: N801
            name = "thing"

    assert spec_flaw("thing", Thing, Base) is None
    assert spec_flaw("other", Thing, Base) == "calls itself 'thing' in its spec"
    assert spec_flaw("thing", Base, Base) == "has no `spec`"
    assert spec_flaw("thing", Thing(), Base) == f"is no subclass of {Base.__module__}.{Base.__qualname__}"
