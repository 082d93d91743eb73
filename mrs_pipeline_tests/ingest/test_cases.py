"""What `mrs init` finds in folders that used to go wrong in silence, and that no row of theirs is lost."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pytest

from mrs_pipeline.encoders.images import decode_image
from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.inspection import Inspection, Overrides, inspect_folder
from mrs_pipeline.ingest.opening import open_source, source_options
from mrs_pipeline.tables.core import CoreTables, build_core
from mrs_pipeline.tables.rules import InteractionRules
from mrs_pipeline.windows import window_end, window_start
from mrs_pipeline_tests.ingest.cases import CASES, COLLECTION, write_case

Case = Callable[[str], Path]


@pytest.fixture(params=["generated", "collected"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    collected = request.param == "collected"
    if collected and not COLLECTION.is_dir():
        pytest.skip(f"the collection of cases is not at {COLLECTION}")
    return lambda name: write_case(name, tmp_path, collected=collected)


def said(found: Inspection, *parts: str) -> str:
    """The one finding that has all the parts."""
    fitting = [line for line in found.findings if all(part in line for part in parts)]
    assert len(fitting) == 1, (parts, found.findings)
    return fitting[0]


def core(found: Inspection, window: str | None = None) -> CoreTables:
    """The core tables that the proposed settings lead to, of one window or of everything."""
    source = open_source(source_options(found.settings["source"]), Path("/"))
    rules = InteractionRules.model_validate(found.settings["interactions"] | {"k_core": 0})
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute(f"CREATE TABLE raw AS {source.interactions_sql(con)}")
        con.execute(f"CREATE TABLE catalogue AS {source.items_sql(con)}")
        every = found.settings["window"]["every"]
        if window is None:
            return build_core(con, "raw", "catalogue", rules)
        end = window_end(every, window)
        return build_core(con, "raw", "catalogue", rules, window_start(every, window), window_end=end)


def rows_of(tables: CoreTables) -> int:
    """Raw rows; every one of them is kept or rejected with a reason."""
    assert tables.rows_kept + sum(tables.rejected.values()) == tables.rows_read
    return tables.rows_read


def test_every_case_of_the_collection_is_known() -> None:
    if COLLECTION.is_dir():
        assert {path.name for path in COLLECTION.iterdir() if path.is_dir()} <= CASES.keys()


def test_the_key_that_both_files_share(case: Case) -> None:
    found = inspect_folder(case("amazon2023"), Overrides(reader="folder"))
    assert found.settings["source"]["interaction_columns"]["item_id"] == "parent_asin"
    line = said(found, "meta_All_Beauty.jsonl: asin = parent_asin joins", "(taken)")
    assert line.endswith(("joins 720 of 720 rows (taken)", "joins 480 of 480 rows (taken)"))
    assert "unknown item" not in core(found).rejected


def test_a_nearly_right_table_of_features_says_which_cell(case: Case) -> None:
    found = inspect_folder(case("audio_missing_cell"))
    said(found, "audio_features.csv looks like features but has 1 empty cell (line 9, column tempo)")
    assert "matrices" not in found.settings["source"]


def test_rows_without_a_header_are_named_and_none_is_lost(case: Case) -> None:
    folder = case("cornac_csv")
    with pytest.raises(
        InputError, match=r"^interactions.csv: the first row \(.*\) looks like data.*`--columns"
    ):
        inspect_folder(folder, Overrides(reader="folder"))
    found = inspect_folder(folder, Overrides(columns=["user", "item", "rating"]))
    assert rows_of(core(found)) == len((folder / "interactions.csv").read_text().splitlines())


def test_both_files_without_a_header_are_named(case: Case) -> None:
    with pytest.raises(InputError) as caught:
        inspect_folder(case("MINDsmall_train"), Overrides(reader="folder"))
    assert {"news.tsv", "behaviors.tsv"} <= set(str(caught.value).replace(")", " ").replace(":", " ").split())


@pytest.mark.parametrize(("name", "column"), [("cover_url", "cover"), ("tmdb_poster", "poster_path")])
def test_links_and_paths_elsewhere_are_no_pictures(case: Case, name: str, column: str) -> None:
    found = inspect_folder(case(name))
    said(found, f"column {column} of items.csv names no file in the folder (30 entries")
    assert [feature["modality"] for feature in found.settings["features"]] == ["text"]
    said(found, f"attributes: {column}")


def test_floats_that_are_whole_numbers(case: Case) -> None:
    folder = case("float_ids_mixed")
    line = said(inspect_folder(folder), "items look like 30", "a trailing .0", "`--ids integers`")
    assert line.startswith("60 items")
    mended = inspect_folder(folder, Overrides(ids=["integers"]))
    said(mended, "items: 30, ")
    assert not [line for line in mended.findings if "look like" in line and "a trailing" in line]


def test_16_bit_grey_decodes_as_8_bit_grey(case: Case) -> None:
    folder = case("gray16")
    grey = [
        np.asarray(decode_image((folder / name).read_bytes(), max_pixels=10_000, shortest=1))[..., 0]
        for name in ("ramp8.png", "ramp16.png")
    ]
    assert [image.mean() for image in grey] == [pytest.approx(127.5, abs=1)] * 2
    assert np.abs(grey[0].astype(int) - grey[1]).max() <= 1
    assert len(np.unique(grey[1])) == 64


def test_pictures_in_folders_of_folders(case: Case) -> None:
    overrides = Overrides(time_column="t_dat", items="articles.csv", item_fields={"title": "prod_name"})
    found = inspect_folder(case("hm"), overrides)
    line = said(found, "image: files of")
    count = line.split()[3]
    assert line == f"image: files of {count} of {count} items"
    assert found.settings["window"]["every"] == "month"


def test_lists_in_json_lines_are_joined(case: Case) -> None:
    found = inspect_folder(case("jsonl_lists"))
    source = open_source(source_options(found.settings["source"]), Path("/"))
    with duckdb.connect() as con:
        tags = con.execute(f"SELECT tags FROM ({source.items_sql(con)}) WHERE item_id = '0'").fetchall()
    assert tags == [("blue|small",)]


def test_a_landing_file_whose_time_has_another_name(case: Case) -> None:
    found = inspect_folder(case("landing_renamed_time"))
    line = said(found, "rows have no time", "interactions/2019-04.csv", "quarantine")
    untimed = int(line.split()[0])
    for window in ("2019-02", "2019-03", "2019-04"):
        tables = core(found, window)
        assert rows_of(tables) == 480
        assert tables.rejected["missing timestamp"] == untimed
    assert found.settings["window"]["start"] == "2019-01"


def test_nan_and_none_are_nobody(case: Case) -> None:
    folder = case("nan_ids")
    found = inspect_folder(folder)
    said(found, "96 rows go to quarantine: 96 have no user", "nan, None or null", "`--ids literal`")
    said(found, "480 in interactions.csv, 40 users")
    assert core(found).rejected == {"missing user_id": 96}
    literal = inspect_folder(folder, Overrides(ids=["literal"]))
    said(literal, "480 in interactions.csv, 42 users")


@pytest.mark.parametrize(
    ("name", "what"), [("rating_counts", "counts or amounts"), ("rating_allneg", "none of which is positive")]
)
def test_ratings_that_say_nothing_of_liking(case: Case, name: str, what: str) -> None:
    found = inspect_folder(case(name))
    said(found, "ratings: ", what, "every interaction counts as liking")
    assert "min_rating" not in found.settings["interactions"]
    assert rows_of(core(found)) == core(found).rows_kept == 480


def test_a_side_table_that_is_not_utf8_is_left_aside(case: Case) -> None:
    found = inspect_folder(case("side_latin1"))
    said(found, "files left aside: notes.csv")
    assert "encoding" not in found.settings["source"]


def test_ids_with_blanks(case: Case) -> None:
    folder = case("trailing_space")
    found = inspect_folder(folder)
    said(found, "80 users look like 40", "blanks around them", "`--ids strip`")
    said(found, "384 of 480 rows (80%) name an item of the catalogue", "`--ids strip`", "would join 480 rows")
    assert core(found).rejected["unknown item"] == 96
    mended = inspect_folder(folder, Overrides(ids=["strip"]))
    said(mended, "480 in interactions.csv, 40 users")
    assert core(mended).rejected == {}


def test_one_row_in_the_year_9999(case: Case) -> None:
    found = inspect_folder(case("ts_9999"))
    said(found, "1 after", "as late as 9999-12-31", "quarantine")
    assert found.settings["window"]["start"] == "2019-01"
    assert found.settings["window"]["end"] == "2019-05"
    tables = core(found, "2019-04")
    assert rows_of(tables) == 480
    assert tables.rejected["impossible timestamp"] >= 1


def test_times_of_zero_are_unknown(case: Case) -> None:
    found = inspect_folder(case("ts_zero_some"))
    said(found, "24 before 2019-", "as early as 1970-01-01", "quarantine")
    assert found.settings["window"]["start"] == "2019-01"
    tables = core(found, "2019-04")
    assert rows_of(tables) == 480
    assert tables.rejected["missing timestamp"] == 24
    assert date(2019, 1, 1) < found.settings["interactions"]["earliest"] < date(2019, 2, 1)


def test_the_window_to_test_is_never_a_tail_of_few_rows(case: Case) -> None:
    found = inspect_folder(case("audio_missing_cell"))
    line = said(found, "windows: month", "is the one to test")
    assert "2019-04 is the one to test" in line
    assert "(2019-05 has" in line
