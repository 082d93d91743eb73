"""MMSSL, PromptMM, LLMRec: `train.json`, `val.json`, `test.json` and features in one folder.

`train_mat`, a pickle beside them, says the same as `train.json` and is not opened.
"""

from mrs_pipeline.ingest.layouts.base import Choices, Layout, Reading
from mrs_pipeline.ingest.layouts.contents import Contents
from mrs_pipeline.ingest.layouts.matrix_rows import feature_files, numbered_catalogue, packed_features
from mrs_pipeline.ingest.layouts.split_lists import json_parts, json_tables


def recognise(contents: Contents) -> str | None:
    """By the parts and what the authors put beside them."""
    if not (contents.get("train.json") and contents.get("test.json")):
        return None
    beside = next(
        (name for name in ("train_mat", "image_feat.npy", "text_feat.npy") if contents.get(name)), None
    )
    return f"train.json, test.json and {beside}" if beside else None


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """The split as given."""
    return Reading(
        interactions=json_tables(json_parts(contents)),
        items=numbered_catalogue(contents, contents.get("item_list.txt")),
        matrices=feature_files(contents),
        numbered_items=True,
        windows=False,
        notes=packed_features(contents),
    )


LAYOUTS = (
    Layout(
        name="mmssl",
        title="MMSSL, PromptMM or LLMRec",
        licence="none is stated; the origin of the TikTok data is closed",
        where="the MMSSL, PromptMM and LLMRec repositories of HKUDS",
        recognise=recognise,
        read=read,
    ),
)
