"""The zoo's files: one name has one meaning, no code stands twice, shared layers know no model."""

import ast
from collections import defaultdict
from pathlib import Path

import mrs_pipeline.models

ROOT = Path(mrs_pipeline.models.__file__).parent
RUN = 6
"""Lines that are a repetition where they stand in a second file."""


def top_level_names(source: str) -> set[str]:
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def defined_twice(sources: dict[str, str]) -> dict[str, list[str]]:
    places = defaultdict(list)
    for place, source in sources.items():
        for name in top_level_names(source):
            places[name].append(place)
    return {name: found for name, found in places.items() if len(found) > 1}


def repeated_share(sources: dict[str, str]) -> float:
    """Share of the lines of code (no imports, comments, blank lines, lone brackets) in runs that a second file has."""
    lines = {place: code_lines(source) for place, source in sources.items()}
    places = defaultdict(set)
    for place, own in lines.items():
        for start in range(len(own) - RUN + 1):
            places[tuple(own[start : start + RUN])].add((place, start))
    repeated = {
        (place, start + step)
        for found in places.values()
        if len({place for place, _ in found}) > 1
        for place, start in found
        for step in range(RUN)
    }
    return len(repeated) / sum(map(len, lines.values()))


def code_lines(source: str) -> list[str]:
    imported = {
        number
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for number in range(node.lineno, node.end_lineno + 1)
    }
    stripped = (line.strip() for number, line in enumerate(source.splitlines(), 1) if number not in imported)
    return [line for line in stripped if line.strip("()[]{},:") and not line.startswith("#")]


def zoo() -> dict[str, str]:
    return {str(path.relative_to(ROOT)): path.read_text() for path in sorted(ROOT.rglob("*.py"))}


def test_a_name_has_one_meaning():
    assert defined_twice(zoo()) == {}


def test_names_with_two_meanings_are_found():
    sources = {"a.py": "X = 1\ndef f(): ...", "b.py": "class X: ...", "c.py": "X: int = 2\nY = 3"}
    assert defined_twice(sources) == {"X": ["a.py", "b.py", "c.py"]}


def test_code_stands_once():
    assert repeated_share(zoo()) < 0.01


def test_code_that_stands_twice_is_found():
    twice = "\n".join(f"x{number} = {number}" for number in range(RUN))
    assert repeated_share({"a.py": f"import os\n{twice}\ny = 1", "b.py": f"z = 1\n\n{twice}"}) == 12 / 14
    assert repeated_share({"a.py": f"{twice}\n{twice}", "b.py": "z = 1"}) == 0
