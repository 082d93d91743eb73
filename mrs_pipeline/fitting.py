"""One model on one dataset, without Dagster: prepare, fit, save and load, recommend, measure.

The choice of hyper-parameters is in `tuning`. Where things are stored between runs, and under which digests,
is the business of whoever calls: `orchestration` in the pipeline, a notebook elsewhere.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mrs_pipeline.code import Closure, Root, closure
from mrs_pipeline.documents import DocumentError, json_file
from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.folded import FoldedIn
from mrs_pipeline.evaluation.history import known_before, observing
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.evaluation.recommending import rank
from mrs_pipeline.evaluation.slices import Selection, evaluate, most_popular
from mrs_pipeline.evaluation.summary import summary_table, user_table
from mrs_pipeline.functional.graphs import with_further_rows, with_item_graphs, without_links_of
from mrs_pipeline.functional.user_graph import user_graph
from mrs_pipeline.metrics.evidence import ItemFacts
from mrs_pipeline.metrics.registry import metric_roots
from mrs_pipeline.models.base import AnyRecommender
from mrs_pipeline.models.config import GradientConfig, ModelConfig, validated
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.pretraining.base import PretrainingConfig
from mrs_pipeline.models.registry import model_class
from mrs_pipeline.models.spec import BatchKind, FeatureUse
from mrs_pipeline.schema import RANKED_BY_HISTORY, RANKED_BY_MODEL, RANKED_BY_POPULARITY
from mrs_pipeline.tables.columns import frame_types
from mrs_pipeline.training.checkpoint import CheckpointFile
from mrs_pipeline.training.devices import resolve_device
from mrs_pipeline.training.held_memory import MemoryMeter, free_bytes
from mrs_pipeline.training.loop import FitResult, train
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.training.pretraining import configure_pretraining, with_pretrained
from mrs_pipeline.training.warm_start import CarriedOver, WarmStart, carry_over
from mrs_pipeline.training.workload import require_memory
from mrs_pipeline.types import FeatureMatrix, IntArray, Interactions, TopK, TrainingData

WEIGHTS, _CONFIG = "weights.safetensors", "config.json"
_FACTS = {"model": str, "config": dict, "seed": int, "n_users": int, "n_items": int}
"""What `config.json` holds at least."""


@dataclass(frozen=True)
class Fitted:
    """A trained model and how its training went.

    Attributes:
        model: with the weights of its best epoch, ready to score.
        seed: the only source of randomness it was given.
        result: history, best epoch, seconds, memory.
        pretraining: settings of the pretraining that was made for it; None where it needs none or the data
            brought the vectors along.
        carried: what it began from; None where it was trained from scratch.
    """

    model: AnyRecommender
    seed: int
    result: FitResult
    pretraining: PretrainingConfig | None = None
    carried: CarriedOver | None = None


@dataclass(frozen=True)
class Measurement:
    """What `measure` found, as tables.

    Attributes:
        metrics: one row a slice, metric and k: model, seed, slice, metric, k, value, ci_low, ci_high (95 %,
            over users; null for metrics over all users), users, chance (null where it is not known), candidates,
            ranked_by, protocol, data_digest, code_digest.
        user_metrics: one row a user, slice, metric and k: user, slice, metric, k, value.
    """

    metrics: pl.DataFrame
    user_metrics: pl.DataFrame


def prepare(
    data: TrainingData,
    model: str,
    config: ModelConfig,
    *,
    device: torch.device | str = "cpu",
    pretraining: PretrainingConfig | Mapping[str, Any] | None = None,
) -> TrainingData:
    """`data` with what `model` needs and they lack: graphs of items and users, pretrained vectors.

    The graphs are as wide as `config.item_neighbours` and `config.user_neighbours` say.
    """
    spec = model_class(model).spec
    if config.item_neighbours:
        data = with_item_graphs(data, config.item_neighbours.count, device)
    if config.user_neighbours and data.user_graph is None:
        data = replace(data, user_graph=user_graph(data.train, config.user_neighbours.count))
    if spec.pretraining and data.features:  # without features the model itself says what is wrong
        data = with_pretrained(data, spec.pretraining, pretraining, device=device)
    return data


def configure(model: str, overrides: Mapping[str, Any]) -> ModelConfig:
    """The model's settings with `overrides` in place of defaults; InputError names what does not fit."""
    return validated(model_class(model).Config, overrides, f"model '{model}'")


