"""Files that are no Python: reached by the strings that name them."""

from pathlib import Path

import pytest

from mrs_pipeline_tests.code.packages import Case, Edit, check, program, write

PAGE = """
from shop.kinds import Row
def run(environment):
    return environment.get_template('page.html.j2'), Row(1, 2)
"""
ROW = """
from dataclasses import dataclass
@dataclass
class Row:
    a: int
    b: int
    def shown(self):
        return 1
    def unused(self):
        return 2
"""

CASES = [
    Case(
        "a template, what it includes, and the members that it reads",
        {
            "main.py": PAGE,
            "kinds.py": ROW,
            "data/page.html.j2": "{% extends 'base.html.j2' %}<b>{{ row.shown() }}</b> unused",
            "data/base.html.j2": "{% include 'style.css' %}",
            "data/style.css": "@import url(more.css); b {}",
            "data/more.css": "i {}",
            "data/other.css": "u {}",
        },
        seen=(
            Edit("</b>", "</b>!", "data/page.html.j2"),
            Edit("include", "  include", "data/base.html.j2"),
            Edit("b {}", "b { }", "data/style.css"),
            Edit("i {}", "i { }", "data/more.css"),
            Edit("return 1", "return 11", "kinds.py"),
        ),
        unseen=(Edit("u {}", "u { }", "data/other.css"), Edit("return 2", "return 12", "kinds.py")),
    ),
    Case(
        "a path below the package, and a constant that a function reaches",
        {
            "main.py": "NAME = 'data/a/words.txt'\ndef run():\n    return open(NAME)\n",
            "data/a/words.txt": "one",
            "data/b/words.txt": "two",
        },
        seen=(Edit("one", "three", "data/a/words.txt"),),
        unseen=(Edit("two", "three", "data/b/words.txt"),),
    ),
    Case(
        "of files of one name the nearest",
        {
            "main.py": "from shop.inner.page import run\n",
            "inner/page.py": "def run():\n    return 'words.txt'\n",
            "inner/data/words.txt": "one",
            "data/words.txt": "two",
        },
        seen=(Edit("one", "three", "inner/data/words.txt"),),
        unseen=(Edit("two", "three", "data/words.txt"),),
        roots=("shop.inner.page:run",),
    ),
    Case(
        "a name without an ending, a name in a docstring",
        {
            "main.py": "def run():\n    '''other.txt'''\n    return 'WORDS'\n",
            "data/WORDS": "one",
            "data/other.txt": "two",
        },
        seen=(Edit("one", "three", "data/WORDS"),),
        unseen=(Edit("two", "three", "data/other.txt"),),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_files_count_where_code_names_them(tmp_path: Path, case: Case) -> None:
    check(tmp_path, case)


def test_a_file_that_is_no_text_counts_by_its_bytes(tmp_path: Path) -> None:
    package = write(tmp_path, {"main.py": "def run():\n    return 'table.bin'\n"})
    (package / "table.bin").write_bytes(b"\xff\x00")
    before = program(package).closure("shop.main:run").definitions
    (package / "table.bin").write_bytes(b"\xff\x01")
    after = program(package).closure("shop.main:run").definitions
    assert {key for key in before if before[key] != after[key]} == {"shop/table.bin"}


def test_the_report_reaches_its_templates() -> None:
    from mrs_pipeline.code import closure

    reached = closure("mrs_pipeline.reporting.html:report").definitions
    folder = "mrs_pipeline/reporting/templates"
    named = {key.rpartition("/")[2] for key in reached if key.startswith(folder)}
    assert {"report.html.j2", "base.html.j2", "macros.html.j2", "style.css", "sort.js.j2"} <= named
    assert named.isdisjoint({"feature_page.html.j2", "benchmarks.md.j2"})
