"""MRLib's data: `inter.csv` with numbered users and items, features by row number."""

from functools import partial

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry
from mrs_pipeline.ingest.layouts.matrix_rows import feature_files, numbered_catalogue, packed_features
from mrs_pipeline.ingest.layouts.workbench import Workbench, header_of

_LABELS = {"0", "1", "2"}


def recognise(contents: Contents) -> str | None:
    """By a name, the beginning of its header, and features beside it."""
    found = contents.get("inter.csv")
    features = contents.match("*_feat.npy", "*_feat.pt")
    if found is None or header_of(found, ",")[:2] != ["user_id", "item_id"] or not features:
        return None
    return f"inter.csv (user_id,item_id,...) and {features[0].shown}"


def read(contents: Contents, choices: Choices) -> Reading:
    """Every row; whether `label` is a split is not documented and has to be chosen where it could be."""
    inter = contents.names["inter.csv"]
    columns = header_of(inter, ",")
    split = choices.get("label") == "split"
    if "label" in columns and "label" not in choices:
        _require_choice(inter, columns.index("label"))
    torch_files = [entry.shown for entry in contents.match("*_feat.pt")]
    notes = packed_features(contents)
    notes += (f"left aside: {', '.join(torch_files)}; save them as .npy to use them",) if torch_files else ()
    return Reading(
        interactions=(LayoutTable((inter,), partial(_rows, inter, split)),),
        items=numbered_catalogue(contents),
        matrices=feature_files(contents),
        numbered_items=True,
        windows=not split,
        notes=notes,
    )


def _require_choice(inter: Entry, column: int) -> None:
    cells = [line.split(",") for line in inter.lines[1:]]
    found = {row[column].strip() for row in cells if len(row) > column}
    if found <= _LABELS and len(found) > 1:
        raise InputError(
            f"inter.csv: `label` holds {', '.join(sorted(found))}, and nothing says whether that is the split; run "
            "again with `--choose label=split` (0 train, 1 valid, 2 test) or `--choose label=ignore`"
        )


def _rows(entry: Entry, split: bool, bench: Workbench) -> str:
    columns = header_of(entry, ",")
    chosen: list[str] = [name for name in ("user_id", "item_id", "timestamp", "rating") if name in columns]
    chosen += [
        "CASE label WHEN '0' THEN 'train' WHEN '1' THEN 'valid' WHEN '2' THEN 'test' END AS split"
    ] * split
    return f"SELECT {', '.join(chosen)} FROM {bench.csv(entry)}"


LAYOUTS = (
    Layout(
        name="mrlib",
        title="MRLib (Multimodal-Recommendation-Library)",
        licence="that of the original data set",
        where="the Multimodal-Recommendation-Library repository of Jinfeng-Xu",
        recognise=recognise,
        read=read,
        choices={"label": ("split", "ignore")},
    ),
)
