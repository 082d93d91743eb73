"""Cornac: files of user-item(-rating(-time)) rows without a header, alone or in its packs with texts and features."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.workbench import Workbench
from mrs_pipeline.ingest.matrices import MatrixFile

_BESIDE: Final = ("item_ids.txt", "context.txt", "text.txt", "review.txt")
_SEPARATORS: Final = {
    "tab": "\t",
    "double-colon": "::",
    "semicolon": ";",
    "comma": ",",
    "bar": "|",
    "space": " ",
}
_COLUMNS: Final = ("user_id", "item_id", "rating", "timestamp")
_FORMATS: Final = {"UI": 2, "UIR": 3, "UIRT": 4}


def _pack_reason(contents: Contents) -> str | None:
    beside = next((name for name in _BESIDE if contents.get(name)), None)
    return f"rating.txt and {beside}" if contents.get("rating.txt") and beside else None


def _read_pack(contents: Contents, choices: Choices) -> Reading:
    ids, texts = contents.get("item_ids.txt"), contents.get("text.txt")
    features = [entry for entry in contents.match("*_features.npy") if ids and entry.member is None]
    sources = [entry for entry in (ids, texts) if entry]
    return Reading(
        interactions=(_triples(contents.names["rating.txt"], choices),),
        items=LayoutTable(tuple(sources), partial(_items, ids, texts)) if sources else None,
        matrices={
            name: MatrixFile(name, entry.path, order=partial(_order, ids))
            for entry in features
            if ids and (name := entry.name.removesuffix("_features.npy"))
        },
        notes=("context.txt (pairs of related items) is left aside",) if contents.get("context.txt") else (),
    )


def _bare_reason(contents: Contents) -> str | None:
    found = _bare_files(contents)
    return f"{found[0].shown}, asked for by name" if len(found) == 1 else None


def _read_bare(contents: Contents, choices: Choices) -> Reading:
    (entry,) = _bare_files(contents)
    return Reading(
        interactions=(_triples(entry, choices),), notes=("the file has no header: its first line is data",)
    )


def _bare_files(contents: Contents) -> list[Entry]:
    return contents.match("*.txt", "*.csv", "*.tsv", "*.dat", "*.data")


def _triples(entry: Entry, choices: Choices) -> LayoutTable:
    separator = _SEPARATORS.get(choices.get("separator", ""), "") or _separator(entry)
    width = len(_cells(entry.first_line, separator))
    wanted = _FORMATS.get(choices.get("format", ""), width)
    if not 2 <= wanted <= min(width, len(_COLUMNS)):
        raise InputError(
            f"{entry.shown} has {width} columns, and user, item, rating, time are 2 to 4; choose what they are, for "
            "example `--choose separator=space --choose format=UIR`"
        )
    return LayoutTable((entry,), partial(_rows, entry, separator, width, wanted))


def _separator(entry: Entry) -> str:
    """The one that cuts all first lines into the same number of fields, of which there are two to four."""
    for separator in _SEPARATORS.values():
        widths = {len(_cells(line, separator)) for line in entry.lines if line.strip()}
        if len(widths) == 1 and widths <= {2, 3, 4}:
            return separator
    raise InputError(
        f"{entry.shown}: cannot tell what separates its columns; run again with `--choose separator=` and one of "
        f"{', '.join(_SEPARATORS)}"
    )


def _cells(line: str, separator: str) -> list[str]:
    return line.split() if separator == " " else line.split(separator)


def _rows(entry: Entry, separator: str, width: int, wanted: int, bench: Workbench) -> str:
    columns = [*_COLUMNS[:wanted], *(f"further_{number}" for number in range(width - wanted))]
    chosen = ", ".join(_COLUMNS[:wanted])
    if separator == " ":
        cells = "regexp_split_to_array(trim(line), '\\s+')"
        named = ", ".join(
            f"{cells}[{number}] AS {name}" for number, name in enumerate(columns[:wanted], start=1)
        )
        return f"SELECT {named} FROM {bench.lines(entry, legacy=True)}"
    return f"SELECT {chosen} FROM {bench.csv(entry, columns, delimiter=separator, quote='', legacy=True)}"


def _items(ids: Entry | None, texts: Entry | None, bench: Workbench) -> str:
    if texts is None:
        assert ids is not None
        return f"SELECT trim(line) AS item_id FROM {bench.lines(ids)}"
    key, text = (f"regexp_extract(line, '^(.*?)(::|\t)(.*)$', {group})" for group in (1, 3))
    described = f"SELECT {key} AS item_id, {text} AS description FROM {bench.lines(texts, legacy=True)}"
    if ids is None:
        return described
    return (
        f"SELECT item_id, description FROM (SELECT trim(line) AS item_id, row_number() OVER () AS id_row "
        f"FROM {bench.lines(ids)}) LEFT JOIN ({described}) USING (item_id) ORDER BY id_row"
    )


def _order(ids: Entry) -> Sequence[str]:
    with ids.open() as stream:
        return [line.decode("utf-8").strip() for line in stream if line.strip()]


LAYOUTS = (
    Layout(
        name="cornac",
        title="Cornac's data packs",
        licence="that of the original data set",
        where="the Cornac repository of PreferredAI",
        recognise=_pack_reason,
        read=_read_pack,
        choices={"separator": tuple(_SEPARATORS), "format": tuple(_FORMATS)},
    ),
    Layout(
        name="triples",
        title="Triples without a header (Cornac's UI, UIR and UIRT)",
        licence="unknown",
        where="any file of user, item, rating and time",
        recognise=_bare_reason,
        read=_read_bare,
        choices={"separator": tuple(_SEPARATORS), "format": tuple(_FORMATS)},
        on_request=True,
    ),
)
