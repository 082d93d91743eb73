"""Train, recommend, measure: the three stages of one model at one window.

How a model is fitted and ranked is `experiment`; here its inputs are fetched from the stores and its results put
there. Test rows are read in one place, `measure_model`.
"""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import rmtree

import numpy as np
import polars as pl

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.encoders.completion import complete
from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.summary import telling
from mrs_pipeline.experiment import Fitted, fit, history_table, load, measure, recommend, run_facts, save
from mrs_pipeline.functional.graphs import knn_graph
from mrs_pipeline.models import blocks
from mrs_pipeline.models.base import BatchKind, FeatureUse, ModelConfig, Needs, Recommender
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.reporting.drawing import png
from mrs_pipeline.reporting.inputs import VALID_TERM
from mrs_pipeline.reporting.plots import training_curves
from mrs_pipeline.schema import ITEM, SPLIT, TEST, TRAIN, USER, VALID
from mrs_pipeline.stages.base import Outcome, Stage, Task
from mrs_pipeline.stages.checks import (
    LIST_LENGTH,
    check_metrics,
    check_recommendations,
    check_trained,
    metrics_specs,
    recommendation_specs,
    trained_specs,
)
from mrs_pipeline.stages.features import read_features, read_graph
from mrs_pipeline.stages.item_vectors import read_vectors
from mrs_pipeline.stages.knowledge import read_knowledge
from mrs_pipeline.stages.nodes import (
    KNOWLEDGE_GRAPH,
    SPLITS,
    USERS,
    provenance_of,
    table_of,
    upstream,
    version,
)
from mrs_pipeline.stages.raw_content import read_raw_content
from mrs_pipeline.types import FloatArray, Interactions, RawContent, SparseGraph, TopK, TrainingData

SHARED_CODE = (
    "models.base",
    "models.knowledge",
    *sorted(f"models.{path.stem}" for path in Path(blocks.__file__).parent.glob("blocks*.py")),
    "functional",
)
"""Modules that a model of any file may be made of."""


def training_data(stage: Stage, spec: Needs) -> TrainingData:
    """What a model or a pretraining may see at this window: no test row can be among it."""
    chosen = stage.config.model_features if spec.features is not FeatureUse.IGNORED else {}
    train = interactions(stage, TRAIN)
    stored = {modality: read_features(stage, name) for modality, name in chosen.items()}
    features = complete(stored, stage.config.missing, train)
    graphs: dict[str, SparseGraph] = {}
    if spec.item_graph:
        graphs = {
            modality: read_graph(stage, name)
            if stores_graphs(stage.config)
            else knn_graph(features[modality], stage.config.knn_k)
            for modality, name in chosen.items()
        }
    users = read_graph(stage, USERS) if spec.user_graph else None
    vectors = read_vectors(stage, spec.pretraining) if spec.pretraining else {}
    knowledge = read_knowledge(stage) if spec.knowledge else None
    raw: dict[str, RawContent] = {}
    if spec.raw is not FeatureUse.IGNORED:
        raw = {modality: read_raw_content(stage, modality) for modality in stage.config.raw_modalities}
    return TrainingData(
        train=train,
        valid=interactions(stage, VALID),
        features=features,
        item_graphs=graphs,
        user_graph=users,
        pretrained=vectors,
        knowledge=knowledge,
        raw=raw,
    )


def stores_graphs(config: DatasetConfig) -> bool:
    """Whether the item graphs are assets; filled rows depend on interactions, so theirs are built where needed."""
    return config.missing == "mask"


def interactions(stage: Stage, split: str) -> Interactions:
    """The rows of one split, by dense number."""
    with stage.lake.connect() as con:
        scan = stage.lake.scan(stage.table("core", "splits"))
        columns = con.execute(
            f'SELECT "{USER}", "{ITEM}", epoch(timestamp)::BIGINT AS time FROM {scan} WHERE "{SPLIT}" = ? '
            f'ORDER BY "{USER}", time, "{ITEM}"',
            [split],
        ).fetchnumpy()
    times = np.ma.asarray(columns["time"])
    return Interactions(
        users=np.asarray(columns[USER], dtype=np.int64),
        items=np.asarray(columns[ITEM], dtype=np.int64),
        n_users=stage.lake.manifest(stage.table("core", "users")).rows,
        n_items=stage.lake.manifest(stage.table("core", "items")).rows,
        times=None if np.ma.is_masked(times) else np.asarray(times, dtype=np.int64),
    )


