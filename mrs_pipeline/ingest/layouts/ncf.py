"""NCF's files: `*.train.rating`, `*.test.rating` and sampled negatives, which a full ranking does not need."""

from functools import partial

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry, rows
from mrs_pipeline.ingest.layouts.split_lists import part_of
from mrs_pipeline.ingest.layouts.workbench import Workbench


def recognise(contents: Contents) -> str | None:
    """By a training and a test file."""
    train, test = contents.match("*.train.rating"), contents.match("*.test.rating")
    return f"{train[0].shown} and {test[0].shown}" if train and test else None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """Every row, as split; a tenth of the training rows validates."""
    parts = [(entry, "train") for entry in contents.match("*.train.rating")]
    parts += [(entry, "test") for entry in contents.match("*.test.rating")]
    return Reading(
        interactions=tuple(LayoutTable((entry,), partial(_rows, entry, part)) for entry, part in parts),
        rules={"min_rating": None},
        windows=False,
        notes=(
            "*.test.negative is left aside: all items are ranked",
            "a tenth of the training rows validates, the same each time",
        ),
    )


def _rows(entry: Entry, part: str, bench: Workbench) -> str:
    width = len(next(iter(rows(entry, "\t")), []))
    columns = ["user_id", "item_id", "rating", "timestamp"][:width]
    return f"SELECT *, {part_of(part, hold=True)} AS split FROM {bench.csv(entry, columns, delimiter=chr(9), quote='')}"


LAYOUTS = (
    Layout(
        name="ncf",
        title="NCF (Pinterest-20, ml-1m)",
        licence="that of the original data set",
        where="the neural_collaborative_filtering repository of hexiangnan",
        recognise=recognise,
        read=read,
    ),
)
