"""A model that reads times is served by them where they are known, and by the order alone where they are not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from mrs_pipeline.bench.serving import made_up_stage
from mrs_pipeline.evaluation.history import together
from mrs_pipeline.fitting import served
from mrs_pipeline.functional.sequences import OrderedHistories
from mrs_pipeline.schema import RANKED_BY_HISTORY
from mrs_pipeline.serving.answers import Answer, recommend
from mrs_pipeline.serving.bundle import Bundle
from mrs_pipeline.serving.shelf import Shelf
from mrs_pipeline.types import Interactions, TrainingData
from mrs_pipeline_tests.toy import COLD_USERS, FIRST_MOMENT, N_ITEMS, N_USERS, toy_market, trained

NEW = int(COLD_USERS[0])
TAKEN = np.array([4, 9, 17])
MOMENTS = FIRST_MOMENT + 86_400 * np.array([100, 101, 900])


def told(data: TrainingData) -> TrainingData:
    """The market with validation rows of somebody whom training does not know."""
    rows = Interactions(np.full(3, NEW), TAKEN, N_USERS, N_ITEMS, MOMENTS)
    return replace(data, valid=together(data.valid, rows))


def bundle_of(folder: Path) -> Bundle:
    data = told(toy_market().data)
    names = [f"i{number}" for number in range(N_ITEMS)]
    shelf = pl.DataFrame({"item_id": names, "title": names}).with_columns(image=pl.lit(None, pl.String))
    model = trained("hm4sr", data, epochs=2)
    model.observe(data.valid)
    return Bundle(
        stage=made_up_stage(folder),
        version="",
        model=model.eval(),
        data=data,
        shelf=Shelf(shelf, folder),
        users={f"u{number}": number for number in range(N_USERS)},
        histories=OrderedHistories.of(together(data.train, data.valid)),
        index=None,
        content={},
    )


def listed(answer: Answer) -> list[tuple[str, float]]:
    assert answer.ranked_by == RANKED_BY_HISTORY
    return [(place.item_id, round(place.score, 4)) for place in answer.places]


def best(scores: torch.Tensor, k: int) -> list[tuple[str, float]]:
    scores[TAKEN] = -np.inf
    found = scores.topk(k)
    return [
        (f"i{item}", round(value, 4)) for value, item in zip(*(each.tolist() for each in found), strict=True)
    ]


def test_lists_go_by_the_times_that_are_known(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path)
    timed = OrderedHistories.from_lists([TAKEN], N_ITEMS, times=[MOMENTS])
    in_order = OrderedHistories.from_lists([TAKEN], N_ITEMS)
    by_name = listed(recommend(bundle, 5, user=f"u{NEW}"))
    by_items = listed(recommend(bundle, 5, history=[f"i{item}" for item in TAKEN]))
    assert by_name == best(bundle.model.fold_in(timed)[0], 5)
    assert by_items == best(bundle.model.fold_in(in_order)[0], 5)
    assert by_name != by_items
    stored, ranked_by = served(bundle.model, bundle.data, 5)
    assert ranked_by[NEW] == RANKED_BY_HISTORY
    assert [f"i{item}" for item in stored.items[NEW]] == [item for item, _ in by_name]
