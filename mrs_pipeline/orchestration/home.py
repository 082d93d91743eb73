"""Making a home and adding datasets to it: the files that `mrs init` writes.

A home is a folder with `dg.toml` (or this project's `pyproject.toml`); where results lie in it is `storage.home`.
"""

import textwrap
import tomllib
from importlib.resources import files
from pathlib import Path

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.inspection import Inspection, to_yaml

_TEMPLATES = files("mrs_pipeline") / "templates"
_COMPONENT = "mrs_pipeline.orchestration.Dataset"


def is_home(root: Path) -> bool:
    """Whether datasets can be added here."""
    return (root / "dg.toml").is_file() or "dg" in _tools(root)


def make_home(root: Path) -> list[Path]:
    """Write what a home needs and is not there yet; returns what was written."""
    wanted = {
        "dg.toml": "dg.toml",
        "workspace.yaml": "workspace.yaml",
        "dagster.yaml": "dagster.yaml",
        "data/README.md": "data.md",
        "models/README.md": "models.md",
    }
    written = [root / name for name in wanted if not (root / name).exists()]
    for path in written:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            (_TEMPLATES / wanted[str(path.relative_to(root))]).read_text(encoding="utf-8"), encoding="utf-8"
        )
    demo = root / "defs" / "demo" / "defs.yaml"
    if not demo.exists():
        demo.parent.mkdir(parents=True)
        demo.write_text(
            (files("mrs_pipeline") / "defs" / "demo" / "defs.yaml").read_text(encoding="utf-8"),
            encoding="utf-8",
        )
        written.append(demo)
    return written


def add_dataset(root: Path, inspection: Inspection, overwrite: bool) -> Path:
    """Write the dataset's `defs.yaml`; InputError if there is one already."""
    path = defs_folder(root) / str(inspection.settings["name"]) / "defs.yaml"
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; give another --name, or --overwrite to replace it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    attributes = textwrap.indent(to_yaml(inspection.settings), "  ")
    path.write_text(f"type: {_COMPONENT}\nattributes:\n{attributes}", encoding="utf-8")
    return path


def defs_folder(root: Path) -> Path:
    """Where the home's datasets are described."""
    if (root / "dg.toml").is_file():
        return root / "defs"
    module = _tools(root)["dg"]["project"]["defs_module"]
    return root.joinpath(*module.split("."))


def _tools(root: Path) -> dict[str, dict[str, dict[str, str]]]:
    pyproject = root / "pyproject.toml"
    tools: dict[str, dict[str, dict[str, str]]] = (
        tomllib.loads(pyproject.read_text(encoding="utf-8")).get("tool", {}) if pyproject.is_file() else {}
    )
    return tools