def fit(
    data: TrainingData,
    model: str,
    config: ModelConfig | Mapping[str, Any] | None = None,
    *,
    seed: int = 1,
    training: TrainingOptions | None = None,
    evaluation: EvaluationOptions | None = None,
    checkpoints: Path | None = None,
    pretraining: PretrainingConfig | Mapping[str, Any] | None = None,
    start: WarmStart | None = None,
) -> Fitted:
    """Trains `model` on `data.train`, choosing the epoch on `data.valid`.

    Args:
        data: interactions and features; graphs and pretrained vectors that are missing are made.
        model: a name of the registry.
        config: the model's settings, or overrides of its defaults.
        seed: same data, settings, seed and threads give the same weights, bit by bit on a CPU.
        training: epochs, batches, patience, device.
        evaluation: names the validation metric.
        checkpoints: a directory for this run's state; where it holds a state of the same run, training goes
            on from there. Remove it when the result has been stored.
        pretraining: settings of the first step, or overrides of its defaults, where the model is the second
            and `data` hold no result of the first.
        start: an earlier training to go on from; from scratch if None.

    Raises:
        InputError: the data lack what the model needs, or there is nothing to validate on.
        NonFiniteLossError: training diverged.
    """
    training, evaluation = training or TrainingOptions(), evaluation or EvaluationOptions()
    begun = _begin(data, model, config, seed=seed, training=training, pretraining=pretraining)
    carried, begins = _carried(begun, start, training.warm_share)
    validate = _selection(begun.data, evaluation, begun.model)
    code = _code_of("mrs_pipeline.fitting:fit", begun.model, metric_roots([evaluation.select_metric]))
    chosen = (str(training.eval_every), evaluation.select_on, *begins)
    checkpoint = _checkpoint(checkpoints, begun, seed, training, code, *chosen)
    result = train(begun.model, begun.inputs, training, validate, checkpoint, memory=begun.memory)
    return Fitted(begun.model, seed, result, begun.pretraining, carried)


def refit(
    data: TrainingData,
    model: str,
    config: ModelConfig | Mapping[str, Any] | None = None,
    *,
    epochs: int,
    seed: int = 1,
    training: TrainingOptions | None = None,
    checkpoints: Path | None = None,
    pretraining: PretrainingConfig | Mapping[str, Any] | None = None,
    start: WarmStart | None = None,
) -> Fitted:
    """Trains `model` on `data.train` for exactly so many epochs, choosing nothing: for what is to be served.

    Args:
        data: where the epochs were chosen on validation rows, with these among the training rows
            (`evaluation.history.with_whole_history`).
        model: a name of the registry.
        config: the model's settings, or overrides of its defaults.
        epochs: passes over the data, the `best_epoch` of `fit`; a closed form has none.
        seed: as in `fit`.
        training: batches, device; its epochs and patience are not looked at.
        checkpoints: as in `fit`, another directory.
        pretraining: as in `fit`.
        start: what `fit` began from, when it chose the epochs.

    Raises:
        InputError: the data lack what the model needs.
        NonFiniteLossError: training diverged.
    """
    training = (training or TrainingOptions()).model_copy(update={"epochs": epochs})
    begun = _begin(data, model, config, seed=seed, training=training, pretraining=pretraining)
    carried, begins = _carried(begun, start, training.warm_share)
    # a state of more epochs than are wanted now cannot be gone on from
    code, wanted = _code_of("mrs_pipeline.fitting:refit", begun.model), f"{epochs} epochs"
    checkpoint = _checkpoint(checkpoints, begun, seed, training, code, wanted, *begins)
    result = train(begun.model, begun.inputs, training, None, checkpoint, memory=begun.memory)
    return Fitted(begun.model, seed, result, begun.pretraining, carried)


def save(fitted: Fitted, directory: Path) -> None:
    """Writes weights.safetensors and config.json into `directory`, which must exist."""
    save_model(fitted.model, fitted.seed, directory, fitted.pretraining, fitted.result.best_epoch)


def save_model(
    model: AnyRecommender,
    seed: int,
    directory: Path,
    pretraining: PretrainingConfig | None = None,
    epochs: int | None = None,
) -> None:
    """As `save`, of a trained model by itself; `epochs` that made its weights, None where that is not known."""
    facts = {
        "model": model.spec.name,
        "config": model.config.model_dump(mode="json"),
        "seed": seed,
        "epochs": epochs,
        "n_users": model.n_users,
        "n_items": model.n_items,
        "pretraining": None if pretraining is None else pretraining.model_dump(mode="json"),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, directory / WEIGHTS)
    (directory / _CONFIG).write_text(json.dumps(facts, indent=2) + "\n")


