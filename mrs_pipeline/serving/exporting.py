"""A model taken elsewhere: vectors, index, lists, ids and a card, as files that need no code of ours."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.retrieval.index import GRAPH
from mrs_pipeline.schema import FULL_WINDOW
from mrs_pipeline.stored.indexes import read_index, read_vectors_of
from mrs_pipeline.tables.vectors_table import ITEM_SIDE, USER_SIDE
from mrs_pipeline.tasks.node import Kind, Node
from mrs_pipeline.tasks.places import exists, record, table_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.tasks.tracing import Origin, trace

CARD: Final = "card.json"
_SHOWN: Final = ("recall", "ndcg", "hit")


def export(stage: Stage, model: str, into: Path) -> list[Path]:
    """Write what is known of a served model into a folder; what was written.

    `recommendations.parquet` always; `vectors.parquet`, `items.npy` with `items.parquet`, `users.npy` with
    `users.parquet` (row n of the one is row n of the other) and, for a large catalogue, `index.usearch` (keys are rows
    of `items.npy`) for models whose scores are inner products; `card.json` and `card.md`.

    Args:
        stage: dataset and window.
        model: its name.
        into: an empty folder, or one that is not there yet.

    Raises:
        InputError: the folder holds something, or the model has not been made at this window.
    """
    lists, vectors = Node(Kind.RECOMMENDATIONS, model), Node(Kind.VECTORS, model)
    if not exists(stage, lists):
        raise InputError(
            f"{stage.config.name} has no lists of '{model}' at window {stage.window}; `mrs run {stage.config.name} "
            f"--models {model} --window {stage.window}` makes them"
        )
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise InputError(f"{into} is there and not empty; name another folder")
    into.mkdir(parents=True, exist_ok=True)
    written = [into / "recommendations.parquet"]
    stage.lake.read(table_of(stage, lists)).write_parquet(written[0])
    if exists(stage, vectors):
        written += _vectors(stage, model, into)
    card = model_card(stage, model)
    (into / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    (into / "card.md").write_text(card_text(card), encoding="utf-8")
    return [*written, into / CARD, into / "card.md"]


def model_card(stage: Stage, model: str) -> dict[str, Any]:
    """What somebody who meets the model elsewhere must know: data, protocol, metrics with intervals, origin."""
    spec = MODELS[model].spec
    made = Node(Kind.FINAL if stage.config.serving.refit else Kind.TRAINED, model)
    digest, provenance = record(stage, made)
    card: dict[str, Any] = {
        "dataset": stage.config.name,
        "window": stage.window,
        "model": model,
        "title": spec.title,
        "paper": spec.paper,
        "url": spec.url,
        "taxonomy": sorted(str(cell) for cell in spec.cells),
        "settings": stage.config.model_configs[model].model_dump(mode="json"),
        "trained on": "train and validation rows" if stage.config.serving.refit else "train rows",
        "weights": {"asset": str(made), "digest": digest, "code": provenance.code_version},
        "data": dict(sorted(provenance.upstream.items())),
        "folds in histories": MODELS[model].folds_in(),
        "measured": _measured(stage, model),
        "origin": _origins(trace(stage.lake, stage.config.name, str(made), stage.window)),
    }
    return card


def card_text(card: Mapping[str, Any]) -> str:
    """The card in Markdown."""
    rows = [
        f"| {each['slice']} | {each['metric']} | {each['value']:.4f} | {_interval(each)} | {each['users']} |"
        for each in card["measured"]["metrics"]
    ]
    return "\n".join(
        [
            f"# {card['title']} on {card['dataset']}, window {card['window']}",
            "",
            f"{card['title']} ([{card['paper']}]({card['url']})), trained on {card['trained on']}; weights "
            f"`{card['weights']['digest'][:16]}`.",
            "",
            f"Measured, before it was trained again, by this protocol: {card['measured']['protocol']}",
            "",
            "| slice | metric | value | 95 % interval | users |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "Made from:",
            "",
            *(f"- {each['asset']} `{each['digest'][:16]}`" for each in card["origin"]),
            "",
        ]
    )


def _interval(row: Mapping[str, Any]) -> str:
    return "-" if row["ci_low"] is None else f"{row['ci_low']:.4f} to {row['ci_high']:.4f}"


def _vectors(stage: Stage, model: str, into: Path) -> list[Path]:
    table: pl.DataFrame = stage.lake.read(table_of(stage, Node(Kind.VECTORS, model)))
    width = int(table["vector"].list.len()[0])
    written = [into / "vectors.parquet"]
    table.with_columns(pl.col("vector").list.to_array(width)).write_parquet(written[0])
    for side, name in ((ITEM_SIDE, "items"), (USER_SIDE, "users")):
        _, vectors = read_vectors_of(stage, model, side)
        np.save(into / f"{name}.npy", vectors)
        rows = table.filter(pl.col("side") == side).select("id", "number")
        rows.with_row_index("row").write_parquet(into / f"{name}.parquet")
        written += [into / f"{name}.npy", into / f"{name}.parquet"]
    index = Node(Kind.INDEX, model)
    if exists(stage, index) and read_index(stage, model).graph is not None:
        folder = stage.indexes.read(stage.config.name, stage.window, model).directory
        written.append(Path(shutil.copy(folder / GRAPH, into / GRAPH)))
    return written


def _measured(stage: Stage, model: str) -> dict[str, Any]:
    node = Node(Kind.METRICS, model)
    if not exists(stage, node):
        return {"protocol": "not measured", "metrics": []}
    rows = stage.lake.read(table_of(stage, node))
    shown = rows.filter(pl.col("metric").is_in(_SHOWN)).sort("slice", "metric", "k", "seed")
    first = shown.filter(pl.col("seed") == shown["seed"].min()) if len(shown) else shown
    metrics = [
        {
            "slice": row["slice"],
            "metric": f"{row['metric']}@{row['k']}",
            "value": row["value"],
            "ci_low": row["ci_low"],
            "ci_high": row["ci_high"],
            "users": row["users"],
        }
        for row in first.to_dicts()
    ]
    protocols = rows["protocol"].unique().to_list()
    return {"protocol": "; ".join(protocols), "metrics": metrics}


def _origins(origin: Origin) -> Sequence[dict[str, str]]:
    """Everything that the model was made from, each once, in the order of its making; other windows are named."""
    found: dict[str, dict[str, str]] = {}
    walked: set[int] = set()

    def walk(each: Origin) -> None:
        if id(each) in walked:
            return
        walked.add(id(each))
        for upstream in each.inputs:
            walk(upstream)
        own = (
            each.made is None or origin.made is None or each.made.window in (origin.made.window, FULL_WINDOW)
        )
        name = each.name if own or each.made is None else f"{each.name}@{each.made.window}"
        found.setdefault(name, {"asset": name, "digest": each.digest})

    walk(origin)
    return list(found.values())
