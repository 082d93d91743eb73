"""One arm with one seed: take rows away, fill what is missing, train, measure; in a process of its own.

A fresh process makes an arm's peak memory its own and leaves nothing behind for the next one. What the arms are is
said in each experiment's file.
"""

import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any, Final, Never

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.nn.functional import pad

from mrs_pipeline.encoders.completion import complete
from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.evaluation.slices import ALL
from mrs_pipeline.evaluation.summary import shorter_than_catalogue
from mrs_pipeline.fitting import Fitted, fit, measure, run_facts
from mrs_pipeline.functional.independence import mean_dependence
from mrs_pipeline.models.base import AnyRecommender, HasParts, Recommender, Scorer
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.spec import ModelSpec
from mrs_pipeline.studies.base import Arm
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.types import FeatureMatrix, Interactions, TrainingData

WHOLE: Final = "whole"
"""All parts of a model's vectors together."""
_SAMPLE: Final = 1000
"""Items between which independence is measured: the distances of all pairs are held."""


@dataclass(frozen=True)
class ArmResult:
    """What one arm with one seed came to.

    Attributes:
        metrics: part (`whole` or a part's name), slice, metric, k, users, value, ci_low, ci_high, protocol.
        users: part, user, value: the selecting metric of each user on all items.
        facts: epochs, best_epoch, best_score, seconds, seconds_per_epoch, peak_memory_mb, parameters, settings (JSON),
            and dependence (mean distance correlation between parts; None for models without).
    """

    metrics: pl.DataFrame
    users: pl.DataFrame
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class ArmTask:
    """All that the process of an arm needs.

    Attributes:
        data: what the dataset's models may see, all modalities, rows as they are.
        test: held-out rows.
        arm: what to train.
        settings: the dataset's settings of the arm's model; the arm's own come on top.
        missing: the dataset's strategy for missing rows.
        seed: of the removal of rows, of weights and of sampling.
        training: the budget.
        evaluation: the protocol.
    """

    data: TrainingData
    test: Interactions
    arm: Arm
    settings: Mapping[str, Any]
    missing: str
    seed: int
    training: TrainingOptions
    evaluation: EvaluationOptions


def run_arm(task: ArmTask) -> ArmResult:
    """Run one arm in a fresh process and wait for it."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
        return process.submit(measure_arm, task).result()


def measure_arm(task: ArmTask) -> ArmResult:
    """Train an arm and measure it, in this process."""
    arm = task.arm
    data = as_seen(task.data, arm, task.missing, task.seed)
    started = time.perf_counter()
    fitted = fit(
        data,
        arm.model,
        {**task.settings, **arm.settings},
        seed=task.seed,
        training=task.training,
        evaluation=task.evaluation,
    )
    seconds = time.perf_counter() - started  # with graphs and pre-training, where the arm has to make them
    models: dict[str, AnyRecommender] = {WHOLE: fitted.model}
    if arm.parts:
        models |= {name: PartOnly(fitted.model, name) for name in parts_of(fitted.model)}
    options = (
        task.evaluation.accuracy_only()
    )  # arms differ in features, so nothing is measured in their space
    tables = {
        name: measure(model, data, task.test, options, seed=task.seed) for name, model in models.items()
    }
    return ArmResult(
        metrics=pl.concat(
            table.metrics.filter(shorter_than_catalogue(table.metrics))
            .drop("model", "seed", "data_digest", "code_digest")
            .with_columns(part=pl.lit(name))
            for name, table in tables.items()
        ),
        users=pl.concat(
            table.user_metrics.filter(slice=ALL, metric=options.select_metric, k=options.select_k).select(
                "user", "value", part=pl.lit(name)
            )
            for name, table in tables.items()
        ),
        facts={
            **_facts(fitted),
            "seconds": seconds,
            "dependence": dependence(fitted.model, task.seed) if arm.parts else None,
        },
    )


def as_seen(data: TrainingData, arm: Arm, missing: str, seed: int) -> TrainingData:
    """The data as the arm sees them: its modalities only, rows taken away, what is missing filled."""
    chosen = sorted(data.features) if arm.modalities is None else arm.modalities
    unknown = sorted(set(chosen) - set(data.features))
    if unknown:
        raise InputError(
            f"the dataset has no modality '{unknown[0]}'; it has {', '.join(sorted(data.features))}"
        )
    kept = {
        name: without_rows(data.features[name], arm.removed, np.random.default_rng([seed, number]))
        for number, name in enumerate(sorted(data.features))
        if name in chosen
    }
    strategy = arm.missing or missing
    # graphs of whole features would bring back what was taken away
    graphs = data.item_graphs if not arm.removed and strategy == "mask" else {}
    return replace(
        data,
        features=complete(kept, strategy, data.train),
        item_graphs={name: graph for name, graph in graphs.items() if name in chosen},
    )


def without_rows(features: FeatureMatrix, share: float, rng: np.random.Generator) -> FeatureMatrix:
    """`features` without `share` of the rows that it has, drawn by `rng`."""
    if not share:
        return features
    present = np.flatnonzero(features.present)
    gone = rng.choice(present, round(share * len(present)), replace=False)
    kept = np.array(features.present)
    kept[gone] = False
    values = np.array(features.values)
    values[gone] = 0
    return FeatureMatrix(values, kept, features.name)


def parts_of(model: AnyRecommender) -> dict[str, tuple[Tensor, Tensor]]:
    """Part -> user vectors [U, d] and item vectors [I, d]; InputError for a model that has no parts."""
    if not isinstance(model, HasParts):
        raise InputError(f"model '{model.spec.name}' has no parts to be measured one by one")
    with torch.no_grad():
        return {name: (users.detach(), items.detach()) for name, (users, items) in model.parts().items()}


def dependence(model: AnyRecommender, seed: int) -> float:
    """Mean distance correlation between item vectors of different parts, over a sample of items; 0 is independence."""
    items = [items for _, items in parts_of(model).values()]
    widest = max(part.shape[1] for part in items)
    chosen = np.random.default_rng(seed).permutation(model.n_items)[:_SAMPLE]
    rows = torch.from_numpy(chosen).to(model.device)
    same_width = [pad(part[rows], (0, widest - part.shape[1])) for part in items]  # zeros change no distance
    return float(mean_dependence(torch.stack(same_width, dim=1)))


class PartOnly(Recommender[ModelConfig, Never]):
    """A trained model that is scored with one part of its vectors."""

    spec = ModelSpec(
        name="part", title="Part of a model", paper="", url="", cells=frozenset(), complexity="O(I D) a user"
    )
    Config = ModelConfig

    def __init__(self, model: AnyRecommender, part: str) -> None:
        torch.nn.Module.__init__(self)
        self.config = model.config
        self.generator = model.generator
        self.n_users, self.n_items = model.n_users, model.n_items
        self._vectors = parts_of(model)[part]
        self._rankable = model.rankable

    @property
    def rankable(self) -> Tensor:
        """The items that the whole model ranks."""
        return self._rankable

    def representations(self) -> tuple[Tensor, Tensor]:
        """The part's vectors."""
        return self._vectors

    def scorer(self) -> Scorer:
        """Inner products of the part's vectors."""
        users, items = self._vectors
        return lambda batch: users[batch] @ items.T


def _facts(fitted: Fitted) -> dict[str, Any]:
    facts = dict(run_facts(fitted))
    settings = facts.pop("config")
    del facts["model"], facts["seed"], facts["energy_joules"]
    return facts | {"settings": settings}
