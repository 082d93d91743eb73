"""The folder reader: formats, mappings, several landing files, catalogues."""

from datetime import datetime

import polars as pl
import pytest

from mrs_pipeline.errors import InputError

COLUMNS = ["user_id", "item_id", "timestamp", "rating", "split", "source_file", "source_row"]


def test_canonical_columns_and_types(raw) -> None:
    frame = raw.interactions()
    assert frame.columns == COLUMNS
    assert frame.row(0) == ("u1", "a", datetime(2024, 1, 1), 4.0, None, "interactions.csv", 1)
    assert frame.schema["source_row"] == pl.Int64
    assert frame.schema["rating"] == pl.Float64
    items = raw.items()
    assert items.columns == [
        "item_id",
        "title",
        "description",
        "colour",
        "image",
        "audio",
        "video",
        "first_seen",
    ]
    assert items.row(1) == ("b", "Pear", None, "green", None, None, None, None)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "semicolon.csv", "parquet", "jsonl", "ndjson"])
def test_every_format_gives_the_same_rows(raw, suffix: str) -> None:
    expected = raw.interactions().drop("source_file")
    table = pl.read_csv(raw.root / "interactions.csv")
    (raw.root / "interactions.csv").unlink()
    name = "interactions.csv" if suffix == "semicolon.csv" else f"interactions.{suffix}"
    if suffix == "parquet":
        table.write_parquet(raw.root / name)
    elif suffix in ("jsonl", "ndjson"):
        table.write_ndjson(raw.root / name)
    else:
        table.write_csv(raw.root / name, separator={"tsv": "\t", "semicolon.csv": ";"}.get(suffix, ","))
    assert raw.interactions().drop("source_file").equals(expected)


def test_columns_are_mapped(empty) -> None:
    empty.write("log/events.csv", "who;what;when\nu1;a;2024-01-01\n")
    empty.write("shop.csv", "sku,name,model\na,Apple,X1\n")
    options = {
        "interactions": "log/events.csv",
        "items": "shop.csv",
        "interaction_columns": {"user_id": "who", "item_id": "what", "timestamp": "when"},
        "item_columns": {"item_id": "sku", "title": "name", "product_model": "model"},
    }
    assert empty.interactions(**options).row(0)[:3] == ("u1", "a", datetime(2024, 1, 1))
    assert empty.items(**options).row(0)[:4] == ("a", "Apple", None, "X1")


def test_landing_files_are_joined_by_column_name(empty) -> None:
    empty.write("interactions/2024-02.csv", "item_id,user_id\na,u9\n")
    empty.frame("interactions/2024-01.parquet", {"user_id": [7], "item_id": ["a"], "rating": [2.5]})
    empty.write("interactions/_unfinished.csv", "nonsense")
    empty.write("interactions/.hidden.csv", "nonsense")
    frame = empty.interactions()
    assert frame["source_file"].to_list() == ["interactions/2024-01.parquet", "interactions/2024-02.csv"]
    assert frame["user_id"].to_list() == ["7", "u9"]
    assert frame["rating"].to_list() == [2.5, None]
    assert [path.name for path in empty.open().landings()] == ["2024-01.parquet", "2024-02.csv"]


def test_a_pattern_names_the_landing_files(empty) -> None:
    empty.write("in/a.csv", "user_id,item_id\nu,1\n")
    empty.write("in/b.csv", "user_id,item_id\nu,2\n")
    empty.write("in/c.txt", "nonsense")
    assert empty.interactions(interactions="in/*")["item_id"].to_list() == ["1", "2"]


def test_paths_with_pattern_characters_and_partitions_are_taken_literally(empty) -> None:
    empty.write("interactions/year=2024/[x].csv", "user_id,item_id\nu,1\n")
    empty.write("interactions/year=2024/x.csv", "user_id,item_id\nu,2\n")
    frame = empty.interactions()
    assert frame.height == 2
    assert frame.columns == COLUMNS


def test_quoted_text_byte_order_marks_and_windows_line_ends(empty) -> None:
    empty.write("interactions.csv", '\ufeff"user_id","item_id"\r\n"u,1","a ""b"""\r\nü,"two\r\nlines"\r\n')
    assert empty.interactions().select("user_id", "item_id").rows() == [
        ("u,1", 'a "b"'),
        ("ü", "two\r\nlines"),
    ]


