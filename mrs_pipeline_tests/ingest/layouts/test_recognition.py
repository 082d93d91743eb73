"""Which layout a folder has: by what it holds, each by its own signature and no other."""

from pathlib import Path

import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.inspection import Overrides, inspect_folder
from mrs_pipeline.ingest.layouts.contents import look_into
from mrs_pipeline.ingest.layouts.registry import LAYOUTS, matches, recognise
from mrs_pipeline_tests.ingest.layouts.folders import FOLDERS, make, ml_1m, ml_100k, write


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_is_recognised_by_its_own_signature_and_no_other(name: str, tmp_path: Path) -> None:
    layout = FOLDERS[name][0]
    found = [match.layout.name for match in matches(look_into(make(tmp_path, name)))]
    assert found == ([] if LAYOUTS[layout].on_request else [layout])


def test_every_layout_has_a_folder_here() -> None:
    assert {layout for layout, _ in FOLDERS.values()} == set(LAYOUTS)


def test_the_reason_names_what_was_found(tmp_path: Path) -> None:
    match = recognise(make(tmp_path, "ml-1m"))
    assert match is not None
    assert match.reason == "ratings.dat and movies.dat with users.dat"


def test_interactions_at_the_root_go_before_all(tmp_path: Path) -> None:
    ml_100k(tmp_path)
    write(tmp_path, "interactions.csv", "user_id,item_id,timestamp\n1,2,2020-01-01\n")
    assert recognise(tmp_path) is None
    assert inspect_folder(tmp_path).settings["source"]["reader"] == "folder"
    asked = inspect_folder(tmp_path, Overrides(reader="ml-100k"))
    assert asked.settings["source"]["layout"] == "ml-100k"


def test_a_table_of_ones_own_is_no_official_layout(tmp_path: Path) -> None:
    write(tmp_path, "sales.csv", "customer,product,date\nc1,p1,2020-01-01\n")
    assert matches(look_into(tmp_path)) == []


def test_two_layouts_in_one_folder_are_asked_about(tmp_path: Path) -> None:
    ml_100k(tmp_path)
    write(tmp_path, "user_artists.dat", "userID\tartistID\tweight\n2\t5\t40\n")
    write(tmp_path, "artists.dat", "id\tname\n5\tBand\n")
    with pytest.raises(InputError) as caught:
        inspect_folder(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} looks like ml-100k (u.data and u.item) and lastfm-2k (user_artists.dat and artists.dat); say "
        "which with `--reader ml-100k`"
    )
    assert inspect_folder(tmp_path, Overrides(reader="ml-100k")).settings["source"]["layout"] == "ml-100k"


def test_a_layout_that_the_folder_has_not(tmp_path: Path) -> None:
    ml_1m(tmp_path)
    with pytest.raises(
        InputError, match=r"is not laid out as MovieLens 100k .* it holds: movies.dat, ratings.dat"
    ):
        inspect_folder(tmp_path, Overrides(reader="ml-100k"))
    with pytest.raises(InputError, match=r"^no layout is called 'ml-1000'; there are amazon-2014, "):
        inspect_folder(tmp_path, Overrides(reader="ml-1000"))


def test_folders_are_looked_at_one_level_down_and_once(tmp_path: Path) -> None:
    ml_100k(tmp_path / "ml-100k")
    assert recognise(tmp_path) is not None
    (tmp_path / "ml-100k").rename(tmp_path / "inner")
    (tmp_path / "outer" / "middle").mkdir(parents=True)
    (tmp_path / "inner").rename(tmp_path / "outer" / "middle" / "inner")
    found = look_into(tmp_path)
    assert found.base == "outer/"


def test_user_files_tell_1m_from_10m(tmp_path: Path) -> None:
    ml_1m(tmp_path)
    (tmp_path / "ml-1m" / "users.dat").unlink()
    match = recognise(tmp_path)
    assert match is not None and match.layout.name == "ml-10m"


@pytest.mark.parametrize(
    ("row", "layout"),
    [
        ("A1AAAAAAAAAAA1,0000000116,5.0,1388275200", "amazon-2014"),
        ("A000000116,A1AAAAAAAAAAA1,5.0,1388275200", "amazon-2018"),  # an item may begin with A
        ("A1AAAAAAAAAAA1,A000000116,5.0,1388275200", "amazon-2014"),
        ("AGAAAAAAAAAAAAAAAAAAAAAAAAAA,B00000X1Y2,5.0,-1388275200123", "amazon-2023-benchmark"),
        ("A1AAAAAAAAAAA1,0000000116,5.0", None),
        ("A000000116,A000000117,5.0,1388275200", None),  # undecided
    ],
)
def test_tables_of_ratings_without_a_header(row: str, layout: str | None, tmp_path: Path) -> None:
    write(tmp_path, "ratings.csv", f"{row}\n")
    match = recognise(tmp_path)
    assert (match.layout.name if match else None) == layout


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("yelp_dataset.tar", "tar -xf"),
        ("x.tar.gz", "tar -xf"),
        ("item_images.rar", "unrar x"),
        ("a.7z", "7z x"),
    ],
)
def test_archives_of_other_programs_name_the_command(name: str, command: str, tmp_path: Path) -> None:
    write(tmp_path, name, b"x")
    with pytest.raises(InputError, match=rf"is an archive; unpack it with `{command} .*{name}` and run"):
        inspect_folder(tmp_path)


def test_settings_name_the_layout(tmp_path: Path) -> None:
    folder = make(tmp_path, "hm")
    found = inspect_folder(folder)
    assert found.settings["source"] == {"reader": "layout", "layout": "hm", "path": folder.as_posix()}
    assert found.findings[:2] == (
        "layout: H&M Personalized Fashion Recommendations (reader hm), by transactions_train.csv "
        "(t_dat,customer_id,article_id,...)",
        "licence: the rules of the Kaggle competition (see the competition's data page on Kaggle)",
    )
    assert not (folder / "data").exists()  # nothing is written beside the raw files
