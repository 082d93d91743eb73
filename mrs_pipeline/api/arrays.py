"""`TrainingData` in a folder: rows as Parquet, every matrix and graph in one safetensors file. No pickle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from mrs_pipeline.errors import InputError
from mrs_pipeline.types import FeatureMatrix, Interactions, SparseGraph, TrainingData

_ROWS: Final = "interactions.parquet"
_ARRAYS: Final = "arrays.safetensors"
_PARTS: Final = ("train", "valid")
_Arrays = Mapping[str, npt.NDArray[Any]]


def write_data(data: TrainingData, folder: Path) -> None:
    """Rows, features, graphs and pretrained vectors; knowledge graphs and raw content are no part of the interface."""
    pl.concat([_frame(getattr(data, part), part) for part in _PARTS]).write_parquet(folder / _ROWS)
    arrays: dict[str, npt.NDArray[Any]] = {}
    for kind, matrices in (("features", data.features), ("pretrained", data.pretrained)):
        for name, matrix in matrices.items():
            arrays[f"{kind}:{name}:values"] = np.ascontiguousarray(matrix.values)
            arrays[f"{kind}:{name}:present"] = np.ascontiguousarray(matrix.present)
    graphs = {f"item_graph:{name}": graph for name, graph in data.item_graphs.items()}
    graphs |= {} if data.user_graph is None else {"user_graph:": data.user_graph}
    for name, graph in graphs.items():
        for part in ("indptr", "indices", "weights"):
            arrays[f"{name}:{part}"] = np.ascontiguousarray(getattr(graph, part))
    save_file(arrays, folder / _ARRAYS)


def read_data(folder: Path, n_users: int, n_items: int) -> TrainingData:
    """What `write_data` wrote; InputError names a file that is missing or damaged."""
    try:
        path = folder / _ROWS
        rows = pl.read_parquet(path)
        path = folder / _ARRAYS
        arrays = load_file(path)
    except (OSError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{path} is missing or damaged ({str(error).splitlines()[0]}); save the model again"
        ) from error
    if not _fits(rows, n_users, n_items):
        raise InputError(
            f"{folder / _ROWS} does not hold rows of this model's users and items; save the model again"
        )
    train, valid = (_interactions(rows.filter(pl.col("split") == part), n_users, n_items) for part in _PARTS)
    try:
        return TrainingData(
            train,
            valid,
            _matrices(arrays, "features", n_items),
            {name: _graph(arrays, f"item_graph:{name}", n_items) for name in _named(arrays, "item_graph")},
            _graph(arrays, "user_graph:", n_users) if _named(arrays, "user_graph") else None,
            _matrices(arrays, "pretrained", n_items),
        )
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f"{path} does not hold this model's arrays ({error}); save the model again"
        ) from error


def _fits(rows: pl.DataFrame, n_users: int, n_items: int) -> bool:
    """Whether rows are of users and items that there are."""
    if {"split", "user", "item"} - set(rows.columns):
        return False
    numbered = [(rows["user"], n_users), (rows["item"], n_items)]
    return all(
        column.dtype.is_integer() and column.is_between(0, n - 1).all() and not column.null_count()
        for column, n in numbered
    )


def _frame(rows: Interactions, part: str) -> pl.DataFrame:
    times = {} if rows.times is None else {"time": rows.times}
    return pl.DataFrame({"user": rows.users, "item": rows.items, **times}).with_columns(
        pl.lit(part).alias("split")
    )


def _interactions(rows: pl.DataFrame, n_users: int, n_items: int) -> Interactions:
    columns = {name: rows[name].to_numpy(writable=True) for name in rows.columns if name != "split"}
    return Interactions(columns["user"], columns["item"], n_users, n_items, columns.get("time"))


def _named(arrays: _Arrays, kind: str) -> list[str]:
    return sorted({key.split(":")[1] for key in arrays if key.split(":")[0] == kind})


def _matrices(arrays: _Arrays, kind: str, n_items: int) -> dict[str, FeatureMatrix]:
    found = {}
    for name in _named(arrays, kind):
        values, present = (arrays[f"{kind}:{name}:{part}"] for part in ("values", "present"))
        if values.ndim != 2 or len(values) != n_items or present.shape != (n_items,):
            raise ValueError(f"{kind} {name} do not have {n_items} rows")
        found[name] = FeatureMatrix(values, present, name)
    return found


def _graph(arrays: _Arrays, name: str, n: int) -> SparseGraph:
    indptr, indices, weights = (arrays[f"{name}:{part}"] for part in ("indptr", "indices", "weights"))
    whole = indptr.shape == (n + 1,) and indptr[0] == 0 and (np.diff(indptr) >= 0).all()
    if not (whole and indptr[-1] == len(indices) == len(weights)):
        raise ValueError(f"the rows of {name} do not fit together")
    if len(indices) and not (indices.min() >= 0 and indices.max() < n):
        raise ValueError(f"{name} leads to places that there are not")
    return SparseGraph(indptr, indices, weights, (n, n))
