"""`core.splits`: the label of each interaction that takes part. Made by `splits`."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.schema import SPLIT_LABELS, TEST, TRAIN, VALID
from mrs_pipeline.tables.base import TableSchema, copied
from mrs_pipeline.tables.columns import listed_columns

SPLITS_TABLE = TableSchema(
    path="core/splits",
    description="One interaction of core.interactions and what it is for.",
    columns=listed_columns(
        "user",
        "item",
        "timestamp",
        "split",
    ),
    lineage={
        **copied("core/interactions", "user", "item", "timestamp"),
        "split": tuple(
            ("core/interactions", column) for column in ("user", "item", "timestamp", "split", "is_history")
        ),
    },
)


_ORDER = ((TRAIN, VALID), (VALID, TEST), (TRAIN, TEST))
"""(earlier, later): splits that follow each other in time, where the strategy cuts at moments."""


def suites(splits: str, interactions: str, *, in_time_order: bool, held_out: bool = False) -> list[Suite]:
    """What must hold of the labels.

    Args:
        splits: what to put after FROM to read the partition.
        interactions: the same for `core.interactions`.
        in_time_order: whether the strategy cuts at moments (windows, global_time).
        held_out: whether some users are held out whole, whose rows validate whatever their time.
    """
    trained = (
        f'(SELECT * FROM {splits} WHERE "user" IN (SELECT "user" FROM {splits} WHERE split = \'{TRAIN}\'))'
    )
    return [
        _labels(trained if held_out else splits, in_time_order),
        _training(splits),
        _same_rows(splits, interactions),
    ]


def _labels(splits: str, in_time_order: bool) -> Suite:
    """The labels themselves, and the rows that lie before the end of an earlier split, in one reading."""
    ends = ", ".join(f"max(timestamp) FILTER (split = '{name}') AS {name}_end" for name in (TRAIN, VALID))
    early = ", ".join(
        f"CASE WHEN split = '{later}' AND timestamp <= {earlier}_end THEN timestamp END AS {later}_in_{earlier}"
        for earlier, later in _ORDER
    )
    expectations = [
        expect.not_null("split", "every row has a label"),
        expect.one_of("split", list(SPLIT_LABELS), "labels are train, valid or test"),
    ]
    if in_time_order:
        expectations += [
            expect.no_offender(f"{later}_in_{earlier}", f"all of {later} lies after all of {earlier} in time")
            for earlier, later in _ORDER
        ]
    return Suite(
        f"SELECT split, {early} FROM {splits} CROSS JOIN (SELECT {ends} FROM {splits})", expectations
    )


def _training(splits: str) -> Suite:
    return Suite(
        f"SELECT item FROM {splits} WHERE split = '{TRAIN}'", [expect.some_rows("there are rows to train on")]
    )


def _same_rows(splits: str, interactions: str) -> Suite:
    """Both tables hold the same rows as often: their counts agree, and the sums of the rows' 64-bit hashes.

    That no user has an item twice is checked of `core.interactions`, so no pair is in two splits either.
    """
    row = 'hash("user", item, timestamp)'
    totals = f"SELECT count(*) AS rows, coalesce(sum({row}), 0) AS hashes FROM"
    return Suite(
        "SELECT labelled.rows - known.rows AS rows_more, "
        "labelled.rows <> known.rows OR labelled.hashes = known.hashes AS same_rows "
        f"FROM ({totals} {splits}) AS labelled CROSS JOIN ({totals} {interactions}) AS known",
        [
            expect.one_of("rows_more", [0], "there are as many rows as in core.interactions"),
            expect.one_of("same_rows", [True], "every row of core.interactions has one label"),
        ],
    )
