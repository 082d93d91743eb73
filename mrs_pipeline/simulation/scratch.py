"""The homes of a simulation: one dataset, the chosen models, a folder that it is fed from, messages to a mailbox."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError, did_you_mean
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.notifying import SETTINGS_FILE
from mrs_pipeline.orchestration.home import COMPONENT, defs_folder, make_home
from mrs_pipeline.simulation.feeding import fed_source
from mrs_pipeline.simulation.mailbox import VARIABLE
from mrs_pipeline.storage.home import HOME_VARIABLE, STORE_VARIABLE, Home
from mrs_pipeline.stored.training_data import sources_of
from mrs_pipeline.tasks.node import Kind

FED_LOOK_SECONDS: Final = 5
"""Seconds between two looks of the sensor; the daemon itself looks no oftener."""
_ANSWER_SECONDS: Final = 600
"""Seconds that the daemon waits for its code server, which loads torch first; Dagster's own are 60."""
_CONTENT: Final = frozenset({Kind.FEATURES, Kind.TOKENS, Kind.RAW_CONTENT, Kind.PRETRAINED, Kind.GRAPHS})


def scratch_settings(config: DatasetConfig, months: Sequence[str], models: Sequence[str]) -> DatasetConfig:
    """The dataset's settings for a home that is fed: chosen models, no window after the months, sensor switched on.

    Feature sets that none of the models reads are left out.

    Raises:
        InputError: a model is not one of the dataset.
    """
    unknown = next((model for model in models if model not in config.model_configs), None)
    if unknown is not None:
        raise InputError(
            f"{config.name} does not list the model {unknown}{did_you_mean(unknown, config.model_configs)}; its "
            f"defs.yaml has {', '.join(config.model_configs)}."
        )
    given: dict[str, Any] = config.model_dump(mode="json")
    given |= {
        "source": fed_source(config),
        "models": {model: config.model_configs[model].model_dump(mode="json") for model in models},
        "model_training": {
            model: options for model, options in config.model_training.items() if model in models
        },
        "presets": False,  # they are part of the models' settings by now
        "window": {**given["window"], "end": months[-1]},
        "automation": {"watch": True, "watch_seconds": FED_LOOK_SECONDS, "settle_seconds": 0},
    }
    if not any(node.kind in _CONTENT for model in models for node in sources_of(config, MODELS[model].spec)):
        given |= {"features": [], "modalities": {}, "knowledge": None, "raw": []}
    return DatasetConfig.model_validate(given)


def make_scratch(config: DatasetConfig, root: Path, models_folder: Path) -> Home:
    """A home with this one dataset, whose messages go to the mailbox.

    Args:
        config: the dataset's settings.
        root: a new folder.
        models_folder: where pretrained weights of encoders lie; they are used, not copied.
    """
    make_home(root)
    for path in (defs_folder(root) / "demo").iterdir():
        path.unlink()
    path = defs_folder(root) / config.name / "defs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    component = {"type": COMPONENT, "attributes": config.model_dump(mode="json")}
    path.write_text(yaml.safe_dump(component, sort_keys=False), encoding="utf-8")
    (root / SETTINGS_FILE).write_text(yaml.safe_dump({"to": [{"url_from": VARIABLE}]}), encoding="utf-8")
    pretrained = models_folder / "pretrained"
    if pretrained.is_dir():
        (root / "models" / "pretrained").symlink_to(pretrained.resolve())
    return Home(root.resolve())


def environment(home: Home) -> dict[str, str]:
    """Of a process that works in a scratch home: nothing of it is published, a busy machine is no accident."""
    own = {
        HOME_VARIABLE: str(home.root),
        "DAGSTER_HOME": str(home.root),
        "DAGSTER_GRPC_TIMEOUT_SECONDS": str(_ANSWER_SECONDS),
        "PYTHONWARNINGS": "ignore",
    }
    return {name: value for name, value in os.environ.items() if name != STORE_VARIABLE} | own


@contextmanager
def working_in(home: Home) -> Iterator[None]:
    """While the block lasts, this process works in a home, whose `dagster.yaml` names folders relative to it."""
    names = (HOME_VARIABLE, "DAGSTER_HOME", STORE_VARIABLE)
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    folder = Path.cwd()
    os.environ |= {HOME_VARIABLE: str(home.root), "DAGSTER_HOME": str(home.root)}
    os.chdir(home.root)
    try:
        yield
    finally:
        os.chdir(folder)
        for name in names:
            os.environ.pop(name, None)
        os.environ |= before


def run_undisturbed(config: DatasetConfig, home: Home, months: Sequence[str]) -> None:
    """The same months by `mrs run`, in a process of its own.

    Raises:
        InputError: it failed; the sentence is its own.
    """
    command = [sys.executable, "-m", "mrs_pipeline.cli", "run", config.name, "--quiet"]
    windows = [part for month in months for part in ("--window", month)]
    done = subprocess.run(  # noqa: S603 - our own arguments
        [*command, *windows],
        cwd=home.root,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise InputError(f"the undisturbed year failed: {' '.join(last)}")
