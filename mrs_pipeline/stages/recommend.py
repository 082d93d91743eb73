"""Recommend: the lists of one model at one window, as they would be served.

How items are ranked is `fitting`.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from mrs_pipeline.fitting import served
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.trained import load_trained
from mrs_pipeline.stored.training_data import training_data
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import Outcome, Stage, Task
from mrs_pipeline.types import TopK

LIST_LENGTH: Final = 50
"""Items a served list holds."""


def recommend_items(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """The lists that would be served: the best items of every user, by the first seed's model.

    Users without training rows are ranked for from what else they did, or by popularity where the model cannot use it.
    """
    name = task.subject
    data = training_data(stage, MODELS[name].spec)
    model = load_trained(stage, name, stage.config.seeds[0], data)
    lists, ranked_by = served(model, data, LIST_LENGTH)
    with stage.lake.connect() as con:
        con.register("lists", _rows(lists, ranked_by).to_arrow())
        select = f"""
            SELECT lists.user, lists.rank, lists.item, users.user_id, items.item_id, lists.score, lists.ranked_by
            FROM lists
            JOIN {stage.lake.scan(stage.table("core", "users"))} AS users USING (user)
            JOIN {stage.lake.scan(stage.table("core", "items"))} AS items USING (item)
            ORDER BY lists.user, lists.rank
        """
        manifest = stage.lake.write(con, table_of(stage, task.outputs[0]), select, provenance)
    facts = {
        "users": len(lists.users),
        **{f"users ranked for by {by}": int((ranked_by == by).sum()) for by in np.unique(ranked_by)},
        "list length": LIST_LENGTH,
        "items recommended to anyone": int(np.unique(lists.items[lists.items >= 0]).size),
        "share of the catalogue": round(
            np.unique(lists.items[lists.items >= 0]).size / data.train.n_items, 4
        ),
        "sample": stage.lake.read(table_of(stage, task.outputs[0])).head(10),
    }
    return [Outcome(task.outputs[0], manifest.digest, facts, manifest.columns)]


def _rows(lists: TopK, ranked_by: npt.NDArray[np.str_]) -> pl.DataFrame:
    """Long form, without the places that no candidate was left for."""
    n_users, length = lists.items.shape
    return pl.DataFrame(
        {
            "user": np.repeat(lists.users, length),
            "rank": np.tile(np.arange(1, length + 1, dtype=np.int32), n_users),
            "item": lists.items.ravel(),
            "score": lists.scores.ravel(),
            "ranked_by": np.repeat(ranked_by, length),
        }
    ).filter(pl.col("item") >= 0)
