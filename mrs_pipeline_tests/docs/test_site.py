"""The documentation site: every page has its place, notebooks show what their code gives, the build has no warning."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.py"))


@pytest.fixture(scope="module")
def notebooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebooks", DOCS / "notebooks.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def pages_without_a_place(docs: Path) -> set[str]:
    listed = {
        (page.parent / name).resolve().with_suffix("")
        for page in docs.rglob("index.md")
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        for line in block.splitlines()
        if line and not line.startswith(":")
        for name in ([path.name for path in page.parent.glob("0*.md")] if line == "0*" else [line])
    }
    pages = {path.resolve().with_suffix("") for path in docs.rglob("*.md") if "benchmarks/" not in str(path)}
    return {path.name for path in pages - listed - {docs.resolve() / "index"}}


def test_every_page_stands_in_the_contents(tmp_path: Path) -> None:
    assert pages_without_a_place(DOCS) == set()
    (tmp_path / "index.md").write_text("```{toctree}\n:maxdepth: 1\n\none\n```\n")
    for name in ("one", "forgotten"):
        (tmp_path / f"{name}.md").write_text("# A page\n")
    assert pages_without_a_place(tmp_path) == {"forgotten"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_its_page(notebooks: ModuleType, path: Path) -> None:
    """Text and code letter by letter; of what came out the shape, since digits may differ by processor."""
    made, written = notebooks.page(path), path.with_suffix(".md").read_text(encoding="utf-8")
    shapes = [re.sub(r"\d+(\.\d+)?", "0", re.sub(r"[ -]+", " ", text)) for text in (made, written)]
    assert shapes[0] == shapes[1], "run `make docs`"


def test_cells_share_names_and_an_error_ends_the_notebook(notebooks: ModuleType) -> None:
    source = (
        '# %% [markdown]\n# # Title\n#\n# Text.\n\n# %%\nx = 2\n\n# %%\nprint("x is")\nx + 1\n\n# %%\nx = 3\n'
    )
    found = [(cell.source, cell.text, output) for cell, output in notebooks.run(source)]
    assert found == [
        ("# Title\n\nText.", True, ""),
        ("x = 2", False, ""),
        ('print("x is")\nx + 1', False, "x is\n3"),
        ("x = 3", False, ""),
    ]
    with pytest.raises(ZeroDivisionError):
        list(notebooks.run("# %%\n1 / 0\n"))


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    pytest.importorskip("furo")
    pytest.importorskip("myst_parser")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(DOCS), str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "tutorial.html" in index
    assert "mrs_pipeline.api.fit" in (tmp_path / "site" / "api.html").read_text(encoding="utf-8")
