"""A simulated year that was not simulated, for tests of what is told of one."""

from dataclasses import replace
from datetime import datetime

import polars as pl

from mrs_pipeline.reporting.simulation_inputs import Happening, RunBar, YearInputs

MONTHS = ("2024-02", "2024-03")


def made_up_year() -> YearInputs:
    """Two months of a shop, a killed run and a rollback; both homes end equal."""
    compared = [(month, asset) for month in MONTHS for asset in ("core/splits", "trained/ease", "core/items")]
    return YearInputs(
        dataset="shop",
        generated="today",
        months=MONTHS,
        models=("ease", "most_pop"),
        happenings=[
            Happening("history", "", "The rows are there.", (), "2024-01 read in 2 s", 0.0, 20.0),
            Happening(
                "2024-02", "killed run", "It is killed.", ("<b>failed</b>. Why",), "started again", 30.0, 60.0
            ),
            Happening("2024-03", "rollback", "Taken back.", (), "Rolled back.", 95.0, 1.0),
        ],
        runs=[
            RunBar("2024-01", "shop_ingest", 5, 10, "done"),
            RunBar("2024-02", "shop_pipeline", 31, 9, "ended early"),
            RunBar("2024-02", "shop_pipeline", 50, 40, "gone on"),
        ],
        made=pl.DataFrame(
            [{"asset": a, "window": m, "runs": 2 if a == "core/items" else 1} for m, a in compared]
        ),
        rows=pl.DataFrame({"window": list(MONTHS), "landed": [10, 12], "quarantined": [1, None]}),
        board=pl.DataFrame(
            {
                "window": list(MONTHS),
                "model": "ease",
                "rank": 1,
                "recall@20": [0.2, 0.3],
                "n_users": 9,
                "stale": False,
            }
        ),
        decisions=pl.DataFrame(
            {
                "decision": [1],
                "decided_at": [datetime(2024, 3, 1)],
                "outcome": ["promoted"],
                "forced": [True],
                "reason": ["the story"],
                "window": ["2024-02"],
                "model": ["ease"],
                "champion_window": [None],
                "champion_model": [None],
            },
            schema_overrides={"champion_window": pl.String, "champion_model": pl.String},
        ),
        restored=True,
        compared=pl.DataFrame(
            [{"month": m, "asset": a, "same": True, "difference": ""} for m, a in compared]
        ),
        seconds=100.0,
        undisturbed_seconds=40.0,
    )


def with_difference(year: YearInputs) -> YearInputs:
    """The same year, in which one table differs."""
    planted = (pl.col("month") == "2024-03") & (pl.col("asset") == "core/items")
    compared = year.compared.with_columns(
        same=~planted,
        difference=pl.when(planted).then(pl.lit("1 rows only in the first")).otherwise(pl.lit("")),
    )
    return replace(year, compared=compared)
