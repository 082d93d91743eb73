"""Vectors and index of a model as they are stored. How they are made is `stages.model_vectors`."""

import numpy as np

from mrs_pipeline.retrieval.index import ItemIndex, open_index
from mrs_pipeline.stored.intact import intact_artifact
from mrs_pipeline.tasks.node import Kind, Node
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.types import FloatArray, IntArray


def read_vectors_of(stage: Stage, model: str, side: str) -> tuple[IntArray, FloatArray]:
    """Dense numbers [n] int64, ascending, and vectors [n, D] float32 of a model's users or items."""
    with stage.lake.connect() as con:
        rows = con.sql(
            f"SELECT number, vector FROM {stage.lake.scan(table_of(stage, Node(Kind.VECTORS, model)))} "
            "WHERE side = ? ORDER BY number",
            params=[side],
        ).pl()
    numbers = rows["number"].to_numpy().astype(np.int64)
    width = int(rows["vector"].list.len().max() or 0)
    flat = rows["vector"].list.explode().to_numpy() if len(rows) else np.zeros(0, np.float32)
    return numbers, np.ascontiguousarray(flat, dtype=np.float32).reshape(len(numbers), width)


def read_index(stage: Stage, model: str) -> ItemIndex:
    """The index of a model's item vectors; refused where its files are not what was written."""
    return open_index(intact_artifact(stage, Node(Kind.INDEX, model)).directory)
