"""Automation conditions and freshness policies: what Dagster may request by itself, and how old a result may grow.

They stand beside schedule and sensor, as the finer tool: tables, features and graphs follow their inputs at once,
models wait for the window to begin. Raw files are the business of the sensor `NAME_watch`, which can see them. The
sensor that evaluates the conditions stands still until the dataset's YAML or the UI switches it on.
"""

from datetime import UTC, datetime
from typing import Any, Final

import dagster as dg

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.orchestration.keys import asset_key
from mrs_pipeline.tasks.node import LEADERBOARD, RAW_INTERACTIONS, Node
from mrs_pipeline.tasks.task import Task
from mrs_pipeline.windows import CRON, scored_keys, window_end, window_start

_BY_HAND: Final = ("raw", "experiments")
"""Groups that no condition requests: raw files are watched, experiments asked for."""
_AT_ONCE: Final = ("core", "features", "report")
"""Groups that follow their inputs."""
_SECONDS: Final = 60


def condition_of(config: DatasetConfig, task: Task) -> dg.AutomationCondition[Any] | None:
    """When a task is requested: as soon as its inputs have changed, or for a model when a window begins."""
    if task.group in _BY_HAND:
        return None
    if task.group in _AT_ONCE or not config.windowed:
        return dg.AutomationCondition.eager()
    begins = dg.AutomationCondition.on_cron(CRON[config.window.every], "UTC")
    if task.goes_on_from in task.outputs:  # the window before is not made again when a window begins
        own = dg.AssetSelection.assets(*(asset_key(config.name, output) for output in task.outputs))
        return begins.ignore(own)
    return begins


def check_condition_of(task: Task) -> dg.AutomationCondition[Any] | None:
    """Checks look whenever what they guard has changed."""
    return None if task.group in _BY_HAND else dg.AutomationCondition.eager()


def freshness_of(config: DatasetConfig, output: Node) -> dg.FreshnessPolicy | None:
    """Raw rows and the leaderboard of a dataset that runs by itself may be two windows old, and warn after one.

    A dataset that nobody keeps going has no policy: it would be late for ever.
    """
    kept = {RAW_INTERACTIONS: config.automation.watch, LEADERBOARD: config.automation.retrain}
    if not config.windowed or not kept.get(output, config.automation.conditions and output == LEADERBOARD):
        return None
    last = scored_keys(config.window, datetime.now(UTC))[-1:]
    if not last:
        return None
    every = config.window.every
    length = window_end(every, last[0]) - window_start(every, last[0])
    return dg.FreshnessPolicy.time_window(fail_window=2 * length, warn_window=length)


def build_condition_sensor(config: DatasetConfig) -> dg.AutomationConditionSensorDefinition:
    """What evaluates the conditions of a dataset's assets and checks."""
    on = config.automation.conditions
    return dg.AutomationConditionSensorDefinition(
        f"{config.name}_conditions",
        target=dg.AssetSelection.tag("dataset", config.name),
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING if on else dg.DefaultSensorStatus.STOPPED,
        description="Requests what follows its inputs at once, and models when a window begins.",
    )