def train_model(stage: Stage, task: Task) -> Sequence[Outcome]:
    """Fit the model once a seed, choosing the epoch on validation; goes on from its checkpoint after a kill."""
    name = task.name.partition("/")[2]
    config = stage.config.model_configs[name]
    data = training_data(stage, MODELS[name].spec)
    keys = (stage.config.name, stage.window, name)
    provenance = provenance_of(stage, task)
    checkpoints = _checkpoints(stage, name)
    runs: list[Fitted] = []
    with stage.models.writing(
        *keys, provenance=provenance, facts={"seeds": list(seeds_of(stage.config, name))}
    ) as directory:
        for seed in seeds_of(stage.config, name):
            fitted = fit(
                data,
                name,
                config,
                seed=seed,
                training=stage.config.training,
                evaluation=stage.config.evaluation,
                checkpoints=checkpoints / f"seed={seed}",
            )
            folder = directory / f"seed={seed}"
            folder.mkdir()
            save(fitted, folder)
            runs.append(fitted)
        facts = [run_facts(fitted) | {"device": str(fitted.model.device)} for fitted in runs]
        history = pl.concat(
            [
                history_table(each.result).with_columns(pl.lit(each.seed, pl.Int64).alias("seed"))
                for each in runs
            ]
        )
        # before the weights are published: where these lie, all of the training does
        stage.lake.write_frame(
            stage.table("models", "runs", model=name), _runs(stage, name, facts), provenance
        )
        stage.lake.write_frame(stage.table("models", "history", model=name), history, provenance)
    rmtree(checkpoints, ignore_errors=True)  # absent where the model needs no checkpoint
    return [
        Outcome(task.outputs[0], stage.models.read(*keys).digest, _training_facts(stage, name, runs, history))
    ]


def recommend_items(stage: Stage, task: Task) -> Sequence[Outcome]:
    """The lists that would be served: the best items of every user, by the first seed's model."""
    name = task.name.partition("/")[2]
    data = training_data(stage, MODELS[name].spec)
    model = _load(stage, name, stage.config.seeds[0], data)
    known = data.valid if data.valid.times is not None else None
    lists = recommend(model, LIST_LENGTH, [data.train, data.valid], known=known)
    with stage.lake.connect() as con:
        con.register("lists", _rows(lists).to_arrow())
        select = f"""
            SELECT lists.user, lists.rank, lists.item, users.user_id, items.item_id, lists.score
            FROM lists
            JOIN {stage.lake.scan(stage.table("core", "users"))} AS users USING (user)
            JOIN {stage.lake.scan(stage.table("core", "items"))} AS items USING (item)
            ORDER BY lists.user, lists.rank
        """
        manifest = stage.lake.write(con, table_of(stage, task.outputs[0]), select, provenance_of(stage, task))
    facts = {
        "users": len(lists.users),
        "list length": LIST_LENGTH,
        "items recommended to anyone": int(np.unique(lists.items[lists.items >= 0]).size),
        "share of the catalogue": round(
            np.unique(lists.items[lists.items >= 0]).size / data.train.n_items, 4
        ),
        "sample": stage.lake.read(table_of(stage, task.outputs[0])).head(10),
    }
    return [Outcome(task.outputs[0], manifest.digest, facts, manifest.columns)]


def measure_model(stage: Stage, task: Task) -> Sequence[Outcome]:
    """Metrics on the test rows, for each seed. The only reader of test rows."""
    name = task.name.partition("/")[2]
    data = training_data(stage, MODELS[name].spec)
    test = interactions(stage, TEST)
    digests = upstream(stage, task)
    provenance = provenance_of(stage, task)
    found, seconds = [], []
    for seed in seeds_of(stage.config, name):
        model = _load(stage, name, seed, data)
        started = time.perf_counter()
        found.append(
            measure(
                model,
                data,
                test,
                stage.config.evaluation,
                seed=seed,
                data_digest=digests[SPLITS][:16],
                code_digest=version(task),
            )
        )
        seconds.append(time.perf_counter() - started)
    metrics = pl.concat([each.metrics for each in found]).with_columns(
        pl.lit(protocol(stage.config)).alias("protocol"),
        pl.lit(float(np.mean(seconds))).alias("seconds_evaluation"),
    )
    users = pl.concat(
        [
            each.user_metrics.with_columns(pl.lit(seed, pl.Int64).alias("seed"))
            for seed, each in zip(seeds_of(stage.config, name), found, strict=True)
        ]
    )
    metrics, users = metrics.filter(telling(data.train)), users.filter(telling(data.train))
    stage.lake.write_frame(stage.table("eval", "user_metrics", model=name), users, provenance)
    manifest = stage.lake.write_frame(table_of(stage, task.outputs[0]), metrics.drop("model"), provenance)
    return [
        Outcome(
            task.outputs[0],
            manifest.digest,
            _metric_facts(metrics, float(np.mean(seconds))),
            manifest.columns,
        )
    ]


def seeds_of(config: DatasetConfig, name: str) -> tuple[int, ...]:
    """The seeds a model is trained with: a closed form has one solution, whatever the seed."""
    solved = MODELS[name].spec.batches is BatchKind.NONE
    return config.seeds[:1] if solved else config.seeds


