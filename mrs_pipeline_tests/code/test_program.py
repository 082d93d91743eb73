"""Programs: views of one moment, roots of every kind, what is refused, and where a line belongs."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mrs_pipeline.code import Closure, boundary, closure
from mrs_pipeline.code import modules as parsing
from mrs_pipeline.code.program import key_of
from mrs_pipeline.errors import InputError
from mrs_pipeline_tests.code.packages import program, write

BOTH = {
    "main.py": "from shop.helper import used\ndef run():\n    return used()\n",
    "helper.py": "def used():\n    return 1\n",
}


def test_closures_name_what_they_reach_and_digest_all_of_it(tmp_path: Path) -> None:
    found = program(write(tmp_path, BOTH)).closure("shop.main:run")
    assert set(found.definitions) == {"shop.main:run", "shop.helper:used"}
    assert all(len(digest) == 16 for digest in (found.digest, *found.definitions.values()))
    assert found.digest == Closure(dict(reversed(list(found.definitions.items())))).digest
    assert found.digest != Closure(dict(zip(found.definitions, ["a", "b"], strict=True))).digest


def test_a_program_is_current_until_a_file_it_has_read_or_a_list_of_files_changes(tmp_path: Path) -> None:
    package = write(tmp_path, {**BOTH, "unread.py": "x = 1\n", "data/words.txt": "one"})
    view = program(package)
    view.closure("shop.main:run")
    assert view.is_current()
    (package / "unread.py").write_text("x = 22\n")
    assert view.is_current()
    (package / "new.py").write_text("x = 1\n")
    assert not view.is_current()
    view = program(package)
    view.closure("shop.main:run")
    (package / "helper.py").write_text("def used():\n    return 22\n")
    assert not view.is_current()


def test_the_function_sees_edits_and_parses_only_what_was_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = write(tmp_path, BOTH)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = closure("shop.main:run")
    assert closure("shop.main:run") is before
    read: list[str] = []
    parse = ast.parse
    monkeypatch.setattr(
        parsing.ast,
        "parse",
        lambda text, *more, **options: read.append(text) or parse(text, *more, **options),
    )
    (package / "helper.py").write_text("def used():\n    return 22\n")
    after = closure("shop.main:run")
    assert read == ["def used():\n    return 22\n"]
    assert after.definitions["shop.main:run"] == before.definitions["shop.main:run"]
    assert after.definitions["shop.helper:used"] != before.definitions["shop.helper:used"]


def test_an_edit_that_leaves_size_and_text_alone_is_no_edit(tmp_path: Path) -> None:
    package = write(tmp_path, BOTH)
    before = program(package).closure("shop.main:run")
    os.utime(package / "helper.py", (1, 1))
    assert program(package).closure("shop.main:run") == before


def test_roots_may_be_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        {
            "main.py": "from functools import cache\n"
            "class Kind:\n"
            "    def ask(self):\n"
            "        return 1\n"
            "@cache\n"
            "def run():\n"
            "    return 2\n"
        },
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    main = importlib.import_module("shop.main")
    try:
        assert closure(main.run, main.Kind) == closure("shop.main:run", "shop.main:Kind")
        assert "shop.main:Kind.ask" in closure(main.Kind.ask).definitions
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
            del sys.modules[name]


def test_a_reference_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"main.py": "raise SystemExit('imported')\ndef run():\n    return 1\n"})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "shop.main:run" in closure("shop.main:run").definitions
    assert "shop" not in sys.modules


def test_other_packages_are_leaves(tmp_path: Path) -> None:
    package = write(
        tmp_path,
        {
            "main.py": "import numpy\n"
            "from mrs_pipeline.errors import InputError\n"
            "def run():\n"
            "    raise InputError(numpy.e)\n"
        },
    )
    assert set(program(package).closure("shop.main:run").definitions) == {
        *("shop.main:run", "mrs_pipeline.errors:InputError", "mrs_pipeline.errors:MrsError"),
        *(key for key in closure("mrs_pipeline.errors:MrsError").definitions),
    }


@pytest.mark.parametrize(
    ("root", "sentence"),
    [
        ("shop.nowhere:run", "there is no module shop.nowhere"),
        ("shop.main:absent", "shop.main defines no absent"),
        ("shop.main", "shop.main defines no such name"),
        ("nopackage_of_this_name.main:run", "there is no package nopackage_of_this_name"),
        ("math:sqrt", "the module math has no Python source"),
    ],
)
def test_references_to_nothing_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str, sentence: str
) -> None:
    write(tmp_path, BOTH)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match=sentence):
        closure(root)


def test_a_file_that_is_no_python_is_named_with_its_line(tmp_path: Path) -> None:
    package = write(tmp_path, {**BOTH, "helper.py": "x = 1\ndef used(:\n"})
    with pytest.raises(InputError, match=r"helper\.py:2 is not Python source"):
        program(package).closure("shop.main:run")


def test_functions_without_a_name_in_a_module_are_refused() -> None:
    for root in (
        lambda: 1,
        _made(),
        test_functions_without_a_name_in_a_module_are_refused.__get__(1).__call__,
    ):
        with pytest.raises(TypeError, match="no function or class of a module"):
            key_of(root)


def _made() -> object:
    def inner() -> None: ...

    return inner


def test_the_definition_at_a_line(tmp_path: Path) -> None:
    lines = [
        "import os",
        "@wraps",
        "def run():",
        "    def inner():",
        "        return 1",
        "class A:",
        "    x = 1",
        "    def f(self):",
        "        return 2",
    ]
    package = write(tmp_path, {"main.py": "\n".join(lines) + "\n"})
    view = program(package)
    found = [view.definition_at(package / "main.py", line) for line in range(1, 10)]
    run, kind = "shop.main:run", "shop.main:A"
    assert found == [None, run, run, run, run, kind, f"{kind}.x", f"{kind}.f", f"{kind}.f"]
    assert view.definition_at(package / "absent.py", 1) is None
    assert view.definition_at(tmp_path / "elsewhere.py", 1) is None


def test_a_boundary_changes_nothing_at_run_time() -> None:
    value = {"a": 1}
    assert boundary(value) is value


def test_the_engine_loads_no_library() -> None:
    heavy = {"torch", "polars", "numpy", "dagster", "pydantic", "duckdb"}
    script = f"import sys, mrs_pipeline.code; print(sorted(set(sys.modules) & {heavy}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
