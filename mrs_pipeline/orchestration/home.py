"""Making a home and adding datasets to it: the files that `mrs init` writes.

A home is a folder with `dg.toml` (or this project's `pyproject.toml`); where results lie in it is `storage.home`.
"""

import textwrap
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError
from mrs_pipeline.storage.home import project_tools
from mrs_pipeline.tuning.presets import PRESETS_FILE

if TYPE_CHECKING:
    from mrs_pipeline.ingest.inspection import Inspection

_DEMO: Final = ("defs.yaml", PRESETS_FILE)
_PACKAGE = files("mrs_pipeline")
COMPONENT = "mrs_pipeline.orchestration.Dataset"
_TEMPLATES: Final = {
    "dg.toml": "dg.toml",
    "workspace.yaml": "workspace.yaml",
    "dagster.yaml": "dagster.yaml",
    "data/README.md": "data.md",
    "models/README.md": "models.md",
}
"""File of a home -> the template that it is written from."""


def make_home(root: Path) -> list[Path]:
    """Write what a home needs and is not there yet; returns what was written. A checkout is a home as it stands."""
    if "dg" in project_tools(root):
        return []
    wanted = {root / name: _PACKAGE / "templates" / template for name, template in _TEMPLATES.items()}
    if not (root / "dg.toml").exists():  # a demo that somebody has taken out of a home stays out
        demo = _PACKAGE / "defs" / "demo"
        wanted |= {root / "defs" / "demo" / name: demo / name for name in _DEMO if (demo / name).is_file()}
    written = [path for path in wanted if not path.exists()]
    for path in written:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path].read_text(encoding="utf-8"), encoding="utf-8")
    return written


def add_dataset(root: Path, inspection: "Inspection", overwrite: bool) -> Path:
    """Write the dataset's `defs.yaml`.

    Raises:
        InputError: there is one already, or the settings would be refused when they are read.
    """
    from mrs_pipeline.ingest.inspection import to_yaml  # every layout of raw files that there is

    _check(inspection.settings)
    path = defs_folder(root) / str(inspection.settings["name"]) / "defs.yaml"
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; give another --name, or --overwrite to replace it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    attributes = textwrap.indent(to_yaml(inspection.settings), "  ")
    path.write_text(f"type: {COMPONENT}\nattributes:\n{attributes}", encoding="utf-8")
    return path


def defs_folder(root: Path) -> Path:
    """Where the home's datasets are described."""
    if (root / "dg.toml").is_file():
        return root / "defs"
    module = project_tools(root)["dg"]["project"]["defs_module"]
    return root.joinpath(*module.split("."))


def _check(settings: Mapping[str, Any]) -> None:
    try:
        DatasetConfig.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        remedy = "; give another --name" if place == "name" else ""
        raise InputError(f"{place} cannot be {first['input']!r}: {first['msg']}{remedy}.") from error
