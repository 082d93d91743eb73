"""The built wheel, installed into a fresh environment, in an empty directory: every command works, offline."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from shutil import copy2, copytree, ignore_patterns

import pytest

from mrs_pipeline_tests.cli.shops import PROJECT, replace


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, so that the checkout stays clean."""
    source = tmp_path_factory.mktemp("source")
    copytree(PROJECT / "mrs_pipeline", source / "mrs_pipeline", ignore=ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        copy2(PROJECT / name, source / name)
    (source / "mrs_pipeline" / "defs" / "demo" / "presets.yaml").touch()
    (source / "mrs_pipeline_tests").mkdir()
    (source / "mrs_pipeline_tests" / "stray.py").write_text("")
    _run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(source / "dist")], source
    )
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel; what it depends on is lent by the one that runs the tests."""
    root = tmp_path_factory.mktemp("environment")
    venv.create(root, symlinks=True)
    python = root / "bin" / "python"
    packages = Path(
        _run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], root).strip()
    )
    # A line in a .pth file adds a folder without its own .pth files, so the editable checkout stays out of sight.
    (packages / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    _run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "--no-deps",
            "--no-index",
            str(wheel),
        ],
        root,
    )
    return root


def test_wheel_holds_what_commands_need_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"mrs_pipeline", "mrs_pipeline-0.1.0.dist-info"}
    for needed in (
        "py.typed",
        "templates/dagster.yaml",
        "templates/dg.toml",
        "defs/demo/defs.yaml",
        "defs/demo/presets.yaml",
    ):
        assert f"mrs_pipeline/{needed}" in names


@pytest.mark.slow
def test_the_whole_way_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    mrs = str(environment / "bin" / "mrs")
    where = _run(
        [str(environment / "bin" / "python"), "-c", "import mrs_pipeline; print(mrs_pipeline.__file__)"], home
    )
    assert Path(where.strip()).is_relative_to(environment)

    assert "wrote workspace.yaml" in _run([mrs, "init"], home)
    assert (home / "data").is_dir() and (home / "models").is_dir() and (home / "dagster.yaml").is_file()
    demo = home / "defs" / "demo" / "defs.yaml"
    replace(demo, "    reader: demo\n", "    reader: demo\n    demo: {users: 60, items: 40}\n")
    replace(demo, "    - {modality: image, encoder: color_gradient}\n", "")
    assert " demo " in _run([mrs, "datasets"], home)
    assert "freedom" in _run([mrs, "models", "--by-cell"], home)

    ran = _run([mrs, "run", "demo", "--window", "2024-12", "--models", "most_pop"], home)
    assert "most_pop" in ran and (home / "data" / "reports" / "demo" / "report.html").is_file()
    counted = _run([mrs, "query", "--csv", "SELECT count(DISTINCT item_id) AS items FROM raw.items"], home)
    assert counted.split() == ["items", "40"]
    assert "source/" in _run([mrs, "lineage", "demo", "metrics/most_pop"], home)


def _run(command: list[str], folder: Path) -> str:
    """Standard output of a program that must succeed and cannot reach the network or the checkout."""
    hidden = ("PYTHONPATH", "MRS_HOME", "DAGSTER_HOME", "VIRTUAL_ENV")
    offline = {"PIP_NO_INDEX": "1", "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    inherited = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        command, cwd=folder, env=inherited | offline, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout
