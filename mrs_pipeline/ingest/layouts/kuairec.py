"""KuaiRec: `big_matrix.csv` to train on, the almost fully observed `small_matrix.csv` to test on, watch ratios."""

from functools import partial
from typing import Final

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.split_lists import part_of
from mrs_pipeline.ingest.layouts.workbench import Workbench

_LIKED: Final = 2.0
"""Watched twice over, the authors' example of liking."""
_CAPTION: Final = "^([0-9]+),(.*),\\[(.*)\\],(-?[0-9]*),([^,]*),(-?[0-9]*),([^,]*),(-?[0-9]*),([^,]*)$"


def recognise(contents: Contents) -> str | None:
    """By the name of a matrix, at any depth."""
    found = _matrices(contents)
    return f"{next(iter(found)).shown}" if found else None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """The largest watch ratio of a pair, as its rating."""
    parts = _matrices(contents)
    split = len(parts) > 1
    captions, kinds = (
        _any(contents, name) for name in ("kuairec_caption_category.csv", "item_categories.csv")
    )
    sources = [entry for entry in (captions, kinds) if entry]
    return Reading(
        interactions=tuple(
            LayoutTable((entry,), partial(_ratios, entry, part if split else None))
            for entry, part in parts.items()
        ),
        items=LayoutTable(tuple(sources), partial(_items, captions, kinds)) if sources else None,
        rules={"min_rating": _LIKED},
        windows=not split,
        notes=(
            "the rating is the watch ratio, of repeated pairs the largest; 2 and more count as liking",
            *(["split: big_matrix trains (a tenth of it validates), small_matrix tests"] if split else []),
        ),
    )


def _matrices(contents: Contents) -> dict[Entry, str]:
    found = {_any(contents, "big_matrix.csv"): "train", _any(contents, "small_matrix.csv"): "test"}
    return {entry: part for entry, part in found.items() if entry}


def _any(contents: Contents, name: str) -> Entry | None:
    return next(iter(contents.anywhere(name)), None)


def _ratios(entry: Entry, part: str | None, bench: Workbench) -> str:
    split = f", {part_of(part, hold=True)} AS split" if part else ""
    ratio = "CAST(watch_ratio AS DOUBLE)"
    return (
        f"SELECT *{split} FROM (SELECT user_id, video_id AS item_id, arg_max(timestamp, ROW({ratio}, timestamp)) "
        f"AS timestamp, CAST(max({ratio}) AS VARCHAR) AS rating "
        f"FROM {bench.csv(entry)} GROUP BY ALL ORDER BY ALL)"
    )


def _items(captions: Entry | None, kinds: Entry | None, bench: Workbench) -> str:
    parts = []
    if kinds:
        marks = "regexp_replace(feat, '[^0-9,]', '', 'g')"
        parts.append(
            f"SELECT video_id AS item_id, replace({marks}, ',', '|') AS categories FROM {bench.csv(kinds)}"
        )
    if captions:
        cells = {"item_id": 1, "title": 2, "topics": 3, "first_level": 5, "second_level": 7, "third_level": 9}
        named = ", ".join(
            f"NULLIF(regexp_extract(line, '{_CAPTION}', {group}), '') AS {name}"
            for name, group in cells.items()
        )
        parts.append(
            f"SELECT item_id, trim(title, ',\" ') AS title, replace(replace(topics, ' ', ''), ',', '|') AS topics, "
            f"first_level, second_level, third_level FROM (SELECT {named} FROM {bench.lines(captions)})"
            " WHERE item_id IS NOT NULL"
        )
    return f"SELECT * FROM ({parts[0]})" + "".join(
        f" FULL JOIN ({part}) USING (item_id)" for part in parts[1:]
    )


LAYOUTS = (
    Layout(
        name="kuairec",
        title="KuaiRec",
        licence="CC BY-SA 4.0",
        where="the KuaiRec repository of chongminggao",
        recognise=recognise,
        read=read,
    ),
)