def test_empty_identifiers_stay_for_the_quarantine(empty) -> None:
    empty.write("interactions.csv", 'user_id,item_id,rating\n,a,1\nu,"",\n')
    assert empty.interactions().select("user_id", "item_id", "rating").rows() == [
        (None, "a", 1.0),
        ("u", None, None),
    ]


def test_whole_numbers_stored_as_floats_are_still_ids(empty) -> None:
    empty.frame(
        "interactions.parquet", {"user_id": [1.0, None, 2.5, float("nan")], "item_id": [10, 20, 30, 40]}
    )
    assert empty.interactions()["user_id"].to_list() == ["1", None, "2.5", None]


def test_split_labels_are_unified(empty) -> None:
    empty.write("interactions.csv", "user_id,item_id,split\nu,1,Training\nu,2,val\nu,3,TEST\nu,4,\n")
    assert empty.interactions()["split"].to_list() == ["train", "valid", "test", None]


def test_without_an_items_file_items_are_those_of_the_interactions(raw) -> None:
    (raw.root / "items.csv").unlink()
    raw.write("images/a.jpg", b"x")
    items = raw.items()
    assert items.select("item_id", "title", "image").rows() == [
        ("a", None, "images/a.jpg"),
        ("b", None, None),
    ]


def test_attributes_are_snake_case_text(empty) -> None:
    empty.write("interactions.csv", "user_id,item_id\nu,1\n")
    empty.frame(
        "items.parquet", {"item_id": [1], "ReleaseYear": [1999], "tag list": [["x", "y"]], "2nd": [True]}
    )
    items = empty.items()
    assert items.columns[3:-4] == ["release_year", "tag_list", "column_2nd"]
    assert items.row(0)[3:6] == ("1999", "x|y", "true")


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2024-02-03", datetime(2024, 2, 3)),
        ("1706918400", datetime(2024, 2, 3)),
        ("1999", datetime(1999, 1, 1)),
        ("", None),
    ],
)
def test_since_when_an_item_exists(empty, written: str, moment: datetime | None) -> None:
    empty.write("interactions.csv", "user_id,item_id\nu,1\n")
    empty.write("items.csv", f"item_id,first_seen,title\n1,{written},A\n2,2024-01-01,B\n")
    assert empty.items().filter(item_id="1")["first_seen"].item() == moment


def test_a_moment_that_cannot_be_read_is_named(empty) -> None:
    empty.write("interactions.csv", "user_id,item_id\nu,1\n")
    empty.write("items.csv", "item_id,first_seen\n1,2024-01-01\n2,last spring\n")
    with pytest.raises(
        InputError, match=r"items.csv, line 3, column first_seen: 'last spring' is neither .* map"
    ):
        empty.items()


def test_without_a_catalogue_an_item_exists_since_its_first_event(empty) -> None:
    empty.write("interactions.csv", "user_id,item_id,timestamp\nu,1,2024-03-01\nv,1,2024-02-01\nv,2,\n")
    assert empty.items().sort("item_id")["first_seen"].to_list() == [datetime(2024, 2, 1), None]


def test_facts_count_what_is_there(raw) -> None:
    raw.write("images/a.png", b"x")
    facts = raw.describe()
    assert (facts.rows, facts.users, facts.items, facts.timed, facts.rated, facts.labelled) == (
        3,
        2,
        2,
        3,
        3,
        0,
    )
    assert (facts.titled, facts.described, facts.attributes) == (2, 1, ("colour",))
    assert facts.first == datetime(2024, 1, 1)
    assert facts.last == datetime(2024, 2, 1)
    assert facts.files == {"interactions.csv": 3}
    assert (facts.media["image"].present, facts.media["image"].missing) == (1, 0)


def test_files_name_everything_that_decides_the_tables(raw) -> None:
    raw.write("v.csv", "item_id,x\na,1\n")
    names = [path.name for path in raw.open(matrices={"video": "v.csv"}).files()]
    assert names == ["interactions.csv", "items.csv", "v.csv"]


def test_the_connection_is_free_afterwards(raw) -> None:
    raw.describe()
    assert raw.con.sql("SELECT 1").fetchall() == [(1,)]
