"""The survey's experiments on a dataset: arm by arm, kept as they end, so that an interrupted one goes on.

What the arms are and how one is run is `studies`; what the page looks like, `reporting.experiment_page`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from tqdm import tqdm

from mrs_pipeline.code import closure
from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.deciding import deciding
from mrs_pipeline.encoders.options import EncoderOptions, feature_set_name
from mrs_pipeline.metrics.registry import metric_roots
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.schema import TEST
from mrs_pipeline.stages.checks.results import check_experiment, experiment_specs
from mrs_pipeline.stages.report_links import links_of_part, write_index_page
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.storage.lake import Table
from mrs_pipeline.storage.pages import write_page
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.training_data import interactions, joining_of, protocol, sources_of, training_data
from mrs_pipeline.studies.base import Arm, Experiment
from mrs_pipeline.studies.registry import EXPERIMENTS
from mrs_pipeline.studies.running import ArmResult, ArmTask, run_arm
from mrs_pipeline.studies.summarising import summarise
from mrs_pipeline.tasks.node import SPLITS, Kind, Node
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import Outcome, Stage, Task
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.types import Interactions, TrainingData


@dataclass(frozen=True)
class _Trial:
    """One arm with one seed."""

    position: int
    arm: Arm
    seed: int

    @property
    def key(self) -> str:
        """The arm's name as a folder may be called, told apart from others by a digest."""
        plain = re.sub(r"[^a-z0-9]+", "-", self.arm.name.lower()).strip("-")
        return f"{plain or 'arm'}-{text_digest(self.arm.name)[:6]}"


@dataclass(frozen=True)
class _Run:
    """An experiment at work: what its arms read is fetched when the first arm has to be run."""

    stage: Stage
    task: Task
    provenance: Provenance

    @property
    def experiment(self) -> Experiment:
        """What is asked."""
        return EXPERIMENTS[self.task.subject]

    @property
    def trials(self) -> list[_Trial]:
        """Seed by seed, so that an interrupted experiment has all arms with its first seed."""
        arms = arms_of(self.stage.config, self.experiment)
        return [
            _Trial(position, arm, seed)
            for seed in self.stage.config.experiments.seeds
            for position, arm in enumerate(arms)
        ]

    @cached_property
    def data(self) -> TrainingData:
        """All that any arm may see."""
        stage = replace(self.stage, config=seen_by(self.stage.config, self.experiment))
        return training_data(stage, _needs(stage.config, self.experiment))

    @cached_property
    def test(self) -> Interactions:
        """The held-out rows; read here and in the metrics stage only."""
        return interactions(self.stage, TEST)

    def rows(self, trial: _Trial) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The trial's rows of `eval.experiment_arms` and `eval.experiment_users`: stored ones, or it is run now."""
        arms, users = self._table("experiment_arms", trial), self._table("experiment_users", trial)
        provenance = Provenance(
            text_digest(_arm_code(self.stage.config, trial.arm), self._settings(trial)),
            self.provenance.upstream,
        )
        lake = self.stage.lake
        stored = lake.exists(arms) and lake.exists(users) and lake.manifest(arms).provenance == provenance
        if not stored:
            result = run_arm(self._arm_task(trial))
            lake.write_frame(users, result.users, provenance)
            lake.write_frame(arms, self._arm_rows(trial, result), provenance)
        named = lake.read(users).with_columns(arm=pl.lit(trial.arm.name), seed=pl.lit(trial.seed))
        return lake.read(arms), named

    def _table(self, name: str, trial: _Trial) -> Table:
        return self.stage.table(
            "eval", name, seed=str(trial.seed), experiment=self.experiment.name, trial=trial.key
        )

    def _settings(self, trial: _Trial) -> str:
        config = self.stage.config
        decisive = [config.experiments, config.evaluation.accuracy_only()]
        return json.dumps(
            [
                repr(trial.arm),
                config.settings_of(trial.arm.model),
                deciding(config.training),
                [each.model_dump(mode="json") for each in decisive],
                [config.missing, config.item_graph_k],
            ],
            sort_keys=True,
        )

    def _arm_task(self, trial: _Trial) -> ArmTask:
        config, budget = self.stage.config, self.stage.config.experiments
        own = dict(trial.arm.training)
        limits = {"epochs": budget.epochs, "patience": budget.patience, "checkpoint_every": 0}
        return ArmTask(
            data=self.data,
            test=self.test,
            arm=trial.arm,
            settings=config.settings_of(trial.arm.model),  # as well tuned as on the leaderboard
            missing=config.missing,
            seed=trial.seed,
            training=TrainingOptions(**{**config.training.model_dump(), **own, **limits}),
            evaluation=config.evaluation,
        )

    def _arm_rows(self, trial: _Trial, result: ArmResult) -> pl.DataFrame:
        arm, config = trial.arm, seen_by(self.stage.config, self.experiment)
        seen = arm.modalities if arm.modalities is not None else sorted(config.model_features)
        blind = MODELS[arm.model].spec.features is FeatureUse.IGNORED
        facts = {
            "arm": arm.name,
            "position": trial.position,
            "series": arm.series,
            "against": arm.against or arms_of(config, self.experiment)[0].name,
            "model": arm.model,
            "removed": arm.removed,
            **result.facts,
            "protocol": protocol(config, refit=False),
            "data_digest": self.provenance.upstream[str(SPLITS)][:16],
            "code_digest": self.provenance.code_version,
        }
        modalities = pl.lit([] if blind else list(seen), dtype=pl.List(pl.String))
        return (
            result.metrics.drop("protocol")
            .with_columns(
                *(pl.lit(value).alias(name) for name, value in facts.items()), modalities=modalities
            )
            .with_columns(pl.col("dependence").cast(pl.Float64))
        )