def popularity_score(stage: Stage) -> float:
    """What recommending the most popular items scores on validation: the floor of every model."""
    data = training_data(stage, MODELS["most_pop"].spec)
    return fit(data, "most_pop", evaluation=stage.config.evaluation).result.best_score


def stored_weights(stage: Stage, name: str) -> Iterator[tuple[str, FloatArray]]:
    """Name and values of each stored tensor of a trained model, seed by seed."""
    from safetensors.numpy import load_file

    directory = stage.models.read(stage.config.name, stage.window, name).directory
    for path in sorted(directory.glob("seed=*/*.safetensors")):
        for tensor, values in load_file(path).items():
            yield f"{path.parent.name}/{tensor}", values


def protocol(config: DatasetConfig) -> str:
    """The rules behind a dataset's numbers; rows under other rules are never ranked beside them."""
    excluded = config.evaluation.exclude.replace("_", " + ")
    if config.windowed:
        split = (
            f"walk-forward by {config.window.every}, validation the last {config.split.valid:.0%} of history"
        )
    else:
        settings = config.split.model_dump(exclude_defaults=False)
        if not settings["cold_items"]:
            del settings["cold_items"]
        details = ", ".join(f"{key} {value}" for key, value in settings.items() if key != "strategy")
        split = config.split.strategy + ("" if config.split.strategy == "given" else f" ({details})")
    return f"full ranking of the slice's items; excluded: {excluded}; ties by item number; split: {split}"


def long_history(history: pl.DataFrame) -> pl.DataFrame:
    """`models.history` rows as the report draws them: seconds beside every loss term and validation score."""
    keys = [name for name in ("dataset", "window", "model", "seed", "epoch") if name in history.columns]
    seconds = history.filter(pl.col("measure") == "seconds").select(*keys, seconds="value")
    measure = pl.col("measure")
    terms = history.filter(measure.str.starts_with("loss/") | (measure == "validation_score")).with_columns(
        term=pl.when(measure == "validation_score")
        .then(pl.lit(VALID_TERM))
        .otherwise(measure.str.strip_prefix("loss/"))
    )
    return terms.join(seconds, on=keys, how="left").drop("measure")


def _checkpoints(stage: Stage, name: str) -> Path:
    return stage.home.models / stage.config.name / stage.window / name / "resume"


def _load(stage: Stage, name: str, seed: int, data: TrainingData) -> Recommender:
    directory = stage.models.read(stage.config.name, stage.window, name).directory / f"seed={seed}"
    if not directory.is_dir():
        raise InputError(
            f"trained/{name} of {stage.config.name} {stage.window} has no seed {seed}; train it again."
        )
    return load(directory, data)


def _rows(lists: TopK) -> pl.DataFrame:
    """Long form, without the places that no candidate was left for."""
    n_users, length = lists.items.shape
    return pl.DataFrame(
        {
            "user": np.repeat(lists.users, length),
            "rank": np.tile(np.arange(1, length + 1, dtype=np.int32), n_users),
            "item": lists.items.ravel(),
            "score": lists.scores.ravel(),
        }
    ).filter(pl.col("item") >= 0)


def _runs(stage: Stage, name: str, facts: list[dict[str, str | int | float]]) -> pl.DataFrame:
    spec = MODELS[name].spec
    modalities = sorted(stage.config.model_features) if spec.features is not FeatureUse.IGNORED else []
    if spec.raw is not FeatureUse.IGNORED:
        modalities = sorted({*modalities, *stage.config.raw_modalities})
    return (
        pl.DataFrame(facts)
        .drop("model")
        .with_columns(
            pl.Series("cells", [sorted(str(cell) for cell in spec.cells)] * len(facts)),
            pl.Series("modalities", [modalities] * len(facts), dtype=pl.List(pl.String)),
            pl.lit(stage.config.evaluation.select_on).alias("select_on"),
        )
    )


def _training_facts(stage: Stage, name: str, runs: list[Fitted], history: pl.DataFrame) -> dict[str, object]:
    results = [each.result for each in runs]
    facts: dict[str, object] = {
        "epochs": [len(result.history) for result in results],
        "best epoch": [result.best_epoch for result in results],
        f"validation {stage.config.evaluation.select_on}": [
            round(result.best_score, 5) for result in results
        ],
        "seconds": round(sum(result.seconds for result in results), 2),
        "peak memory MB": round(max(result.peak_memory_mb for result in results)),
        "settings": runs[0].model.config.model_dump(mode="json"),
    }
    if history["epoch"].n_unique() > 1:
        facts["training curve"] = _curve(stage, name, runs, history)
    return facts


