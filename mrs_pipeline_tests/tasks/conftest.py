"""One small home whose pipeline has run, copied for each test that changes it."""

from pathlib import Path

import pytest

from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import copied, perform, stage_of


@pytest.fixture(scope="session")
def worked_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny dataset's stages, run once without Dagster."""
    root = tmp_path_factory.mktemp("worked") / "home"
    root.mkdir()
    perform(stage_of(root))
    return root


@pytest.fixture
def stage(worked_home: Path, tmp_path: Path) -> Stage:
    """A copy that a test may damage."""
    return stage_of(copied(worked_home, tmp_path / "home"))
