"""dagster-pandas types of the frames that cross into the UI, and the IO manager that reads them from the lake.

A stage has written its table before Dagster sees it; the typed pandas frame is what Dagster checks, shows and hands
to other assets. What must hold of every row for the pipeline to go on is in `tables` and runs as asset checks.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
from dagster_pandas import PandasColumn, create_dagster_pandas_dataframe_type

from mrs_pipeline.storage.home import find_home
from mrs_pipeline.storage.lake import Lake, Table
from mrs_pipeline.tasks.node import LEADERBOARD, Node

_SHOWN = (
    "window",
    "rank",
    "model",
    "recall@20",
    "recall@20_ci_low",
    "recall@20_ci_high",
    "ndcg@20",
    "seconds",
)

LeaderboardFrame = create_dagster_pandas_dataframe_type(
    name="LeaderboardFrame",
    description="Models of every window, best first: means and 95 % intervals over users and seeds; no stale rows.",
    columns=[
        PandasColumn.string_column("window", non_nullable=True),
        PandasColumn.integer_column("rank", min_value=1, non_nullable=True),
        PandasColumn.string_column("model", non_nullable=True),
        PandasColumn.float_column("recall@20", min_value=0.0, max_value=1.0, non_nullable=True),
        PandasColumn.float_column("recall@20_ci_low", min_value=0.0, max_value=1.0),
        PandasColumn.float_column("recall@20_ci_high", min_value=0.0, max_value=1.0),
        PandasColumn.float_column("ndcg@20", min_value=0.0, max_value=1.0, non_nullable=True),
        PandasColumn.float_column("seconds", min_value=0.0),
    ],
)

FRAME_TYPES: Mapping[Node, dg.DagsterType] = {LEADERBOARD: LeaderboardFrame}
"""Output -> the type of its frame, for outputs that cross into the UI as one."""


def shown_frame(lake: Lake, dataset: str) -> pd.DataFrame:
    """The leaderboard of a dataset as the UI's frame."""
    board: pl.DataFrame = lake.read(Table.of("eval", "leaderboard", dataset=dataset))
    return board.drop_nulls("rank").select(_SHOWN).to_pandas()


class LakeFrames(dg.IOManager):
    """Gives typed frames of the lake to downstream assets; writing has been the stage's work."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Nothing is left to store: the frame was read from the lake."""

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """The frame of the upstream asset `eval/leaderboard` of a dataset."""
        return shown_frame(Lake(find_home().lake), context.asset_key.path[0])


LAKE_FRAMES = dg.IOManagerDefinition.hardcoded_io_manager(LakeFrames())
"""One object, since Dagster tells resources of one name apart by identity."""
