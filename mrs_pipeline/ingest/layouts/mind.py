"""MIND, the Microsoft News Dataset: `behaviors.tsv` with clicks and histories, `news.tsv`; neither has a header."""

import re
from functools import partial
from typing import Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry, rows
from mrs_pipeline.ingest.layouts.workbench import Workbench, moment_sql

_NEWS: Final = (
    "item_id",
    "category",
    "subcategory",
    "title",
    "abstract",
    "url",
    "title_entities",
    "abstract_entities",
)
_TIME: Final = "%m/%d/%Y %I:%M:%S %p"
_LABELLED = re.compile(r"-[01]( |$)")


def recognise(contents: Contents) -> str | None:
    """By the two names, in the folder or in its parts."""
    behaviors, news = contents.anywhere("behaviors.tsv"), contents.anywhere("news.tsv")
    return f"{behaviors[0].shown} and {news[0].shown}" if behaviors and news else None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """Clicks at their impression's time, histories without time; users of a `dev` part validate or test, half each."""
    files = contents.anywhere("behaviors.tsv")
    labelled = [entry for entry in files if _is_labelled(entry)]
    withheld = [entry.shown for entry in files if entry not in labelled]
    if not labelled:
        raise InputError(
            f"{withheld[0]}: the labels of the impressions are withheld; add the train part of MIND"
        )
    parts = {entry: _part(entry) for entry in labelled}
    split = "train" in parts.values() and "dev" in parts.values()
    news = contents.anywhere("news.tsv")
    notes = [
        "the history of a user has no times: it counts as read before, and where there are windows it is quarantined",
        "impressions without a click are no rows",
    ]
    notes += [f"labels are withheld, left aside: {', '.join(withheld)}"] if withheld else []
    notes += ["split: train trains, users of dev validate or test, half each"] if split else []
    return Reading(
        interactions=tuple(
            LayoutTable((entry,), partial(_clicks, entry, part if split else ""))
            for entry, part in parts.items()
        ),
        items=LayoutTable(tuple(news), partial(_items, news)),
        windows=not split,
        notes=tuple(notes),
    )


def _part(entry: Entry) -> str:
    """`train` or `dev`, by the folder or the archive."""
    where = (
        f"{entry.path.parent.name}/{entry.path.name}" if entry.member else str(entry.path.parent.name)
    ).lower()
    where += f"/{entry.name.lower()}"
    return "dev" if re.search("dev|valid|test", where) else "train"


def _is_labelled(entry: Entry) -> bool:
    return any(_LABELLED.search(line.rsplit("\t", 1)[-1]) for line in entry.lines)


def _clicks(entry: Entry, part: str, bench: Workbench) -> str:
    width = max((len(row) for row in rows(entry, "\t")), default=5)
    columns = ["impression", "user_id", "time", "history", "impressions"][-width:]
    halves = "CASE WHEN md5_number_lower(user_id) % 2 = 0 THEN 'valid' ELSE 'test' END"
    split = {"": "CAST(NULL AS VARCHAR)", "train": "'train'", "dev": halves}[part]
    history = "'train'" if part else split
    relation = bench.csv(entry, columns, delimiter="\t", quote="")
    shown = f"SELECT user_id, time, unnest(string_split(impressions, ' ')) AS shown FROM {relation}"
    before = f"SELECT DISTINCT user_id, history FROM {relation} WHERE history IS NOT NULL ORDER BY ALL"
    return (
        f"SELECT user_id, left(shown, -2) AS item_id, {moment_sql('time', _TIME)} AS timestamp, {split} AS split "
        f"FROM ({shown}) WHERE shown LIKE '%-1' UNION ALL SELECT user_id, item_id, NULL, {history} FROM (SELECT "
        f"user_id, unnest(string_split(trim(history), ' ')) AS item_id FROM ({before})) WHERE item_id <> ''"
    )


def _items(files: list[Entry], bench: Workbench) -> str:
    parts = []
    for entry in files:
        width = max((len(row) for row in rows(entry, "\t")), default=len(_NEWS))
        columns = _NEWS[:width]
        entities = [name for name in columns if name.endswith("_entities")]
        parts.append(
            f"SELECT item_id, title, {'abstract' if 'abstract' in columns else 'NULL'} AS description, category, "
            f"subcategory{''.join(f', {_wikidata(name)} AS {name}' for name in entities)} "
            f"FROM {bench.csv(entry, list(columns), delimiter=chr(9), quote='')}"
        )
    return " UNION ALL BY NAME ".join(parts)


def _wikidata(column: str) -> str:
    found = f"array_to_string(list_sort(list_distinct(CAST({column} AS JSON)->>'$[*].WikidataId')), '|')"
    return f"CASE WHEN json_valid({column}) THEN NULLIF({found}, '') END"


LAYOUTS = (
    Layout(
        name="mind",
        title="MIND (Microsoft News)",
        licence="Microsoft's research terms: non-commercial research only",
        where="the MIND page of msnews",
        recognise=recognise,
        read=read,
    ),
)
