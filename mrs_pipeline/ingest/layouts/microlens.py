"""MicroLens-50k and -100k: pairs of users and videos, titles, covers, likes and views."""

from functools import partial
from pathlib import PurePosixPath

from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.matrix_rows import counted_from, npy_rows
from mrs_pipeline.ingest.layouts.workbench import Workbench
from mrs_pipeline.ingest.matrices import MatrixFile

_FOLDERS = {"image": "*_covers", "video": "*_videos", "audio": "*_audios"}


def recognise(contents: Contents) -> str | None:
    """By the name of the pairs."""
    found = _pairs(contents)
    return found.shown if found else None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """Every pair; the catalogue from titles, tags, likes and views."""
    pairs = _pairs(contents)
    assert pairs is not None
    titles = _first(contents, "MicroLens-*_titles.csv", "MicroLens-*_title_en.csv")
    tags, likes = contents.get("tags_to_summary.csv"), _first(contents, "MicroLens-*_likes_and_views.txt")
    sources = [entry for entry in (titles, tags, likes) if entry]
    folders = {modality: contents.folder(pattern) for modality, pattern in _FOLDERS.items()}
    liked = "likes and views have no date: they are for show, not for training" if likes else ""
    return Reading(
        interactions=(LayoutTable((pairs,), partial(_interactions, pairs)),),
        items=LayoutTable(tuple(sources), partial(_items, titles, tags, likes)) if sources else None,
        media_folders={modality: folder for modality, folder in folders.items() if folder},
        matrices=_features(contents),
        notes=(liked,) if liked else (),
    )


def _pairs(contents: Contents) -> Entry | None:
    """The table with times goes before the bare sequences."""
    return _first(contents, "MicroLens-*_pairs.csv") or _first(contents, "MicroLens-*_pairs.tsv")


def _first(contents: Contents, *patterns: str) -> Entry | None:
    return next(iter(contents.match(*patterns)), None)


def _features(contents: Contents) -> dict[str, MatrixFile]:
    """Ready features of the 100k: row n belongs to item n + 1."""
    found: dict[str, MatrixFile] = {}
    for entry in contents.match("extracted_modality_features/*.npy", "extracted_modality_features/*/*.npy"):
        stem = PurePosixPath(entry.name).stem
        modality = next(
            (name for name in ("image", "video", "audio", "text") if f"_{name}_features" in stem), None
        )
        if modality and entry.member is None and modality not in found:
            found[modality] = MatrixFile(modality, entry.path, order=counted_from(1, npy_rows(entry)))
    return found


def _interactions(entry: Entry, bench: Workbench) -> str:
    if entry.name.endswith(".csv"):
        columns = ["user_id", "item_id", "timestamp"]
        header = entry.first_line.split(",")[0].strip('"').lower() in ("user", "userid")
        return f"SELECT * FROM {bench.csv(entry, columns, skip=int(header))}"
    sequences = bench.csv(entry, ["user_id", "items"], delimiter="\t", quote="")
    return f"SELECT user_id, unnest(string_split(trim(items), ' ')) AS item_id FROM {sequences}"


def _items(titles: Entry | None, tags: Entry | None, likes: Entry | None, bench: Workbench) -> str:
    parts = []
    if titles:
        parts.append(f"SELECT item_id, title FROM {_texts(titles, 'title', bench)}")
    if tags:
        tagged = _texts(tags, "tags", bench)
        parts.append(
            f"SELECT item_id, string_agg(tags, '|' ORDER BY tags) AS tags FROM {tagged} GROUP BY item_id"
        )
    if likes:
        columns = ["item_id", "likes", "views"]
        parts.append(f"SELECT * FROM {bench.csv(likes, columns, delimiter=chr(9), quote='')}")
    first, *others = (f"({part})" for part in parts)
    joins = first + "".join(f" FULL JOIN {other} USING (item_id)" for other in others)
    return f"SELECT * FROM {joins} ORDER BY TRY_CAST(item_id AS BIGINT), item_id"


def _texts(entry: Entry, column: str, bench: Workbench) -> str:
    """Items and texts: a CSV where it has a header, else lines cut at the first comma, as the authors' loader does."""
    if entry.first_line.split(",")[0].strip('"').lower() == "item":
        return f"(SELECT item AS item_id, {column} FROM {bench.csv(entry, ['item', column], skip=1)})"
    text = "regexp_extract(line, '^[^,]*,(.*)$', 1)"
    bare = f"replace(regexp_replace({text}, '^\"(.*)\"$', '\\1'), '\"\"', '\"')"
    return f"(SELECT split_part(line, ',', 1) AS item_id, {bare} AS {column} FROM {bench.lines(entry)})"


LAYOUTS = (
    Layout(
        name="microlens",
        title="MicroLens-50k or -100k",
        licence="modified copies must not be offered for download",
        where="the MicroLens repository of westlake-repl",
        recognise=recognise,
        read=read,
    ),
)
