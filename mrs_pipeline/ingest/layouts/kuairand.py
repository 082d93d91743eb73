"""KuaiRand Pure, 1K, 27K: logs of shown videos; the randomly shown ones are an unbiased test."""

from functools import partial

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.split_lists import part_of
from mrs_pipeline.ingest.layouts.workbench import Workbench, header_of
from mrs_pipeline.ingest.sql import quoted_name

_STANDARD, _RANDOM = "log_standard_4_*.csv", "log_random_4_*.csv"


def recognise(contents: Contents) -> str | None:
    """By the names of the logs, at any depth."""
    found = contents.anywhere(_STANDARD, _RANDOM)
    return found[0].shown if found else None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """Clicks; the random log tests and is never trained on."""
    standard, random = contents.anywhere(_STANDARD), contents.anywhere(_RANDOM)
    if not standard:
        raise InputError(
            f"{random[0].shown}: only videos shown at random are here, which are for testing; add {_STANDARD}"
        )
    basic = contents.anywhere("video_features_basic_*.csv")
    parts = [*((entry, "train") for entry in standard), *((entry, "test") for entry in random)]
    split = bool(random)
    notes = ["only clicks count", "video_features_statistic is left aside: its means cover the whole month"]
    notes += (
        ["split: the standard logs train (a tenth of them validates), the random log tests"] if split else []
    )
    return Reading(
        interactions=tuple(
            LayoutTable((entry,), partial(_clicks, entry, part if split else None)) for entry, part in parts
        ),
        items=LayoutTable(tuple(basic), partial(_items, basic)) if basic else None,
        windows=not split,
        notes=tuple(notes),
    )


def _clicks(entry: Entry, part: str | None, bench: Workbench) -> str:
    split = f", {part_of(part, hold=True)} AS split" if part else ""
    return (
        f"SELECT *{split} FROM (SELECT user_id, video_id AS item_id, time_ms AS timestamp FROM {bench.csv(entry)} "
        "WHERE is_click = '1')"
    )


def _items(files: list[Entry], bench: Workbench) -> str:
    parts = []
    for entry in files:
        columns = [name for name in header_of(entry, ",") if name not in ("video_id", "tag")]
        tags = ", replace(tag, ',', '|') AS tags" if "tag" in header_of(entry, ",") else ""
        chosen = "".join(f", {quoted_name(name)}" for name in columns)
        parts.append(f"SELECT video_id AS item_id{chosen}{tags} FROM {bench.csv(entry)}")
    return " UNION ALL BY NAME ".join(parts)


LAYOUTS = (
    Layout(
        name="kuairand",
        title="KuaiRand",
        licence="CC BY-SA 4.0",
        where="the KuaiRand repository of chongminggao",
        recognise=recognise,
        read=read,
    ),
)
