"""`mrs init` and `mrs run --models most_pop,ease` on each layout, with no option given where none is needed."""

from pathlib import Path

import pytest
import yaml

from mrs_pipeline_tests.cli.shops import make_home as make_cli_home
from mrs_pipeline_tests.ingest.layouts.folders import FOLDERS, make
from mrs_pipeline_tests.ingest.layouts.pipeline import inspected, run

QUICK = ("amazon-2023", "diffmm")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FOLDERS]
)
def test_from_a_downloaded_folder_to_metrics(name: str, tmp_path: Path) -> None:
    found = inspected(make(tmp_path / "raw", name), FOLDERS[name][0], tmp_path / "home")
    ran = run(found, tmp_path / "home")
    assert ran.table("core/interactions").height > 100
    quarantined = set(ran.table("core/quarantine")["reason"])
    assert not any("unknown" in reason for reason in quarantined)
    for model in ("most_pop", "ease"):
        metrics = ran.table("eval/metrics", model=model)
        assert metrics.filter(metric="recall", k=20)["value"][0] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ml-1m"])
def test_with_every_check_and_the_command_line(name: str, tmp_path: Path) -> None:
    folder, mrs = make(tmp_path / "raw", name), make_cli_home(tmp_path / "home")
    made = mrs("init", str(folder), "--name", "films")
    assert made.code == 0, made.err
    assert f"(reader {name})" in made.out and "found licence: " in made.out
    settings = yaml.safe_load((mrs.root / "defs" / "films" / "defs.yaml").read_text())
    assert settings["attributes"]["source"]["layout"] == name
    ran = mrs("run", "films", "--models", "most_pop,ease")
    assert ran.code == 0, ran.err
    assert all(f" {model} " in ran.out for model in ("most_pop", "ease"))
