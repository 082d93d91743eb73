"""What is set up for contributors: it loads, and says the same as the Makefile and pyproject.toml."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lint() -> list[str]:
    """The commands of `make lint`."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe
    return [line.strip().removeprefix("$(BIN)/") for line in recipe[1].splitlines()]


def test_ci_and_hooks_run_what_make_lint_runs(lint):
    steps = read(WORKFLOW)["jobs"]["lint"]["steps"]
    assert [step["run"] for step in steps if "run" in step and "pip" not in step["run"]] == lint
    (local,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    assert [hook["entry"] for hook in local["hooks"]] == lint
    assert {hook["language"] for hook in local["hooks"]} == {"system"}


def test_ci_tests_the_oldest_python_that_is_supported():
    versions = read(WORKFLOW)["jobs"]["test"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={versions[0]}"
    assert versions == ["3.11", "3.12", "3.13"]


def test_ci_may_only_read():
    assert read(WORKFLOW)["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_have_what_a_form_needs(path):
    form = read(path)
    assert form["name"]
    assert form["description"]
    names = [field["id"] for field in form["body"]]
    assert len(set(names)) == len(names)
    assert all(field["attributes"]["label"] for field in form["body"])
    assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_there_is_a_form_for_each_kind_of_issue():
    assert {path.stem for path in FORMS} == {"bug", "dataset", "model"}


@pytest.fixture(scope="module")
def releasing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release_notes", ROOT / "docs" / "release_notes.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHANGES = "# Changelog\n\n## 0.10.0 (2026-12-01)\n\n### Added\n- Ten.\n\n## 0.1.0\n\n- One.\n\n## 0.0.1\n"


def test_release_notes_are_the_section_of_the_version(releasing):
    assert releasing.notes(CHANGES, "0.10.0") == "### Added\n- Ten.\n"
    assert releasing.notes(CHANGES, "0.1.0") == "- One.\n"


@pytest.mark.parametrize("version", ["0.2.0", "0.1", "0.0.1", "0.10"])
def test_a_version_without_notes_is_refused(releasing, version):
    with pytest.raises(ValueError, match=rf"nothing of {version}; it has 0\.10\.0, 0\.1\.0, 0\.0\.1"):
        releasing.notes(CHANGES, version)


def test_the_changelog_has_notes_of_the_present_version(releasing):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert releasing.notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version)
