"""The generated pages say what the code says, and the README names only commands that exist."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from mrs_pipeline.bench.models import render_page
from mrs_pipeline.cli.app import app

PROJECT_ROOT = Path(__file__).resolve().parents[2]

DOCS = PROJECT_ROOT / "docs"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["tables", "metrics", "configuration", "taxonomy", "survey"])
def test_page_is_up_to_date(generator, page):
    written = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    assert written == getattr(generator, page)(), "run `make docs`"


def test_benchmarks_say_what_their_rows_say():
    written = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    assert written == render_page(DOCS), "run `mrs bench models --no-run --into docs`"


def test_readme_names_existing_commands_and_files():
    readme = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
    named = set(
        re.findall(r"^(?:\.venv/bin/)?mrs ([a-z]+(?: train| models| extract)?)", readme, flags=re.MULTILINE)
    )
    assert {"init", "run", "query", "leaderboard", "models", "bench train"} <= named
    for command in named:
        assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0, command
    for link in re.findall(r"\]\(((?!http)[^)#]+)\)", readme):
        assert (PROJECT_ROOT / link).exists(), link
