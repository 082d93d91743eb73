"""A top-level name has one meaning in the whole package, but for the names that a convention gives to many modules."""

import ast
from collections import defaultdict
from pathlib import Path

import mrs_pipeline

PACKAGE = Path(mrs_pipeline.__file__).parent

CONVENTIONS = {
    "suites": "what must hold of a table, one function a table",
    "LAYOUTS": "the layouts of a file",
    "recognise": "whether a folder has the layout of this file",
    "read": "how the layout of this file is read, or a module",
}
"""Names that mean the same in each module of a kind."""

SAME = {
    "Dataset": "what a person describes: by a frame, or by a defs.yaml",
    "fit": "the verb of the Python interface",
    "load": "the verb of the Python interface",
    "evaluate": "the verb of the Python interface",
    "recommend": "the verb of the Python interface and of the command line",
    "export": "the command and what it does",
    "leaderboard": "the command and what it shows",
    "query": "the command and what it does",
    "experiment": "the command and what it runs",
    "promote": "the command and what it does",
    "rollback": "the command and what it does",
    "tune": "the command and what it does",
    "verify": "the command and what it does",
    "reproduce": "the command and what it does",
    "simulate": "the command and what it does",
    "track": "the command and what it does",
}
"""Names of the interfaces for people, which are those of what they call."""


def _names(path: Path) -> set[str]:
    """Public names that a module defines at its top level."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Assign(targets=targets):
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return {name for name in found if not name.startswith("_") and name != "LOG"}


def _shared(paths: list[Path]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for name in _names(path):
            places[name].append(path.name)
    return {name: found for name, found in places.items() if len(found) > 1}


def test_a_name_has_one_meaning() -> None:
    shared = _shared(sorted(PACKAGE.rglob("*.py")))
    assert set(shared) - set(CONVENTIONS) - set(SAME) == set(), shared
    assert set(CONVENTIONS) | set(SAME) <= set(shared)


def test_a_planted_second_meaning_is_found(tmp_path: Path) -> None:
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text("WIDTH = 3\n")
    assert _shared(sorted(tmp_path.glob("*.py"))) == {"WIDTH": ["one.py", "two.py"]}
