"""What importing a room loads, asked in fresh processes: whoever wants one thing does not wait for the others."""

import subprocess
import sys
from pathlib import Path

import pytest

from mrs_pipeline_tests.orchestration import homes

HEAVY = ("torch", "matplotlib", "scipy", "sklearn", "pandas", "transformers", "skimage")
LIGHT = (
    "mrs_pipeline",
    "mrs_pipeline.dataset",
    "mrs_pipeline.tables",
    "mrs_pipeline.ingest",
    "mrs_pipeline.ingest.opening",
    "mrs_pipeline.storage.lake",
    "mrs_pipeline.storage.catalogue",
    "mrs_pipeline.stored.results",
    "mrs_pipeline.tasks.places",
    "mrs_pipeline.tasks.currency",
    "mrs_pipeline.tasks.lineage",
    "mrs_pipeline.tuning.presets",
    "mrs_pipeline.models.registry",
    "mrs_pipeline.models.pretraining.registry",
    "mrs_pipeline.encoders.registry",
    "mrs_pipeline.studies.registry",
    "mrs_pipeline.orchestration",
    "mrs_pipeline.definitions",
)


def _loaded(code: str) -> list[str]:
    """Which heavy libraries are loaded after `code`."""
    script = f"{code}\nimport sys\nprint(' '.join(each for each in {HEAVY} if each in sys.modules), file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return ran.stderr.splitlines()[-1].split()


@pytest.mark.parametrize("module", LIGHT)
def test_importing_loads_no_heavy_library(module: str) -> None:
    assert _loaded(f"import {module}") == []


def test_names_are_listed_without_loading_a_model() -> None:
    lists = (
        "from mrs_pipeline.models.registry import MODELS; assert 'vbpr' in list(MODELS) and len(MODELS) > 30"
    )
    assert _loaded(lists) == []
    assert "torch" in _loaded(
        f"{lists}; MODELS['most_pop']"
    )  # the planted fault: one model is enough to be seen


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["bench", "--help"], ["models", "--help"], ["query", "SELECT 1"]],
    ids=" ".join,
)
def test_help_and_questions_answer_without_a_heavy_library(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dg.toml").touch()
    monkeypatch.setenv("MRS_HOME", str(tmp_path))
    code = f"""
from typer.testing import CliRunner
from mrs_pipeline.cli.app import app
ran = CliRunner().invoke(app, {arguments})
assert ran.exit_code == 0, ran.output
"""
    assert _loaded(code) == []


def test_a_dataset_loads_the_models_that_it_lists_and_no_other() -> None:
    code = """
import sys
from mrs_pipeline.dataset import DatasetConfig
DatasetConfig.model_validate({"name": "shop", "source": {"reader": "demo"}, "features": [{"encoder": "tfidf_svd"}]})
assert "torch" not in sys.modules
DatasetConfig.model_validate({"name": "shop", "source": {"reader": "demo"}, "models": {"most_pop": None}})
assert "mrs_pipeline.models.baselines.most_pop" in sys.modules
assert "mrs_pipeline.models.baselines.ease" not in sys.modules
"""
    assert _loaded(code) == ["torch"]


def test_settings_load_nothing_that_runs_them_and_definitions_only_what_they_name(tmp_path: Path) -> None:
    """A step's process loads the definitions too: no figure is drawn there, and no other model is trained."""
    home = homes.make(tmp_path, homes.BARE)
    code = """
import sys
from mrs_pipeline.orchestration.project import load_project
from mrs_pipeline.storage.home import find_home
project = load_project(find_home())
assert project.config("tiny")
assert "mrs_pipeline.plan" not in sys.modules
assert project.definitions.resolve_job_def("tiny_pipeline")
assert "mrs_pipeline.plan" in sys.modules
assert "mrs_pipeline.models.baselines.ease" not in sys.modules
assert not {"matplotlib", "transformers", "skimage"} & set(sys.modules)
"""
    with homes.entered(home):
        subprocess.run([sys.executable, "-c", code], check=True)
