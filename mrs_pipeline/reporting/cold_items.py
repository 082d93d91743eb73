"""Cold items on the leaderboard: at which cut-off they are compared, and beside what chance would give.

With few cold items a list of twenty holds most of them, whatever the model: of thirty, chance finds two thirds. So the
cut-off is the longest at which chance finds a fifth or less, and the shortest where none is short enough.
"""

from typing import Final

import polars as pl

from mrs_pipeline.metrics.base import parse_label

LARGEST_CHANCE: Final = 0.2
"""Most that a random order may find in the lists that cold items are compared by."""
COLD_COLUMNS: Final = (
    "cold_metric",
    "cold_value",
    "cold_low",
    "cold_high",
    "cold_chance",
    "cold_items",
    "cold_users",
)
"""What the leaderboard says of cold items; all null for a model that cannot rank them."""


def cold_metrics(rows: pl.DataFrame, group: tuple[str, ...], ranking: str) -> pl.DataFrame:
    """What cold items are compared by in each group: the group, `cold_metric` (`<metric>@<k>`).

    Args:
        rows: `inputs.METRIC_FRAME` rows with their `name`, such as `recall@20`.
        group: columns that make a group.
        ranking: the metric that ranks, such as `recall@20`.
    """
    metric = parse_label(ranking)[0]
    cold = rows.filter(slice="cold", metric=metric).drop_nulls("k")
    cuts = cold.group_by(*group, "k", "name").agg(pl.col("chance").mean())
    short = pl.col("chance") <= LARGEST_CHANCE
    unknown = pl.col("chance").is_null() & (pl.col("name") == ranking)
    order = pl.when(short | unknown).then(-pl.col("k")).otherwise(pl.col("k"))
    chosen = cuts.with_columns(order=order, rest=~(short | unknown)).sort(*group, "rest", "order")
    return chosen.group_by(group, maintain_order=True).agg(cold_metric=pl.col("name").first())


def with_cold_columns(
    board: pl.DataFrame, rows: pl.DataFrame, group: tuple[str, ...], ranking: str
) -> pl.DataFrame:
    """The leaderboard with `COLD_COLUMNS`: value and interval at the group's cut-off, chance, how many items and users.

    Args:
        board: with `cold_<metric>@<k>` and its interval for the cut-offs of `cold_metrics`.
        rows: as for `cold_metrics`.
        group: columns that make a group.
        ranking: the metric that ranks.
    """
    chosen = cold_metrics(rows, group, ranking)
    if chosen.is_empty():
        return board
    facts = (
        rows.filter(slice="cold")
        .join(chosen, on=group)
        .filter(pl.col("name") == pl.col("cold_metric"))
        .group_by(*group, "model")
        .agg(
            pl.col("cold_metric").first(),
            cold_chance=pl.col("chance").mean(),
            cold_items=pl.col("candidates").max(),
            cold_users=pl.col("n_users").max(),
        )
    )
    board = board.join(facts, on=[*group, "model"], how="left", maintain_order="left")
    for name, suffix in (("cold_value", ""), ("cold_low", "_ci_low"), ("cold_high", "_ci_high")):
        value = pl.lit(None, pl.Float64)
        for label in chosen["cold_metric"].unique():
            value = (
                pl.when(pl.col("cold_metric") == label).then(pl.col(f"cold_{label}{suffix}")).otherwise(value)
            )
        board = board.with_columns(value.alias(name))
    return board