def _curve(stage: Stage, name: str, runs: list[Fitted], history: pl.DataFrame) -> bytes:
    """The training curves as PNG."""
    keys = {"dataset": stage.config.name, "window": stage.window, "model": name}
    rows = long_history(history).with_columns(pl.lit(value).alias(key) for key, value in keys.items())
    best = pl.DataFrame([{**keys, "seed": each.seed, "best_epoch": each.result.best_epoch} for each in runs])
    return png(training_curves(rows, best, [name]))


def _metric_facts(metrics: pl.DataFrame, seconds: float) -> dict[str, object]:
    mean = metrics.group_by("slice", "metric", "k", maintain_order=True).agg(
        pl.col("value").mean(), pl.col("users").first()
    )
    if mean.is_empty():
        return {"note": "no test row in this window yet: nothing to score"}
    headline = {
        f"{metric}@{k}": round(value, 5)
        for slice_name, metric, k, value, _ in mean.iter_rows()
        if slice_name == "all" and k == 20 and metric in ("recall", "ndcg")
    }
    return {
        **headline,
        "users": int(mean["users"][0]),
        "seconds": round(seconds, 3),
        "metrics": mean.filter(pl.col("k") == 20),
    }


def sources_of(config: DatasetConfig, spec: Needs) -> tuple[str, ...]:
    """Names of all that `training_data` reads."""
    chosen = list(config.model_features.values()) if spec.features is not FeatureUse.IGNORED else []
    graphs = chosen if spec.item_graph and stores_graphs(config) else []
    raw = config.raw_modalities if spec.raw is not FeatureUse.IGNORED else ()
    return (
        *("core/users", "core/items", SPLITS),
        *(f"features/{each}" for each in chosen),
        *(f"graphs/{each}" for each in graphs),
        *((f"graphs/{USERS}",) if spec.user_graph else ()),
        *((KNOWLEDGE_GRAPH,) if spec.knowledge else ()),
        *((f"pretrained/{spec.pretraining}",) if spec.pretraining else ()),
        *(f"raw_content/{modality}" for modality in raw),
    )


def filling_of(config: DatasetConfig, spec: Needs) -> dict[str, object]:
    """The settings by which `training_data` fills missing rows; empty where it fills none."""
    uses_features = bool(config.model_features) and spec.features is not FeatureUse.IGNORED
    if not uses_features or config.missing == "mask":
        return {}
    return {"missing": config.missing, "knn_k": config.knn_k}


def model_tasks(config: DatasetConfig, name: str, settings: ModelConfig) -> list[Task]:
    """Train, recommend and measure for one model; inputs, tags and group derive from its spec."""
    model = MODELS[name]
    spec = model.spec
    filling = filling_of(config, spec)
    code = (
        model.__module__.removeprefix("mrs_pipeline."),
        *SHARED_CODE,
        "experiment",
        *spec.code,
        *(("encoders.missing", "encoders.completion") if filling else ()),
    )
    tags = tuple(sorted(cell.tag for cell in spec.cells))
    family = model.__module__.split(".")[2]
    inputs = sources_of(config, spec)
    fitting = [
        settings.model_dump(mode="json"),
        config.training.model_dump(mode="json"),
        seeds_of(config, name),
        config.evaluation.select_on,
        filling,
    ]
    return [
        Task(
            name=f"trained/{name}",
            outputs=(f"trained/{name}",),
            inputs=inputs,
            run=train_model,
            code=(*code, "training", "evaluation"),
            settings=json.dumps(fitting, sort_keys=True),
            description=f"{spec.title} ({spec.paper}), trained once a seed; epochs chosen on validation. {spec.url}",
            kinds=("pytorch",),
            pool="gpu",
            check_specs=trained_specs(name),
            check=check_trained,
            keep=True,
            group=family,
            tags=tags,
        ),
        Task(
            name=f"recommendations/{name}",
            outputs=(f"recommendations/{name}",),
            inputs=(f"trained/{name}", *inputs),
            run=recommend_items,
            code=(*code, "evaluation"),
            settings=json.dumps(filling, sort_keys=True),
            description=f"The {LIST_LENGTH} best items of every user by {spec.title}, without what they already had.",
            kinds=("duckdb",),
            pool="gpu",
            check_specs=recommendation_specs(name),
            check=check_recommendations,
            group=family,
            tags=tags,
        ),
        Task(
            name=f"metrics/{name}",
            outputs=(f"metrics/{name}",),
            inputs=(f"trained/{name}", *inputs),
            run=measure_model,
            code=(*code, "evaluation"),
            settings=json.dumps([config.evaluation.model_dump(mode="json"), filling], sort_keys=True),
            description=f"{spec.title} on the test rows: recall, ndcg and more; all, warm and cold items.",
            kinds=("duckdb",),
            pool="gpu",
            check_specs=metrics_specs(name),
            check=check_metrics,
            group=family,
            tags=tags,
        ),
    ]
