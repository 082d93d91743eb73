"""The Dagster component: one `defs.yaml` becomes one dataset's assets, checks, jobs, schedule and sensor.

The attributes are `dataset.DatasetConfig` as it stands; an unknown key or a bad value is refused with file and line.
A `presets.yaml` in the same folder lies below what they say of models.
"""

import sys
from pathlib import Path
from typing import Self

import dagster as dg
from pydantic import BaseModel

from mrs_pipeline.code import keep_closures, one_moment
from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.encoders.automatic import without_weights
from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.locating import is_remote, source_folder
from mrs_pipeline.ingest.opening import open_source
from mrs_pipeline.ingest.options import FileSourceOptions
from mrs_pipeline.ingest.paths import SourceAbsent
from mrs_pipeline.storage.home import find_home
from mrs_pipeline.tuning.presets import PRESETS_FILE, read_presets


class Dataset(dg.Component):
    """One dataset's pipeline, from raw files to a report."""

    def __init__(self, config: DatasetConfig, folder: Path) -> None:
        self.config = config
        self.folder = folder

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The schema of `attributes:`."""
        return DatasetConfig

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Take the validated attributes, and the presets that lie beside them."""
        assert isinstance(attributes, DatasetConfig)
        folder = context.path if context.path.is_dir() else context.path.parent
        return cls(_with_presets(attributes, folder / PRESETS_FILE), folder)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002
        """All definitions of the dataset; none where its folder is absent."""
        # What runs the steps needs torch, scipy and matplotlib: it is loaded with the first dataset, not with Dagster's
        # look at which components there are.
        from mrs_pipeline.orchestration.assets import build_asset, build_checks
        from mrs_pipeline.orchestration.automation import build_jobs, build_schedule, build_sensor
        from mrs_pipeline.orchestration.champion import build_champion
        from mrs_pipeline.orchestration.conditions import build_condition_sensor
        from mrs_pipeline.orchestration.verification import build_verification
        from mrs_pipeline.plan import on_request, plan

        home = find_home()
        if absence(self.config, home.root):  # `mrs datasets` says so
            return dg.Definitions()
        if not is_remote(self.config.source.place):
            _notice_of_faults(self.config, home.root)
        if notice := without_weights(self.config.features):
            print(f"notice: dataset {self.config.name}: {notice}", file=sys.stderr)  # noqa: T201
        tasks = [*plan(self.config), *on_request(self.config)]
        by_output = {output: task for task in tasks for output in task.outputs}
        jobs = build_jobs(self.config)
        retrain = build_schedule(self.config, jobs)
        verification, nightly = build_verification(self.config, home)
        champion, is_served = build_champion(self.config, home)
        with one_moment():
            checks = [build_checks(self.config, home, task) for task in tasks]
            definitions = dg.Definitions(
                assets=[*(build_asset(self.config, home, task, by_output) for task in tasks), champion],
                asset_checks=[is_served, *(each for each in checks if each is not None)],
                jobs=[*jobs, verification],
                schedules=[*([retrain] if retrain else []), nightly],
                sensors=[build_sensor(self.config, home, jobs), build_condition_sensor(self.config)],
            )
        keep_closures()  # each asset has asked for the code of its task
        return definitions


def absence(config: DatasetConfig, home_root: Path) -> str | None:
    """Why the source's folder is not there; None where it is, or is remote: that is asked for when a step needs it.

    Raises:
        InputError: the setting names something else than a folder.
    """
    try:
        if isinstance(config.source, FileSourceOptions) and not is_remote(config.source.place):
            source_folder(config.source.path, home_root)
    except SourceAbsent as absent:
        return str(absent)
    return None


def _notice_of_faults(config: DatasetConfig, home_root: Path) -> None:
    """Says what is wrong in the folder: files come and go. The dataset's own runs end with it, the others go on."""
    try:
        open_source(config.source, home_root)
    except InputError as fault:
        print(f"notice: dataset {config.name} cannot be read: {fault}", file=sys.stderr)  # noqa: T201


def _with_presets(config: DatasetConfig, path: Path) -> DatasetConfig:
    if not config.presets:
        return config
    presets = read_presets(path)
    settings = {model: preset.settings for model, preset in presets.items()}
    trials = {model: preset.found.trials for model, preset in presets.items()}
    try:
        return config.with_presets(settings, trials)
    except ValueError as error:
        raise InputError(
            f"{path}: together with defs.yaml, {error}; change one of the two, or take the entry out."
        ) from error
