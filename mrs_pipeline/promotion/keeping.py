"""What a champion keeps: all that serving it reads, as it was when it was promoted.

A run replaces weights, tables and features; what serves customers must not change with it, and a rollback must give
back the same bits. So the files are linked (copied where links are not possible) into a folder of their own, laid out
like the home's stores. Stored files are only ever replaced, never written into, so a link stays what it was and costs
no space until the original is replaced.
"""

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.documents import DocumentError, json_file
from mrs_pipeline.errors import InputError
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.storage.home import Home
from mrs_pipeline.stored.training_data import sources_of
from mrs_pipeline.tasks.node import CORE_INTERACTIONS, CORE_ITEMS, CORE_USERS, SPLITS, Kind, Node
from mrs_pipeline.tasks.places import exists, is_directory, record, store_of, table_of
from mrs_pipeline.tasks.task import Stage

_SETTINGS: Final = "settings.json"
_PARTIAL: Final = ".partial-"
_DIGITS: Final = 12


def served_node(config: DatasetConfig, model: str) -> Node:
    """The weights that are served of a model."""
    return Node(Kind.FINAL if config.serving.refit else Kind.TRAINED, model)


def keep(stage: Stage, model: str) -> str:
    """Link all that serving a model reads into a folder below `data/champions/<dataset>`; returns the folder's name.

    Raises:
        InputError: something that it needs has not been made, or a run is replacing it at this moment.
    """
    nodes = list(_needed(stage, model))
    digests = [record(stage, node)[0] for node in nodes]
    name = f"{stage.window}-{model}-{text_digest(*digests)[:_DIGITS]}"
    folder = _folder(stage, name)
    if folder.is_dir():
        return name
    partial = folder.with_name(f"{_PARTIAL}{uuid.uuid4().hex[:12]}")
    partial.mkdir(parents=True)
    try:
        _copy(stage, nodes, partial)
        if [record(stage, node)[0] for node in nodes] != digests:
            raise FileNotFoundError(name)
        (partial / _SETTINGS).write_text(json.dumps(_settings(stage.config, model)), encoding="utf-8")
        partial.rename(folder)
    except FileNotFoundError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise InputError(
            f"a run is replacing what {model} of window {stage.window} is made of: promote it when the run has ended."
        ) from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return name


def kept_stage(stage: Stage, name: str, window: str) -> Stage:
    """The dataset as it was when a champion was promoted.

    Raises:
        InputError: what it kept is gone, or its settings are those of another version.
    """
    folder = _folder(stage, name)
    remedy = f"`mrs promote {stage.config.name}` chooses another, `mrs rollback {stage.config.name}` the one before"
    try:
        config = DatasetConfig.model_validate(json_file(folder / _SETTINGS))
    except FileNotFoundError as error:
        raise InputError(f"{folder}, which the champion was promoted with, is gone: {remedy}.") from error
    except (DocumentError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{folder / _SETTINGS} cannot be read by this version ({reason}): {remedy}."
        ) from error
    return Stage(config, Home(stage.home.root, kept=folder), window)


def kept_folders(home: Home, dataset: str) -> list[Path]:
    """Folders of all that was promoted and not removed since, and of promotions that were killed."""
    return sorted(path for path in (home.champions / dataset).glob("*") if path.is_dir())


def _folder(stage: Stage, name: str) -> Path:
    return stage.home.champions / stage.config.name / name


def _needed(stage: Stage, model: str) -> Iterator[Node]:
    """What serving a model reads; what it may do without only where it is there."""
    config = stage.config
    yield served_node(config, model)
    needed = [CORE_USERS, CORE_ITEMS, CORE_INTERACTIONS, SPLITS]
    needed += sources_of(config, MODELS[model].spec, whole=config.serving.refit)
    needed += [Node(Kind.FEATURES, sets[0]) for sets in config.model_features.values()]
    yield from dict.fromkeys(needed)
    for kind in (Kind.INDEX, Kind.VECTORS, Kind.RECOMMENDATIONS, Kind.METRICS):
        if exists(stage, Node(kind, model)):
            yield Node(kind, model)


def _files(stage: Stage, node: Node) -> list[Path]:
    """The files behind a node that is stored, its manifest among them."""
    if is_directory(node):
        store, keys = store_of(stage, node)
        return store.files(*keys)
    return stage.lake.files(table_of(stage, node))


def _copy(stage: Stage, nodes: Sequence[Node], into: Path) -> None:
    for path in (path for node in nodes for path in _files(stage, node)):
        target = into / path.relative_to(stage.home.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(path, target)


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(path, target)


def _settings(config: DatasetConfig, model: str) -> dict[str, object]:
    """The dataset's settings with this model alone, and with what presets say of it written out."""
    own = config.model_configs[model].model_dump(mode="json")
    training = config.training_of(model).model_dump(mode="json")
    given = config.model_dump(mode="json")
    return {**given, "models": {model: own}, "presets": False, "training": training, "model_training": {}}
