"""Vectors and index of a model whose scores are inner products: `vectors/<model>` and `index/<model>`.

They are of the model that is served: trained on all of the history unless the settings say otherwise.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl
import torch

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.deciding import deciding
from mrs_pipeline.evaluation.history import observing
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.registry import MODELS, family_of
from mrs_pipeline.retrieval.index import RECALL_AT, build_index, recall_against_exact
from mrs_pipeline.stages.checks.suites import expectations, scan_of, suite_outcome
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.indexes import read_index, read_vectors_of
from mrs_pipeline.stored.trained import load_trained
from mrs_pipeline.stored.training_data import (
    filling_of,
    joining_of,
    seeds_of,
    sources_of,
    training_data,
)
from mrs_pipeline.tables.vectors_table import ITEM_SIDE, USER_SIDE, suites
from mrs_pipeline.tasks.node import CORE_ITEMS, CORE_USERS, Kind, Node
from mrs_pipeline.tasks.places import store_of, table_of
from mrs_pipeline.tasks.task import CheckOutcome, CheckSpec, Outcome, Stage, Task
from mrs_pipeline.types import BoolArray, FloatArray

_QUERIES: Final = 500
"""Users whose vectors an index is tried with as it is built, and as many others that it is checked with."""


def has_vectors(name: str) -> bool:
    """Whether a model's scores are inner products of vectors."""
    return MODELS[name].factorises()