def epochs_of(directory: Path) -> int:
    """The epochs that made the weights that `save` wrote.

    Raises:
        InputError: the file is missing or unreadable, or does not say.
    """
    epochs = _read_facts(directory / _CONFIG).get("epochs")
    if not isinstance(epochs, int):
        raise InputError(f"{directory / _CONFIG} does not say for how many epochs; train the model again")
    return epochs


def load(directory: Path, data: TrainingData, *, device: torch.device | str = "cpu") -> AnyRecommender:
    """The model that `save` wrote, built on the `data` it was trained on.

    A pretraining that `fit` made for it is made again, unless the data bring its vectors along.

    Args:
        directory: where `save` wrote.
        data: what the model was trained on.
        device: where the model, its graphs and its vectors are built.

    Raises:
        InputError: a file is missing or unreadable, or the shapes are those of other data.
    """
    facts = _read_facts(directory / _CONFIG)
    name, config = facts["model"], configure(facts["model"], facts["config"])
    stored, given = (facts["n_users"], facts["n_items"]), (data.train.n_users, data.train.n_items)
    if stored != given:
        raise InputError(
            f"{directory}: model '{name}' was trained on {stored[0]} users and {stored[1]} items, "
            f"the data have {given[0]} and {given[1]}; train it again or load it with its own data"
        )
    prepared = prepare(data, name, config, device=device, pretraining=facts.get("pretraining"))
    inputs = ModelInputs.from_data(prepared, device)
    model = _build(name, config, inputs, facts["seed"])
    try:
        model.load_state_dict(load_file(directory / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise InputError(
            f"{directory / WEIGHTS} does not hold this model's weights ({reason}); train it again"
        ) from error
    return model.eval()


def recommend(
    model: AnyRecommender,
    k: int,
    exclude: Sequence[Interactions],
    users: IntArray | None = None,
    *,
    known: Interactions | None = None,
) -> TopK:
    """The `k` best items of each user (all users if None).

    Args:
        model: a trained model.
        k: length of a list.
        exclude: pairs that are left out.
        users: whom for; all users if None.
        known: what users did after the training rows, with times; sequence models go on from there.
    """
    everyone = np.arange(model.n_users) if users is None else users
    with observing(model, known):
        return rank(model, everyone, k, exclude)


def takes_new_items(model: AnyRecommender) -> str | None:
    """Why a trained model can be given no new item, as a sentence with its remedy; None where it can."""
    spec = model.spec
    if not model.sees_content:
        return f"model '{spec.name}' sees no content, so that it knows nothing of a new item; serve one that does"
    if spec.batches is BatchKind.NONE:
        return (
            f"model '{spec.name}' is solved for the whole catalogue; a new item needs a run of the pipeline"
        )
    content = any(use is not FeatureUse.IGNORED for use in (spec.raw, spec.tokens))
    if spec.pointed_at:
        return (
            f"model '{spec.name}' reaches an item through those that have it among their nearest, as none has a new "
            "one; a new item needs a run of the pipeline"
        )
    if spec.pretraining or spec.knowledge or content or not model.factorises():
        return (
            f"model '{spec.name}' makes an item's vector of more than its extracted features; a new item needs a run "
            "of the pipeline"
        )
    return None


def with_new_items(
    model: AnyRecommender, data: TrainingData, rows: Mapping[str, FeatureMatrix]
) -> AnyRecommender:
    """`model` with n further items that nobody has taken: built on their content too, weights as trained.

    What is learned for each item is for these as it is for all items without a training row. In graphs of
    items a new item points to its nearest ones, and none points to it.

    Args:
        model: that takes new items (`takes_new_items` gives no reason against it).
        data: what it was trained on.
        rows: modality -> [n, F] their features, for each modality of `data`.

    Raises:
        InputError: the model takes no new items.
    """
    reason = takes_new_items(model)
    if reason:
        raise InputError(reason)
    n = len(next(iter(rows.values())).values)
    prepared = prepare(data, model.spec.name, model.config, device=model.device)
    features = {
        name: FeatureMatrix(
            np.concatenate([np.asarray(matrix.values, np.float32), rows[name].values]),
            np.concatenate([matrix.present, rows[name].present]),
            name,
        )
        for name, matrix in data.features.items()
    }
    train, valid = (replace(part, n_items=part.n_items + n) for part in (data.train, data.valid))
    grown = replace(
        prepared,
        train=train,
        valid=valid,
        features=features,
        item_graphs={
            name: with_further_rows(graph, features[name]) for name, graph in prepared.item_graphs.items()
        },
        candidates=None,
    )
    again = _build(model.spec.name, model.config, ModelInputs.from_data(grown, model.device), 0)
    again.load_state_dict(_lengthened(model.state_dict(), again.state_dict(), n))
    return again.eval()


def with_content(
    model: AnyRecommender, data: TrainingData, modality: str, changed: Sequence[int]
) -> AnyRecommender:
    """`model` built on other features of some items, weights as trained.

    Their rows in the modality's graph of items lead nowhere; the graphs of other modalities are as they were.

    Args:
        model: that is trained by steps.
        data: what it was trained on, but for features of the items `changed`, which are present as they were.
        modality: whose features changed.
        changed: those items.
    """
    prepared = prepare(data, model.spec.name, model.config, device=model.device)
    graphs = {
        name: without_links_of(graph, changed) if name == modality else graph
        for name, graph in prepared.item_graphs.items()
    }
    again = _build(
        model.spec.name,
        model.config,
        ModelInputs.from_data(replace(prepared, item_graphs=graphs), model.device),
        0,
    )
    again.load_state_dict(model.state_dict())
    return again.eval()


def _lengthened(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], n: int) -> dict[str, Tensor]:
    """`state` with n more rows, or columns, where a tensor has one an item: as they are before any training."""
    longer = {}
    for name, tensor in state.items():
        padded = wanted[name].clone()
        lacking = [new - old for new, old in zip(padded.shape, tensor.shape, strict=True)]
        if set(lacking) - {0, n}:
            raise ValueError(
                f"{name} has {tuple(tensor.shape)} numbers, {tuple(padded.shape)} with {n} more items"
            )
        padded[tuple(slice(size) for size in tensor.shape)] = tensor
        longer[name] = padded
    return longer


def recommend_to(
    model: AnyRecommender,
    k: int,
    rows: Interactions,
    users: IntArray | None = None,
    *,
    exclude_seen: bool = True,
) -> TopK:
    """The `k` best items for histories of anybody: user u of `rows` is what u took there, and no more.

    Args:
        model: that folds histories in.
        k: length of a list.
        rows: the histories.
        users: whom for; all that `rows` count if None.
        exclude_seen: whether items of the history are left out.

    Raises:
        InputError: the model cannot rank for a history.
    """
    if not model.folds_in():
        raise InputError(
            f"model '{model.spec.name}' knows a user by a vector learned in training, which its scores are no product "
            "with, and cannot rank for a history; name a user that it was trained on, or another model"
        )
    everyone = np.arange(rows.n_users) if users is None else users
    return rank(FoldedIn.of_rows(model, rows), everyone, k, [rows] if exclude_seen else [])


def served(model: AnyRecommender, data: TrainingData, k: int) -> tuple[TopK, npt.NDArray[np.str_]]:
    """The `k` best items of every user, without what they had in training or validation, and who ranked them.

    Users without training rows are ranked for from their validation rows (`history`) by models that fold histories
    in; by popularity where they have no row at all, or where the model cannot.

    Args:
        model: a trained model.
        data: what it was trained on.
        k: length of a list.

    Returns:
        The lists, and [U] `schema.RANKED_BY`.
    """
    timed = data.valid.times is not None
    seen = [data.train, data.valid]
    lists = recommend(model, k, seen, known=data.valid if timed else None)
    ranked_by = np.full(model.n_users, RANKED_BY_MODEL, dtype=object)
    new = ~data.users_trained
    told = new & (np.bincount(data.valid.users, minlength=data.valid.n_users) > 0) & model.folds_in()
    for users, by in (
        (np.flatnonzero(told), RANKED_BY_HISTORY),
        (np.flatnonzero(new & ~told), RANKED_BY_POPULARITY),
    ):
        if len(users):
            stand_in = FoldedIn.of_rows(model, data.valid) if by == RANKED_BY_HISTORY else most_popular(data)
            theirs = rank(stand_in, users, k, seen)
            lists.items[users], lists.scores[users] = theirs.items, theirs.scores
            ranked_by[users] = by
    return lists, ranked_by.astype(np.str_)


def measure(
    model: AnyRecommender,
    data: TrainingData,
    test: Interactions,
    options: EvaluationOptions | None = None,
    *,
    facts: ItemFacts | None = None,
    seed: int,
    data_digest: str = "",
    code_digest: str = "",
) -> Measurement:
    """Metrics on `test` for all, warm and cold items and for new users. For finished models, never to choose anything.

    A sequence model is shown the validation rows that precede a user's test rows; see `evaluation.history`.

    Args:
        model: a trained model.
        data: what it was trained on.
        test: held-out rows.
        options: metrics, cut-offs, exclusion rule.
        facts: features and attribute of the items for the metrics that need them; the features in `data` if None.
        seed: the model's, for the table.
        data_digest: of the split, for the table.
        code_digest: of the code, for the table.
    """
    with observing(model, known_before(data.valid, test)):
        slices = evaluate(
            model,
            data,
            test,
            options or EvaluationOptions(),
            facts,
            new_users=_new_users(model, data, test),
            tie_seed=seed,
        )
    metrics = summary_table(slices).with_columns(
        pl.lit(model.spec.name).alias("model"),
        pl.lit(seed, pl.Int64).alias("seed"),
        pl.lit(data_digest).alias("data_digest"),
        pl.lit(code_digest).alias("code_digest"),
    )
    return Measurement(metrics, user_table(slices))


def _new_users(model: AnyRecommender, data: TrainingData, test: Interactions) -> FoldedIn | None:
    """The model for users without training rows, of what they did before their test rows; None where it cannot."""
    rows = data.valid if test.times is None else known_before(data.valid, test)
    if rows is None or not model.folds_in():
        return None
    new = ~data.users_trained
    asked = new & (np.bincount(test.users, minlength=test.n_users) > 0)
    told = asked & (np.bincount(rows.users, minlength=rows.n_users) > 0)
    return FoldedIn.of_rows(model, rows) if told.any() else None


def history_table(result: FitResult) -> pl.DataFrame:
    """The training history: one row an epoch and measure (epoch, measure, value).

    Measures are `seconds`, `validation_seconds`, `validation_score` and `loss/<term>`.
    """
    rows = [
        (record.epoch, measure, value)
        for record in result.history
        for measure, value in (
            ("seconds", record.seconds),
            ("validation_seconds", record.validation_seconds),
            ("validation_score", record.score),
            *((f"loss/{term}", value) for term, value in record.losses.items()),
        )
        if value is not None
    ]
    return pl.DataFrame(rows, schema=frame_types("epoch", "measure", "value:measure"), orient="row")


def run_facts(fitted: Fitted) -> dict[str, str | int | float | None]:
    """The run in one row: model, seed, config (JSON), parameters, epochs, best epoch and score, cost, threads."""
    model, result = fitted.model, fitted.result
    return {
        "model": model.spec.name,
        "seed": fitted.seed,
        "config": model.config.model_dump_json(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "epochs": len(result.history),
        "best_epoch": result.best_epoch,
        "best_score": result.best_score,
        "seconds": result.seconds,
        "seconds_per_epoch": float(np.median([record.seconds for record in result.history])),
        "peak_memory_mb": result.peak_memory_mb,
        "energy_joules": result.energy_joules,
        "threads": torch.get_num_threads(),
    }


def _first_step(
    data: TrainingData, model: str, settings: PretrainingConfig | Mapping[str, Any] | None
) -> PretrainingConfig | None:
    """Settings of the pretraining that has to be made for `model`, if any."""
    name = model_class(model).spec.pretraining
    if name is None or data.pretrained_by(name):
        return None
    return (
        settings if isinstance(settings, PretrainingConfig) else configure_pretraining(name, settings or {})
    )


@dataclass(frozen=True)
class _Begun:
    """A model that has been built and not trained yet."""

    data: TrainingData
    inputs: ModelInputs
    model: AnyRecommender
    pretraining: PretrainingConfig | None
    memory: MemoryMeter


def _begin(
    data: TrainingData,
    model: str,
    config: ModelConfig | Mapping[str, Any] | None,
    *,
    seed: int,
    training: TrainingOptions,
    pretraining: PretrainingConfig | Mapping[str, Any] | None,
) -> _Begun:
    settings = config if isinstance(config, ModelConfig) else configure(model, config or {})
    device = resolve_device(training)
    if isinstance(settings, GradientConfig):
        users = data.train.n_users if model_class(model).spec.batches is BatchKind.PAIRS else 0
        require_memory(model, users + data.train.n_items, settings.embedding_size, free_bytes(device))
    memory = MemoryMeter(device)
    first_step = _first_step(data, model, pretraining)
    data = prepare(data, model, settings, device=device, pretraining=first_step)
    inputs = ModelInputs.from_data(data, device)
    return _Begun(data, inputs, _build(model, settings, inputs, seed), first_step, memory)


def _carried(
    begun: _Begun, start: WarmStart | None, share: float
) -> tuple[CarriedOver | None, tuple[str, ...]]:
    """What was put into the model of an earlier training, and what a checkpoint must know of it."""
    if start is None:
        return None, ()
    return carry_over(begun.model, begun.inputs, start, share), (start.digest,)


def _build(model: str, config: ModelConfig, inputs: ModelInputs, seed: int) -> AnyRecommender:
    generator = torch.Generator(inputs.device)
    generator.manual_seed(seed)
    return model_class(model)(config, inputs, generator)


def _selection(data: TrainingData, options: EvaluationOptions, model: AnyRecommender) -> Selection:
    selection = Selection(data, options, model.device)
    if model.spec.batches is not BatchKind.NONE and not selection.n_users:
        raise InputError(
            f"model '{model.spec.name}' cannot choose its best epoch: there is no validation interaction; "
            "give the split a validation share"
        )
    return selection


def _code_of(function: str, model: AnyRecommender, metrics: Sequence[Root] = ()) -> Closure:
    """The code that decides what a training comes to."""
    return closure(function, type(model), *map(model_class, model.config.wrapped()), *metrics)


def _checkpoint(
    directory: Path | None,
    begun: _Begun,
    seed: int,
    training: TrainingOptions,
    code: Closure,
    *chosen: str,
) -> CheckpointFile | None:
    """Where a run keeps its state, if anywhere; `chosen` says by what its end is decided."""
    if directory is None:
        return None
    return CheckpointFile(directory, _fingerprint(begun.data, begun.model, seed, training, code, *chosen))


def _fingerprint(
    data: TrainingData,
    model: AnyRecommender,
    seed: int,
    training: TrainingOptions,
    code: Closure,
    *chosen: str,
) -> str:
    from mrs_pipeline.storage.digests import array_digest, text_digest

    arrays: list[np.ndarray] = [data.train.users, data.train.items, data.valid.users, data.valid.items]
    arrays += [] if data.train.times is None else [data.train.times]
    arrays += [np.asarray(data.raw[name].values) for name in sorted(data.raw)]
    arrays += [np.asarray(data.tokens[name].values) for name in sorted(data.tokens)]
    arrays += [np.asarray(data.features[name].values) for name in sorted(data.features)]
    arrays += [data.pretrained[name].values for name in sorted(data.pretrained)]
    if data.knowledge is not None:
        arrays += [data.knowledge.heads, data.knowledge.relations, data.knowledge.tails]
    arrays += [data.features[name].present for name in sorted(data.features)]
    arrays += [data.raw[name].present for name in sorted(data.raw)]
    arrays += [data.tokens[name].present for name in sorted(data.tokens)]
    arrays += [data.pretrained[name].present for name in sorted(data.pretrained)]
    graphs = [data.item_graphs[name] for name in sorted(data.item_graphs)]
    graphs += [] if data.user_graph is None else [data.user_graph]
    arrays += [part for graph in graphs for part in (graph.indptr, graph.indices, graph.weights)]
    # more epochs or patience may be asked of an unfinished run; what shapes a single epoch may not change
    return text_digest(
        code.digest,
        model.spec.name,
        model.config.model_dump_json(),
        str(seed),
        str(training.batch_size),
        str(training.max_steps),
        training.precision,
        str(training.compile),
        "" if training.mirror_gradient is None else training.mirror_gradient.model_dump_json(),
        "" if training.modality_dropout is None else training.modality_dropout.model_dump_json(),
        *chosen,
        array_digest(*arrays, *([] if data.candidates is None else [data.candidates])),
    )


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        facts = json_file(path)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; save the model again") from error
    except DocumentError as error:
        raise error.of(path, "save the model again") from error
    lacking = _FACTS.keys() - facts.keys()
    if lacking:
        raise InputError(f"{path} lacks '{min(lacking)}'; save the model again")
    wrong = next((name for name, kind in _FACTS.items() if type(facts[name]) is not kind), None)
    if wrong:
        raise InputError(f"{path}: '{wrong}' is not what save writes; save the model again")
    return facts
