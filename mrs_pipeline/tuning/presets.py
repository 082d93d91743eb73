"""Settings of models that a search found on one dataset: `presets.yaml` beside the dataset's `defs.yaml`.

What the file may say, and reading and writing it. How settings are found is `tuning`; how they come below what
`defs.yaml` says, `dataset`.
"""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mrs_pipeline.documents import DocumentError, yaml_file
from mrs_pipeline.errors import InputError, did_you_mean
from mrs_pipeline.models.registry import MODELS

PRESETS_FILE: Final = "presets.yaml"
_HEADER: Final = (
    "# Written by `mrs tune {dataset} --save`: settings of models that a search found on validation rows.\n"
    "# A model starts from these; what defs.yaml says of it comes on top. Comments here are not kept.\n"
)
_STRICT = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
_WORDS: Final = {"extra_forbidden": "there is no such key", "missing": "this key is missing"}


class Found(BaseModel):
    """How a preset was found: what it takes to find it again."""

    model_config = _STRICT

    command: str
    """The command that found it; it finds it again on the same data with the same code."""
    window: str
    """Window whose validation rows were looked at."""
    metric: str
    """Validation metric that was maximised."""
    score: float = Field(allow_inf_nan=False)
    """Its value with the preset."""
    defaults_score: float | None = Field(allow_inf_nan=False)
    """Its value with the model's defaults; none where their training diverged."""
    chosen: Literal["found", "defaults"]
    """`defaults` where nothing that was tried beat them; the preset is empty then."""
    trials: int = Field(ge=1)
    """Settings tried."""
    diverged: int = Field(ge=0)
    """Of these, settings with which training diverged."""
    seed: int
    """Seed of the search and of every training."""
    epochs: int = Field(ge=1)
    """Most epochs of a trial."""
    patience: int = Field(ge=1)
    """Validations without a gain after which a trial stopped."""
    fixed: dict[str, Any]
    """What `defs.yaml` said of the model, in every trial."""
    search_space: dict[str, list[Any]]
    """Setting -> values to choose from."""
    data_digest: str = Field(pattern=r"^[0-9a-f]{16}$")
    """Of the splits and content that trials saw."""
    code_digest: str = Field(pattern=r"^[0-9a-f]{16}$")
    """Of the code of model, training and evaluation."""


class Preset(BaseModel):
    """What is known of one model on one dataset."""

    model_config = _STRICT

    settings: dict[str, Any]
    """The model's settings, as in `models:` of a `defs.yaml`."""
    found: Found
    """How they were found."""


def read_presets(path: Path) -> dict[str, Preset]:
    """Model -> preset; empty where there is no file.

    Raises:
        InputError: the file says something that no search would have written; the sentence names file and key.
    """
    return {model: _preset(path, model, entry) for model, entry in _read(path).items()}


def write_preset(path: Path, dataset: str, model: str, preset: Preset) -> None:
    """Put one model's preset into the file, whole or not at all; the others keep their content and place."""
    entries = {**_read(path), model: preset.model_dump(mode="json")}
    text = yaml.safe_dump(entries, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True)
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex[:12]}")
    temporary.write_text(_HEADER.format(dataset=dataset) + text, encoding="utf-8")
    temporary.replace(path)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    remedy = "correct it, or remove the file and run `mrs tune --save` again"
    try:
        documents = yaml_file(path)
        if not documents:
            return {}
        entries = documents[0].value
        if len(documents) > 1 or not isinstance(entries, dict):
            raise DocumentError("this must map names of models to presets")
    except DocumentError as error:
        raise error.of(path, remedy) from error
    return entries


def _preset(path: Path, model: Any, entry: Any) -> Preset:
    if model not in MODELS:
        raise InputError(
            f"{path}: {model}: there is no such model{did_you_mean(str(model), MODELS)}; "
            "see `mrs models`, and correct the name or take the entry out."
        )
    remedy = f"correct it, or take {model} out and find its settings again with `mrs tune --save`"
    try:
        preset = Preset.model_validate(entry)
    except ValidationError as error:
        raise InputError(f"{path}: {model}{_first(error)}; {remedy}.") from error
    try:
        MODELS[model].Config(**_by_name(preset.settings))
    except ValidationError as error:
        raise InputError(f"{path}: {model}.settings{_first(error)}; {remedy}.") from error
    return preset


def _by_name(settings: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in settings.items()}


def _first(error: ValidationError) -> str:
    """`.key: what is wrong with it`, of the first mistake."""
    first = error.errors(include_url=False)[0]
    place = "".join(f".{part}" for part in first["loc"])
    return f"{place}: {_WORDS.get(first['type']) or first['msg'].removeprefix('Value error, ')}"
