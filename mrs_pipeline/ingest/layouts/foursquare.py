"""Foursquare: New York and Tokyo (TSMC 2014), and the whole world (TIST 2015)."""

from functools import partial
from typing import Final

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench, moment_sql

_TIME: Final = "%a %b %d %H:%M:%S %z %Y"
_CITY: Final = [
    "user_id",
    "item_id",
    "category_id",
    "category",
    "latitude",
    "longitude",
    "offset_minutes",
    "time",
]
_RULES: Final = {"deduplicate": "first"}
_NOTES: Final = ("the first visit of a user to a place counts, repeated ones are left out",)
_WHERE: Final = "the Foursquare dataset page of Dingqi Yang"
_LICENCE: Final = "not recorded here; read its page before use"


def _city_files(contents: Contents) -> list[Entry]:
    return contents.match("dataset_TSMC2014_*.txt", "dataset_TSMC2014_*.csv")


def _city_reason(contents: Contents) -> str | None:
    found = _city_files(contents)
    return found[0].shown if found else None


def _read_cities(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    files = _city_files(contents)
    return Reading(
        interactions=tuple(LayoutTable((entry,), partial(_city_rows, entry)) for entry in files),
        items=LayoutTable(tuple(files), partial(_city_places, files)),
        rules=_RULES,
        notes=_NOTES,
    )


def _city(entry: Entry, bench: Workbench) -> str:
    if entry.name.endswith(".csv"):
        return bench.csv(entry, _CITY, skip=int(entry.first_line.startswith("userId")), legacy=True)
    return bench.csv(entry, _CITY, delimiter="\t", quote="", legacy=True)


def _city_rows(entry: Entry, bench: Workbench) -> str:
    return f"SELECT user_id, item_id, {moment_sql('time', _TIME)} AS timestamp FROM {_city(entry, bench)}"


def _city_places(files: list[Entry], bench: Workbench) -> str:
    rows = " UNION ALL ".join(f"SELECT * FROM {_city(entry, bench)}" for entry in files)
    return (
        "SELECT item_id, min(category) AS title, min(category) AS category, min(latitude) AS latitude, "
        f"min(longitude) AS longitude FROM ({rows}) GROUP BY 1 ORDER BY 1"
    )


def _world_reason(contents: Contents) -> str | None:
    found = contents.match("dataset_TIST2015_Checkins.txt")
    return found[0].shown if found else None


def _read_world(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    rows, places = contents.names["dataset_TIST2015_Checkins.txt"], contents.get("dataset_TIST2015_POIs.txt")
    return Reading(
        interactions=(LayoutTable((rows,), partial(_world_rows, rows)),),
        items=LayoutTable((places,), partial(_world_places, places)) if places else None,
        rules=_RULES,
        notes=_NOTES,
    )


def _world_rows(entry: Entry, bench: Workbench) -> str:
    relation = bench.csv(entry, ["user_id", "item_id", "time", "offset_minutes"], delimiter="\t", quote="")
    return f"SELECT user_id, item_id, {moment_sql('time', _TIME)} AS timestamp FROM {relation}"


def _world_places(entry: Entry, bench: Workbench) -> str:
    columns = ["item_id", "latitude", "longitude", "category", "country"]
    relation = bench.csv(entry, columns, delimiter="\t", quote="", legacy=True)
    return f"SELECT item_id, category AS title, category, country, latitude, longitude FROM {relation}"


LAYOUTS = (
    Layout(
        name="foursquare",
        title="Foursquare New York and Tokyo (TSMC 2014)",
        licence=_LICENCE,
        where=_WHERE,
        recognise=_city_reason,
        read=_read_cities,
    ),
    Layout(
        name="foursquare-world",
        title="Foursquare, whole world (TIST 2015)",
        licence=_LICENCE,
        where=_WHERE,
        recognise=_world_reason,
        read=_read_world,
    ),
)
