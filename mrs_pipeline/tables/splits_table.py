"""`core.splits`: the label of each interaction that takes part. Made by `splits`."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.schema import SPLITS, TEST, TRAIN, VALID
from mrs_pipeline.tables.base import TableSchema, copied
from mrs_pipeline.tables.columns import listed

SPLITS_TABLE = TableSchema(
    path="core/splits",
    description="One interaction that takes part in training, validation or test.",
    columns=listed(
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


def suites(splits: str, interactions: str, *, disjoint: bool, in_time_order: bool) -> list[Suite]:
    """What must hold of the labels.

    Args:
        splits: what to put after FROM to read the partition.
        interactions: the same for `core.interactions`.
        disjoint: whether a user may have an item only once (interactions were de-duplicated).
        in_time_order: whether the strategy cuts at moments (windows, global_time).
    """
    found = [_labels(splits), _training(splits), _histories(splits), _known(splits, interactions, disjoint)]
    if disjoint:
        found.append(_disjoint(splits))
    if in_time_order:
        found += [
            _in_order(splits, TRAIN, VALID),
            _in_order(splits, VALID, TEST),
            _in_order(splits, TRAIN, TEST),
        ]
    return found


def _labels(splits: str) -> Suite:
    return Suite(
        f"SELECT split FROM {splits}",
        [
            expect.not_null("split", "every row has a label"),
            expect.one_of("split", list(SPLITS), "labels are train, valid or test"),
        ],
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
    """Where no pair occurs twice, to find each row once is enough; otherwise it must be there as often."""
    columns = '"user", item, timestamp'
    strangers = (
        f'SELECT "user" FROM {splits} AS s ANTI JOIN {interactions} AS i ON s."user" = i."user" AND s.item = i.item '
        "AND s.timestamp IS NOT DISTINCT FROM i.timestamp"
        if disjoint
        else f"SELECT {columns} FROM {splits} EXCEPT ALL SELECT {columns} FROM {interactions}"
    )
    return Suite(strangers, [expect.no_row("every row is one of core.interactions")])


def _disjoint(splits: str) -> Suite:
    return Suite(
        f'SELECT "user", item FROM {splits}',
        [expect.unique_together(["user", "item"], "no pair is in two splits, or twice in one")],
    )


def _in_order(splits: str, earlier: str, later: str) -> Suite:
    return Suite(
        f"SELECT timestamp FROM {splits} WHERE split = '{later}' AND "
        f"timestamp <= (SELECT max(timestamp) FROM {splits} WHERE split = '{earlier}')",
        [expect.no_row(f"all of {later} lies after all of {earlier} in time")],
    )
