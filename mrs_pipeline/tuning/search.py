"""Choosing a model's hyper-parameters on validation, over the space that its `Config` declares.

No test row can come near: the only inputs are `TrainingData`. What a trial does is `experiment.fit`; which trials there
have been and what to try next, `trials`.
"""

import json
import logging
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from mrs_pipeline.errors import InputError, NonFiniteLossError
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.fitting import configure, fit, prepare
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.pretraining.base import PretrainingConfig
from mrs_pipeline.models.registry import model_class
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.training.pretraining import configure_pretraining
from mrs_pipeline.tuning.trials import Point, Trial, Trials
from mrs_pipeline.types import TrainingData

LEARNING_RATES = (1e-3, 3e-3, 1e-2)
"""Step sizes that are searched where a model names none: how many steps an epoch has is a matter of the data."""

LOG = logging.getLogger("mrs_pipeline")


@dataclass(frozen=True)
class Journal:
    """Where a search is kept, and what besides its settings decides what trials come to.

    Attributes:
        file: the file.
        data: digest of the data.
        code: digest of the code.
        restart: forget the trials that are kept.
    """

    file: Path
    data: str
    code: str
    restart: bool = False


@dataclass(frozen=True)
class Tuned:
    """What `tune` found.

    Attributes:
        settings: the searched settings with the best score; empty where nothing that was tried beats the defaults.
        score: the validation score with them.
        defaults_score: that of the defaults; None where their training diverged.
        fixed: settings that held in every trial.
        space: setting -> values that were searched.
        trials: one row a trial: trial, overrides (JSON), score, epochs, seconds, failure.
    """

    settings: Mapping[str, Any]
    score: float
    defaults_score: float | None
    fixed: Mapping[str, Any]
    space: SearchSpace
    trials: pl.DataFrame


def space_left(model: str, fixed: Mapping[str, Any], only: Collection[str] = ()) -> SearchSpace:
    """What of a model's search space is not fixed and, where any are named, among the settings `only`.

    A model that is trained by steps has its step size in it.
    """
    config = model_class(model).Config
    steps = {"learning_rate": LEARNING_RATES} if issubclass(config, GradientConfig) else {}
    space = {**steps, **config.search_space}
    return {name: values for name, values in space.items() if name not in fixed and name in (only or space)}


def tune(
    data: TrainingData,
    model: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    only: Collection[str] = (),
    trials: int = 20,
    seed: int = 1,
    training: TrainingOptions | None = None,
    evaluation: EvaluationOptions | None = None,
    pretraining: PretrainingConfig | Mapping[str, Any] | None = None,
    journal: Journal | None = None,
) -> Tuned:
    """Tries settings of `model`: its defaults, then the whole grid of at most `trials` points, else seeded TPE.

    Args:
        data: interactions and features.
        model: a name of the registry.
        overrides: settings that stay fixed; these are not searched.
        only: the settings to search; all that the model's space has if none is named.
        trials: most settings to try; defaults outside of the space are trained besides.
        seed: of the search and of every model.
        training: as for `fit`.
        evaluation: names the validation metric to maximise.
        pretraining: settings of the first step, made once for all trials, where the model is the second.
        journal: where trials are kept, so that the search goes on there and none is run twice.

    Raises:
        InputError: there is nothing to search, or nothing to validate on.
        NonFiniteLossError: training diverged with every setting that was tried.
    """
    fixed, training = dict(overrides or {}), training or TrainingOptions()
    space = space_left(model, fixed, only)
    if not space:
        raise InputError(f"model '{model}' has no setting left to search; train it directly")
    search = _Search(
        data, model, fixed, space, seed, training, evaluation or EvaluationOptions(), pretraining
    )
    ended = Trials(
        space,
        search.key(journal),
        None if journal is None else journal.file,
        restart=journal is not None and journal.restart,
    )
    standard = ended.point(search.defaults)
    if standard is None and ended.defaults is None:
        ended.keep_defaults(search.run({}, f"{model}, defaults"))
    whole = math.prod(len(values) for values in space.values()) <= trials
    while (number := len(ended.done)) < trials:
        point = standard if not number else None
        point = point or (ended.next_of_grid() if whole else ended.next_of_tpe(seed))
        if point is None:
            break
        ended.keep(
            point, search.run(ended.settings(point), f"{model}, trial {number + 1} of at most {trials}")
        )
    return _outcome(search, ended, standard, trials)


