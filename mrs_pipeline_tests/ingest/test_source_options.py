"""Settings of a source: what they refuse, and where a path leads."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.opening import open_source, source_options
from mrs_pipeline.ingest.paths import SourceAbsent


def test_a_bare_file_is_short_for_a_matrix() -> None:
    options = source_options(
        {"path": "x", "matrices": {"video": "v.csv", "image": {"file": "i.npy", "ids": "i.csv"}}}
    )
    assert options.matrices["video"].file == "v.csv"
    assert options.matrices["image"].ids == "i.csv"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"reader": "folder"}, r"path\s+Field required"),
        ({"reader": "demo", "path": "x"}, "does not go with reader: demo"),
        ({"path": "x", "demo": {"users": 100}}, "source.demo goes with reader: demo"),
        ({"path": "x", "columns": {}}, "columns"),
        (
            {"path": "x", "reader": "excel"},
            "there is no reader 'excel'; the readers are folder, mmrec, layout, demo",
        ),
        ({"path": "x", "interaction_columns": {"when": "t"}}, "interaction_columns"),
        ({"path": "x", "item_columns": {"Item Name": "t"}}, "'Item Name' cannot be a column"),
        ({"path": "x", "media_folders": {"text": "texts"}}, "text comes from columns"),
        ({"reader": "demo", "demo": {"users": 3}}, "users"),
    ],
)
def test_wrong_settings_are_refused(settings: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        source_options(settings)


@pytest.mark.parametrize("written", ["$PACKS_OF_TEST/raw", "${PACKS_OF_TEST}/raw"])
def test_variables_in_the_path_are_expanded(raw, written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKS_OF_TEST", str(raw.root.parent))
    assert open_source(source_options({"path": written}), Path("/nowhere")).root == raw.root


def test_a_relative_path_starts_from_the_home(raw) -> None:
    assert open_source(source_options({"path": "raw"}), raw.root.parent).root == raw.root


def test_an_unset_variable_leaves_the_dataset_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PACKS_OF_TEST", raising=False)
    with pytest.raises(
        SourceAbsent, match=r"uses \$PACKS_OF_TEST, which is not set; export PACKS_OF_TEST=FOLDER"
    ):
        open_source(source_options({"path": "$PACKS_OF_TEST/x"}), Path("/"))


def test_an_absent_folder_leaves_the_dataset_out(tmp_path: Path) -> None:
    with pytest.raises(SourceAbsent, match=r"gone does not exist; correct source.path"):
        open_source(source_options({"path": "gone"}), tmp_path)


def test_a_file_is_no_folder(raw) -> None:
    with pytest.raises(InputError, match="is a file; name its folder"):
        open_source(source_options({"path": "interactions.csv"}), raw.root)


def test_settings_load_without_heavy_libraries() -> None:
    code = (
        "import sys, mrs_pipeline.ingest.options, mrs_pipeline.ingest.opening; "
        "sys.exit(bool({'duckdb', 'polars', 'torch', 'PIL', 'soundfile', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