def write_model_vectors(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """The vectors of all users and items of which the model knows anything."""
    (node,) = task.outputs
    name, refit = task.subject, stage.config.serving.refit
    data = training_data(stage, MODELS[name].spec, whole=refit)
    model = load_trained(stage, name, stage.config.seeds[0], data, final=refit)
    known = data.valid if data.valid.times is not None else None
    with torch.no_grad(), observing(model, known):
        users, items = (part.cpu().numpy().astype(np.float32) for part in model.representations())
    rankable = model.rankable.cpu().numpy()
    sides = {USER_SIDE: (users, data.users_trained), ITEM_SIDE: (items, rankable)}
    with stage.lake.connect() as con:
        for side, (vectors, kept) in sides.items():
            con.register(f"{side}_vectors", _numbered(vectors, kept).to_arrow())
        select = " UNION ALL ".join(
            f"SELECT '{side}' AS side, vectors.number, named.{side}_id AS id, vectors.vector "
            f'FROM {side}_vectors AS vectors JOIN {scan_of(stage, core)} AS named ON named."{side}" = vectors.number'
            for side, core in ((USER_SIDE, CORE_USERS), (ITEM_SIDE, CORE_ITEMS))
        )
        select = f"SELECT * FROM ({select}) ORDER BY side, number"
        manifest = stage.lake.write(con, table_of(stage, node), select, provenance)
    facts = {
        "width": int(items.shape[1]),
        "users": int(data.users_trained.sum()),
        "items": int(rankable.sum()),
        "items the model knows nothing of": int((~rankable).sum()),
        "mean length of an item's vector": round(float(np.linalg.norm(items[rankable], axis=1).mean()), 4),
    }
    return [Outcome(node, manifest.digest, facts, manifest.columns)]


def write_index(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """An index of a model's item vectors."""
    (node,) = task.outputs
    numbers, vectors = read_vectors_of(stage, task.subject, ITEM_SIDE)
    store, keys = store_of(stage, node)
    with store.writing(*keys, provenance=provenance, facts={"items": len(numbers)}) as directory:
        build_index(directory, vectors, numbers, _queries(stage, task.subject, 0), stage.config.serving.index)
    artifact = store.read(*keys)
    size = sum(path.stat().st_size for path in artifact.directory.iterdir())
    approximate = len(numbers) > stage.config.serving.index.exact_below
    facts = {
        "items": len(numbers),
        "width": int(vectors.shape[1]),
        "search": "HNSW graph" if approximate else "exact",
        "MB": round(size / 1e6, 2),
    }
    return [Outcome(node, artifact.digest, facts)]


def check_model_vectors(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of a model's vectors."""
    scans = (scan_of(stage, node) for node in (task.outputs[0], CORE_USERS, CORE_ITEMS))
    return [suite_outcome(stage, _vectors_spec(task.subject), suites(*scans))]


def check_index(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """What the index finds of what an exact search over the vectors as they are stored finds."""
    spec = _index_spec(task.subject)
    numbers, items = read_vectors_of(stage, task.subject, ITEM_SIDE)
    queries = _queries(stage, task.subject, 1)
    index = read_index(stage, task.subject)
    same = np.array_equal(index.items, numbers) and np.array_equal(index.vectors, items)
    recall = recall_against_exact(index, queries, RECALL_AT) if same else 0.0
    least = stage.config.serving.index.min_recall
    told = (
        f"of the exact first {RECALL_AT} the index finds {recall:.4f} (at least {least:g}), over {len(queries)} users"
        if same
        else "the index is not one of the vectors that are stored"
    )
    facts = {"recall": recall, "users": len(queries), "k": RECALL_AT}
    return [CheckOutcome(spec.name, spec.output, recall >= least, spec.blocking, told, facts)]


def vector_tasks(config: DatasetConfig, name: str, settings: ModelConfig) -> list[Task]:
    """Vectors and index of one model; none where its scores are no inner products."""
    if not has_vectors(name):
        return []
    model, refit = MODELS[name], config.serving.refit
    spec = model.spec
    made = Node(Kind.FINAL if refit else Kind.TRAINED, name)
    vectors, index = Node(Kind.VECTORS, name), Node(Kind.INDEX, name)
    shared: dict[str, Any] = {
        "group": family_of(name),
        "tags": tuple(sorted(cell.tag for cell in spec.cells)),
    }
    return [
        Task(
            outputs=(vectors,),
            inputs=(made, *sources_of(config, spec, whole=refit)),
            run=write_model_vectors,
            uses=(model, *(MODELS[other] for other in settings.wrapped())),
            settings={
                "refit": refit,
                "seed": seeds_of(config, name)[0],
                "missing rows": filling_of(config, spec),
                **joining_of(config, spec),
            },
            description=f"Users' and items' vectors by {spec.title}: their inner products are its scores.",
            kinds=("duckdb",),
            pool="gpu",
            check_specs=(_vectors_spec(name),),
            check=check_model_vectors,
            **shared,
        ),
        Task(
            outputs=(index,),
            inputs=(vectors,),
            run=write_index,
            settings={"index": deciding(config.serving.index)},
            description=f"An index that finds the items with the largest inner products with a vector of {spec.title}.",
            kinds=("numpy",),
            check_specs=(_index_spec(name),),
            check=check_index,
            **shared,
        ),
    ]


def _vectors_spec(name: str) -> CheckSpec:
    return expectations(Node(Kind.VECTORS, name), "one finite vector each, of known users and items.")


def _index_spec(name: str) -> CheckSpec:
    return CheckSpec(
        "recall",
        Node(Kind.INDEX, name),
        f"The index finds what an exact search finds, up to place {RECALL_AT}.",
        blocking=False,
    )


def _queries(stage: Stage, model: str, part: int) -> FloatArray:
    """[B, D] vectors of users, the first or second part of an order drawn by a fixed seed."""
    _, users = read_vectors_of(stage, model, USER_SIDE)
    drawn = np.random.default_rng(1).permutation(len(users))
    chosen = drawn[part * _QUERIES : (part + 1) * _QUERIES]
    return users[np.sort(chosen if len(chosen) else drawn[:_QUERIES])]


def _numbered(vectors: FloatArray, kept: BoolArray) -> pl.DataFrame:
    numbers = np.flatnonzero(kept)
    rows = pl.Series(vectors[numbers], dtype=pl.Array(pl.Float32, vectors.shape[1])).cast(pl.List(pl.Float32))
    return pl.DataFrame({"number": numbers.astype(np.int64), "vector": rows})