@dataclass
class _Search:
    """What all trials share."""

    data: TrainingData
    model: str
    fixed: Mapping[str, Any]
    space: SearchSpace
    seed: int
    training: TrainingOptions
    evaluation: EvaluationOptions
    pretraining: PretrainingConfig | Mapping[str, Any] | None
    prepared: TrainingData | None = None

    @property
    def defaults(self) -> dict[str, Any]:
        """What the searched settings are where nobody sets them."""
        config = configure(self.model, self.fixed)
        return {name: getattr(config, name) for name in self.space}

    def key(self, journal: Journal | None) -> str:
        """Digest of all that decides what a trial comes to."""
        first_step = model_class(self.model).spec.pretraining
        settings = self.pretraining
        if first_step and not isinstance(settings, PretrainingConfig):
            settings = configure_pretraining(first_step, settings or {})
        return text_digest(
            self.model,
            configure(self.model, self.fixed).model_dump_json(),
            json.dumps(dict(self.space)),
            str(self.seed),
            self.training.model_dump_json(),
            self.evaluation.select_on,
            settings.model_dump_json() if isinstance(settings, PretrainingConfig) else "",
            *(() if journal is None else (journal.data, journal.code)),
        )[:16]

    def run(self, chosen: Mapping[str, Any], title: str) -> Trial:
        """Train with these settings; a training that diverges is a trial that has failed."""
        data = self._prepared()
        try:
            result = fit(
                data,
                self.model,
                {**self.fixed, **chosen},
                seed=self.seed,
                training=self.training,
                evaluation=self.evaluation,
            ).result
        except NonFiniteLossError as error:
            LOG.warning("%s: %s", title, error)
            return Trial(None, failure=str(error))
        if math.isnan(result.best_score):
            raise InputError(
                f"settings of model '{self.model}' cannot be searched: there is no validation interaction; give the "
                "split a validation share"
            )
        LOG.info("%s: %s %.5f, %.1f s", title, self.evaluation.select_on, result.best_score, result.seconds)
        return Trial(result.best_score, len(result.history), result.seconds)

    def _prepared(self) -> TrainingData:
        """The data with graphs as wide as any trial asks for, and with the first step's vectors; made once."""
        if self.prepared is None:
            config = configure(self.model, self.fixed)
            graphs = [each.setting for each in (config.item_neighbours, config.user_neighbours) if each]
            widest = {
                name: max(self.defaults[name], *self.space[name]) for name in graphs if name in self.space
            }
            config = configure(self.model, {**self.fixed, **widest})
            self.prepared = prepare(self.data, self.model, config, pretraining=self.pretraining)
        return self.prepared


def _outcome(search: _Search, ended: Trials, standard: Point | None, trials: int) -> Tuned:
    """The best of the first `trials` trials, held against the defaults."""
    done = ended.done[:trials]
    defaults = done[0][1] if standard is not None else ended.defaults
    scored = [(trial.score, point) for point, trial in done if trial.score is not None]
    best, point = max(scored, key=lambda each: each[0]) if scored else (-math.inf, None)
    baseline = None if defaults is None else defaults.score
    if baseline is None and point is None:
        raise NonFiniteLossError(
            f"model '{search.model}' diverged with each of the {len(done)} settings tried, the last time so: "
            f"{done[-1][1].failure}"
        )
    beaten = point is not None and (baseline is None or best > baseline)
    rows = [
        {
            "trial": number,
            "overrides": json.dumps({**search.fixed, **ended.settings(tried)}),
            "score": trial.score,
            "epochs": trial.epochs,
            "seconds": trial.seconds,
            "failure": trial.failure,
        }
        for number, (tried, trial) in enumerate(done)
    ]
    return Tuned(
        settings=ended.settings(point) if beaten and point is not None else {},
        score=best if beaten or baseline is None else baseline,
        defaults_score=baseline,
        fixed=search.fixed,
        space=search.space,
        trials=pl.DataFrame(rows, schema_overrides={"score": pl.Float64}),
    )
