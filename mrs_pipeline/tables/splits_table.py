"""`core.splits`: the label of each interaction that takes part. Made by `splits`."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.schema import SPLIT_LABELS, TEST, TRAIN, VALID
from mrs_pipeline.tables.base import TableSchema, copied
from mrs_pipeline.tables.columns import listed_columns

SPLITS_TABLE = TableSchema(
    path="core/splits",
    description="One interaction that takes part in training, validation or test.",
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


def suites(splits: str, interactions: str, *, disjoint: bool, in_time_order: bool) -> list[Suite]:
    """What must hold of the labels.

    Args:
        splits: what to put after FROM to read the partition.
        interactions: the same for `core.interactions`.
        disjoint: whether a user may have an item only once (interactions were de-duplicated).
        in_time_order: whether the strategy cuts at moments (windows, global_time).
    """
    found = [
        _labels(splits, in_time_order),
        _training(splits),
        _histories(splits),
        _known(splits, interactions, disjoint),
    ]
    if disjoint:
        found.append(_disjoint(splits))
    return found


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


def _histories(splits: str) -> Suite:
    return Suite(
        f"""SELECT "user" FROM {splits} GROUP BY "user" HAVING NOT bool_or(split = '{TRAIN}')""",
        [expect.no_row("every user of validation and test has training rows")],
    )


def _known(splits: str, interactions: str, disjoint: bool) -> Suite:
    """Where no pair occurs twice, to find each row once is enough; otherwise it must be there as often.

    Rows are found by one 64-bit hash: a stranger would pass with a probability of rows / 2**64.
    """
    columns = '"user", item, timestamp'
    row = f"SELECT hash({columns}) AS row_hash FROM"
    strangers = (
        f"SELECT row_hash FROM ({row} {splits}) ANTI JOIN ({row} {interactions}) USING (row_hash)"
        if disjoint
        else f"SELECT {columns} FROM {splits} EXCEPT ALL SELECT {columns} FROM {interactions}"
    )
    return Suite(strangers, [expect.no_row("every row is one of core.interactions")])


def _disjoint(splits: str) -> Suite:
    return Suite(
        f'SELECT "user", item FROM {splits}',
        [expect.unique_together(["user", "item"], "no pair is in two splits, or twice in one")],
    )
