"""The YAML files of a home, looked at before Dagster reads them: within bounds, and nothing in them names code.

Dagster would import what `type:`, `template_vars_module:` and templates of a component name, and expand aliases without
a bound. Here a `defs.yaml` is `type:` and `attributes:` of a dataset. What the attributes may say is `dataset`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mrs_pipeline.documents import DocumentError, YamlDocument, toml_file, yaml_file
from mrs_pipeline.errors import InputError, did_you_mean
from mrs_pipeline.notifying import read_options
from mrs_pipeline.orchestration.home import COMPONENT, defs_folder

_NAMES: Final = frozenset({"defs.yaml", "component.yaml"})
_KEYS: Final = ("type", "attributes")
_REMEDY: Final = (
    f"write `type: {COMPONENT}` and below it `attributes:`, as `mrs init FOLDER` does, or remove the file"
)


def require_settings(root: Path) -> None:
    """Refuse a home without the folder of its datasets, and a file of settings that is not one.

    Raises:
        InputError: names file, line and remedy.
    """
    _require_project(root)
    for path in _settings_files(defs_folder(root)):
        try:
            documents = yaml_file(path)
            if not documents:
                raise DocumentError("this is empty")
            for document in documents:
                _require_dataset(document)
        except DocumentError as error:
            raise error.of(path, _REMEDY) from error
    read_options(root)


def _require_project(root: Path) -> None:
    """Refuse a `dg.toml` that names no folder of datasets, and a home whose folder of datasets is gone."""
    path, folder = root / "dg.toml", defs_folder(root)
    try:
        if path.is_file() and "root_module" not in toml_file(path).get("project", {}):
            raise DocumentError("this has no root_module under [project]")
    except DocumentError as error:
        raise error.of(path, "remove it, and `mrs init` in that folder writes it again") from error
    if not folder.is_dir():
        raise InputError(
            f"{folder}, the folder of the datasets' settings, is not there: `mrs init FOLDER` makes it, with the "
            "settings of the raw files in that folder."
        )


def require_instance_settings(root: Path) -> None:
    """Refuse a `dagster.yaml` that is none; one that is absent or empty stands for Dagster's defaults."""
    path = root / "dagster.yaml"
    try:
        documents = yaml_file(path)
        if len(documents) > 1 or not all(isinstance(each.value, dict) for each in documents):
            raise DocumentError("this does not map Dagster's settings to values")
    except FileNotFoundError:
        return
    except DocumentError as error:
        raise error.of(path, "correct it, or remove it and run `mrs init`, which writes it again") from error


def _require_dataset(document: YamlDocument) -> None:
    settings = document.value
    if not isinstance(settings, dict):
        raise DocumentError("this holds no settings")
    wrong = next((key for key in settings if key not in _KEYS), None)
    if wrong is not None:
        raise DocumentError(
            f"{wrong}: there is no such key here{did_you_mean(str(wrong), _KEYS)}", document.lines[str(wrong)]
        )
    if settings.get("type") != COMPONENT:
        raise DocumentError(
            f"type: {str(settings.get('type'))[:80]} is no dataset", document.lines.get("type")
        )
    if not isinstance(settings.get("attributes"), dict):
        raise DocumentError(
            "attributes: this must map names of settings to values", document.lines.get("attributes")
        )


def _settings_files(folder: Path) -> Iterator[Path]:
    """As Dagster finds them, links followed; a link to a folder that it lies in would have no end."""
    above: dict[str, set[Path]] = {}
    for where, folders, files in os.walk(folder, followlinks=True):
        here = Path(where).resolve()
        around = above.pop(where, set())
        if here in around:
            raise InputError(f"{where} is a link to a folder that it lies in; remove the link.")
        above |= {str(Path(where) / name): around | {here} for name in folders}
        yield from (Path(where) / name for name in sorted(_NAMES & set(files)))