def _arm_code(config: DatasetConfig, arm: Arm) -> str:
    """Digest of the code that decides an arm's numbers: a page may be drawn again without running an arm again."""
    models = (arm.model, *config.config_of(arm.model).wrapped())
    roots = metric_roots(config.evaluation.accuracy_only().metrics)
    return closure("mrs_pipeline.studies.running:run_arm", *(MODELS[name] for name in models), *roots).digest


def arms_of(config: DatasetConfig, experiment: Experiment) -> Sequence[Arm]:
    """The arms of an experiment on a dataset, the control first."""
    return experiment.arms(config.feature_names if experiment.sets else sorted(config.model_features))


def seen_by(config: DatasetConfig, experiment: Experiment) -> DatasetConfig:
    """The settings with what arms may see as modalities: each feature set by itself, where they choose among these."""
    if not experiment.sets:
        return config
    return config.model_copy(update={"modalities": {name: (name,) for name in config.feature_names}})


def _can_be_asked(config: DatasetConfig, experiment: Experiment) -> bool:
    """Whether the dataset has the content that an experiment is about."""
    if experiment.raw and not config.raw_modalities:
        return False
    if experiment.sets and len(config.feature_names) == len(config.first_features):
        return False
    return len(config.model_features) >= experiment.least_modalities


def _needs(config: DatasetConfig, experiment: Experiment) -> ModelSpec:
    """What any arm asks of the dataset; graphs and pre-training are left to the arms, whose seconds they count to."""
    specs = [MODELS[arm.model].spec for arm in arms_of(config, experiment)]
    content = any(spec.features is not FeatureUse.IGNORED for spec in specs)
    return replace(
        specs[0],
        features=FeatureUse.OPTIONAL if content else FeatureUse.IGNORED,
        item_graph=False,
        user_graph=False,
        knowledge=False,
        pretraining=None,
        raw=FeatureUse.OPTIONAL if experiment.raw else FeatureUse.IGNORED,
        tokens=FeatureUse.IGNORED,
    )


def page_path(stage: Stage, name: str) -> Path:
    """Where the page of an experiment lies."""
    return stage.home.reports / stage.config.name / "experiments" / stage.window / f"{name}.html"


