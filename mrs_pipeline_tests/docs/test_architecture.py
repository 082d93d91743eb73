"""Pages for developers name files and definitions that there are, and every room."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("mrs_pipeline", "docs", ".")
REFERENCE = re.compile(r"`([\w/]+\.py)(?::([A-Za-z_.]+))?`")
PAGES = {"docs/architecture.md": 70, "CONTRIBUTING.md": 15}
"""Page -> a number of references that it has at least, so that a broken pattern is noticed."""


def defined(path: Path) -> set[str]:
    """Names of functions, classes, constants and methods of a file."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return names


def wrong(text: str) -> list[str]:
    """References that lead nowhere."""
    found = []
    for file, name in REFERENCE.findall(text):
        path = next((ROOT / top / file for top in PACKAGES if (ROOT / top / file).is_file()), None)
        if path is None or (name and name not in defined(path)):
            found.append(f"{file}:{name}")
    return found


@pytest.mark.parametrize("page", PAGES)
def test_files_and_definitions_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert len(REFERENCE.findall(text)) >= PAGES[page]
    assert wrong(text) == []


def test_a_reference_that_leads_nowhere_is_found():
    assert wrong("`stages/core.py:build_tables`, `storage/lake.py:Lake.write`, `deciding.py`") == []
    assert wrong("`stages/core.py:build_chairs`, `stages/hall.py`") == [
        "stages/core.py:build_chairs",
        "stages/hall.py:",
    ]


def test_every_room_is_described():
    spec = importlib.util.spec_from_file_location("draw_structure", ROOT / "docs" / "draw_structure.py")
    assert spec and spec.loader
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    rooms, _ = drawing.structure(ROOT)
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    described = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert sorted(described) == sorted(rooms)


def test_links_lead_to_files():
    for page in ("docs/architecture.md", "CONTRIBUTING.md"):
        path = ROOT / page
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{page}: {link}"
