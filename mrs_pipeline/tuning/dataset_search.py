"""Searching a model's settings on a dataset: data from the stores, trials kept there, the result as a preset.

The search itself is `tuning`, the file of presets `presets`. Nothing here is an asset: a search runs when asked for.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError
from mrs_pipeline.fitting import configure
from mrs_pipeline.models.pretraining.registry import PRETRAINERS
from mrs_pipeline.models.registry import MODELS, model_class
from mrs_pipeline.models.spec import ModelSpec
from mrs_pipeline.stages.model_tasks import model_tasks
from mrs_pipeline.stages.pretraining import pretraining_task
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.stored.training_data import filling_of, joining_of, sources_of, training_data
from mrs_pipeline.tasks.currency import code_of
from mrs_pipeline.tasks.places import record
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.tuning.presets import Found, Preset, write_preset
from mrs_pipeline.tuning.search import Journal, Tuned, space_left, tune

_DIGITS = 16


def models_to_search(config: DatasetConfig, asked: Sequence[str], only: Collection[str]) -> list[str]:
    """The models asked for, or all on the dataset's list that have a setting left to search.

    Raises:
        InputError: an unknown model, or nothing to search.
    """
    for name in dict.fromkeys(asked):
        model_class(name)
        if not space_left(name, config.written(name), only):
            raise InputError(
                f"model '{name}' has no setting left to search{_among(only)}: it declares none, or the defs.yaml of "
                f"{config.name} fixes all of them; take there out what is to be searched"
            )
    chosen = asked or [name for name in config.model_configs if space_left(name, config.written(name), only)]
    if not chosen:
        raise InputError(
            f"{config.name} lists no model with a setting left to search{_among(only)}; name one, see `mrs models`"
        )
    return list(dict.fromkeys(chosen))


def _among(only: Collection[str]) -> str:
    return f" among {', '.join(only)}" if only else ""


def search(
    stage: Stage, model: str, *, only: Collection[str], trials: int, training: TrainingOptions, restart: bool
) -> Tuned:
    """Search a model's settings on the stage's validation rows; goes on where an earlier search stopped.

    What `defs.yaml` says of the model holds in every trial; its preset, if it has one, plays no part.

    Raises:
        InputError: the same search is at work in another process, or the data lack what the model needs.
        NonFiniteLossError: training diverged with every setting.
    """
    config = stage.config
    folder = stage.home.searches / config.name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / f".{model}.busy", timeout=0):
            return tune(
                training_data(stage, _needs(model)),
                model,
                config.written(model),
                only=only,
                trials=trials,
                seed=config.seeds[0],
                training=training,
                evaluation=config.evaluation,
                pretraining=config.pretraining_configs.get(MODELS[model].spec.pretraining or ""),
                journal=Journal(
                    folder / f"{model}.journal",
                    _data_digest(stage, model),
                    _code_digest(config, model),
                    restart,
                ),
            )
    except Timeout as error:
        raise InputError(
            f"settings of {model} on {config.name} are being searched by another process; wait for it to end"
        ) from error


def preset_of(stage: Stage, model: str, tuned: Tuned, training: TrainingOptions, command: str) -> Preset:
    """What a search found, with all that it takes to find it again."""
    config = stage.config
    plain = configure(model, {**tuned.fixed, **tuned.settings}).model_dump(mode="json", exclude_unset=True)
    return Preset(
        settings={name: value for name, value in plain.items() if name in tuned.settings},
        found=Found(
            command=command,
            window=stage.window,
            metric=config.evaluation.select_on,
            score=tuned.score,
            defaults_score=tuned.defaults_score,
            chosen="found" if tuned.settings else "defaults",
            trials=tuned.trials.height,
            diverged=int((tuned.trials["failure"] != "").sum()),
            seed=config.seeds[0],
            epochs=training.epochs,
            patience=training.patience,
            fixed={name: value for name, value in plain.items() if name in tuned.fixed},
            search_space=json.loads(json.dumps(dict(tuned.space))),
            data_digest=_data_digest(stage, model),
            code_digest=_code_digest(config, model),
        ),
    )


def save_preset(stage: Stage, path: Path, model: str, preset: Preset) -> None:
    """Put a preset into the dataset's file of presets; searches that end at once wait for each other."""
    folder = stage.home.searches / stage.config.name
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".presets.lock"):
        write_preset(path, stage.config.name, model, preset)


def _needs(model: str) -> ModelSpec:
    """Trials may differ in their neighbours; a first step is made once, whether or not its asset is planned."""
    return replace(MODELS[model].spec, item_graph=False, user_graph=False, pretraining=None)


def _data_digest(stage: Stage, model: str) -> str:
    """Of all that trials see: splits, content, and how what is missing is filled."""
    needs = _needs(model)
    nodes = sources_of(stage.config, needs)
    digests = (part for node in nodes for part in (str(node), record(stage, node)[0]))
    rules = filling_of(stage.config, needs) | joining_of(stage.config, needs)
    return text_digest(*digests, json.dumps(rules, sort_keys=True))[:_DIGITS]


def _code_digest(config: DatasetConfig, model: str) -> str:
    """Of the code of the model, of its first step if it has one, of training and of evaluation."""
    tasks = [model_tasks(config, model, config.config_of(model))[0]]
    first_step = MODELS[model].spec.pretraining
    if first_step:
        tasks.append(pretraining_task(config, first_step, PRETRAINERS[first_step].Config()))
    return text_digest(*(code_of(task).digest for task in tasks))[:_DIGITS]
