"""Choosing a model's hyper-parameters on validation, over the space that its `Config` declares.

No test row can come near: the only inputs are `TrainingData`. What a trial does is `experiment.fit`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.experiment import configure, fit, prepare
from mrs_pipeline.models.pretraining.base import PretrainingConfig
from mrs_pipeline.models.registry import model_class
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.types import TrainingData


@dataclass(frozen=True)
class Tuned:
    """What `tune` found.

    Attributes:
        overrides: the best trial's settings, defaults of the caller included.
        score: its validation score.
        trials: one row a trial: trial, overrides (JSON), score, epochs, seconds.
    """

    overrides: Mapping[str, Any]
    score: float
    trials: pl.DataFrame


def tune(
    data: TrainingData,
    model: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    trials: int = 20,
    seed: int = 1,
    training: TrainingOptions | None = None,
    evaluation: EvaluationOptions | None = None,
    pretraining: PretrainingConfig | Mapping[str, Any] | None = None,
) -> Tuned:
    """Tries settings of `model`: the whole grid where it has at most `trials` points, else seeded TPE.

    Args:
        data: interactions and features.
        model: a name of the registry.
        overrides: settings that stay fixed; these are not searched.
        trials: most models to train.
        seed: of the search and of every model.
        training: as for `fit`.
        evaluation: names the validation metric to maximise.
        pretraining: settings of the first step, made once for all trials, where the model is the second.
    """
    import json

    import optuna

    fixed = dict(overrides or {})
    space = {
        name: values for name, values in model_class(model).Config.search_space.items() if name not in fixed
    }
    if not space:
        raise InputError(f"model '{model}' has no setting left to search; train it directly")
    widest: dict[str, Any] = {name: max(space[name]) for name in ("knn_k", "user_k") if name in space}
    data = prepare(data, model, configure(model, {**fixed, **widest}), pretraining=pretraining)
    rows: list[dict[str, Any]] = []

    def objective(trial: optuna.Trial) -> float:
        chosen = {name: trial.suggest_categorical(name, list(values)) for name, values in space.items()}
        result = fit(
            data, model, {**fixed, **chosen}, seed=seed, training=training, evaluation=evaluation
        ).result
        rows.append(
            {
                "trial": trial.number,
                "overrides": json.dumps({**fixed, **chosen}),
                "score": result.best_score,
                "epochs": len(result.history),
                "seconds": result.seconds,
            }
        )
        return result.best_score

    whole_grid = math.prod(len(values) for values in space.values()) <= trials
    sampler = (
        optuna.samplers.GridSampler({name: list(values) for name, values in space.items()}, seed=seed)
        if whole_grid
        else optuna.samplers.TPESampler(seed=seed)
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=trials)
    return Tuned({**fixed, **study.best_params}, study.best_value, pl.DataFrame(rows))