def run_experiment(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """Run the arms that are not stored yet, put all together, and write the page."""
    from mrs_pipeline.reporting.drawing import png
    from mrs_pipeline.reporting.experiment_plots import accuracy_by_arm

    run = _Run(stage, task, provenance)
    trials = run.trials
    kept = [run.rows(trial) for trial in tqdm(trials, desc=task.name, unit="arm", leave=False, disable=None)]
    arms, users = (pl.concat(frames, how="diagonal") for frames in zip(*kept, strict=True))
    result = summarise(arms, users, stage.config.evaluation.select_on)
    manifest = stage.lake.write_frame(table_of(stage, task.outputs[0]), result, provenance)
    facts: dict[str, Any] = {
        "question": run.experiment.question,
        "result": result.select("arm", "part", "value", "spread", "difference", "p", "seconds"),
        "accuracy": png(accuracy_by_arm(result)),
        "page": str(_write_page(run, result)),
    }
    return [Outcome(task.outputs[0], manifest.digest, facts, manifest.columns)]


def _write_page(run: _Run, result: pl.DataFrame) -> Path:
    from mrs_pipeline.reporting.experiment_page import ExperimentPageInputs, experiment_page

    path = page_path(run.stage, run.experiment.name)
    config = run.stage.config
    page = experiment_page(
        ExperimentPageInputs(
            dataset=config.name,
            window=run.stage.window,
            experiment=run.experiment.name,
            title=run.experiment.title,
            question=run.experiment.question,
            reading=run.experiment.reading,
            generated=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            rows=result,
            cost=run.experiment.cost,
            links=links_of_part(run.stage.home, config.name, page_path(run.stage, run.experiment.name)),
            facts={
                "seeds": ", ".join(map(str, config.experiments.seeds)),
                "budget": f"{config.experiments.epochs} epochs, patience {config.experiments.patience}",
                "epochs chosen on": f"validation {config.evaluation.select_on}",
                "protocol": protocol(config, refit=False),
                **encoder_facts(config, run.experiment),
                "data": run.provenance.upstream[str(SPLITS)][:16],
                "code": run.provenance.code_version,
            },
        )
    )
    write_page(path, page, run.provenance)
    write_index_page(run.stage.home)
    return path


def encoder_facts(config: DatasetConfig, experiment: Experiment) -> dict[str, str]:
    """Where encoders that are trained start from, or which encoder made the sets that are compared; else empty."""
    if experiment.sets:
        return {
            "encoders": ", ".join(f"{feature_set_name(each)}: {_made_by(each)}" for each in config.features)
        }
    if not experiment.raw:
        return {}
    starts = (
        f"{entry.modality}: " + ("a pretrained network" if entry.encoder == "network" else "random weights")
        for entry in config.raw
    )
    return {"encoders start from": ", ".join(starts)}


def _made_by(options: EncoderOptions) -> str:
    image = getattr(options, "image", None)
    return f"{options.encoder} of {image.encoder}" if isinstance(image, EncoderOptions) else options.encoder


def experiment_tasks(config: DatasetConfig) -> Iterator[Task]:
    """One task an experiment that the dataset has the content for; none runs unless it is asked for."""
    for name, experiment in EXPERIMENTS.items():
        if not _can_be_asked(config, experiment):
            continue
        seen = seen_by(config, experiment)
        arms = arms_of(config, experiment)
        models = list(dict.fromkeys(arm.model for arm in arms))
        yield Task(
            outputs=(Node(Kind.EXPERIMENTS, name),),
            inputs=sources_of(seen, _needs(config, experiment)),
            run=run_experiment,
            uses=(
                EXPERIMENTS.reference(name),
                *(MODELS[model] for model in models),
                *metric_roots(config.evaluation.accuracy_only().metrics),
            ),
            settings={
                "experiments": config.experiments.model_dump(mode="json"),
                "training": deciding(config.training),
                "evaluation": config.evaluation.accuracy_only().model_dump(mode="json"),
                "missing": config.missing,
                "item_graph_k": config.item_graph_k,
                **joining_of(seen, _needs(config, experiment)),
                "models": {model: config.settings_of(model) for model in models},
            },
            group="experiments",
            description=f"{experiment.title}. {experiment.question}",
            kinds=("pytorch", "html"),
            pool="gpu",
            check_specs=experiment_specs(name),
            check=check_experiment,
        )
