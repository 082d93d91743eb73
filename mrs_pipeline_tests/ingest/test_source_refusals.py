"""Bad raw files: one sentence each, with file, place and remedy."""

import re

import polars as pl
import pytest

from mrs_pipeline.errors import InputError

HEADER = "user_id,item_id,timestamp,rating\n"


def refused(read, sentence: str) -> None:
    """The error is one line and begins with the sentence."""
    with pytest.raises(InputError) as caught:
        read()
    text = str(caught.value)
    assert text.startswith(sentence), text
    assert "\n" not in text


def test_missing_column_names_those_that_are_there(empty) -> None:
    empty.write("interactions.csv", "uid,iid\nu,a\n")
    refused(
        empty.interactions,
        "interactions.csv has no column 'user_id' (it has: uid, iid); say which one is the user_id, for example "
        "`interaction_columns: {user_id: uid}` under source",
    )


def test_missing_mapped_column(raw) -> None:
    refused(
        lambda: raw.interactions(interaction_columns={"timestamp": "when"}),
        "interactions.csv has no column 'when' (it has: user_id, item_id, timestamp, rating); "
        "say which one is the timestamp",
    )
    raw.write("interactions.csv", "user_id,article,timestamp,rating\nu,a,1,5\n")
    refused(
        raw.interactions,
        "interactions.csv has no column 'item_id' (it has: user_id, article, timestamp, rating); say which one is the "
        "item_id, for example `interaction_columns: {item_id: article}` under source",
    )
    raw.write("interactions.csv", "user_id,item_id,timestamp,rating\nu,a,1,5\n")
    refused(
        lambda: raw.items(item_columns={"title": "name"}),
        "items.csv has no column 'name' (it has: item_id, title, description, colour); say which one is the title",
    )


def test_missing_item_id_in_the_catalogue(raw) -> None:
    raw.write("items.csv", "id,title\na,Apple\n")
    refused(raw.items, "items.csv has no column 'item_id' (it has: id, title)")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            "u,b,yesterday,1",
            "column timestamp: 'yesterday' is neither unix seconds, milliseconds nor an ISO date; "
            "correct it, or name the unit of numbers under source.time_unit, or map another column under "
            "source.interaction_columns (`--time-unit` and `--time-column` of `mrs init`)",
        ),
        ("u,b,1,good", "column rating: 'good' is not a number; correct it"),
        ("u,b,1,nan", "column rating: 'nan' is not a number"),
        ("u,b,1,inf", "column rating: 'inf' is not a number"),
    ],
)
def test_wrong_value_with_its_line(empty, row: str, sentence: str) -> None:
    empty.write("interactions.csv", f"{HEADER}u,a,1,1\n{row}\nu,c,2,2\nu,d,tomorrow,bad\n")
    refused(empty.interactions, f"interactions.csv, line 3, {sentence}")


def test_the_file_s_own_column_name_is_used(empty) -> None:
    empty.write("interactions.csv", "user_id,item_id,when\nu,a,soon\n")
    refused(
        lambda: empty.interactions(interaction_columns={"timestamp": "when"}),
        "interactions.csv, line 2, column when: 'soon' is neither",
    )


def test_a_late_bad_value_in_a_large_file(empty) -> None:
    rows = [f"u{number % 977},i{number % 1009},{1_600_000_000 + number},1" for number in range(300_000)]
    rows[271_828] = "u,i,never,1"
    empty.write("interactions.csv", HEADER + "\n".join(rows) + "\n")
    refused(empty.interactions, "interactions.csv, line 271830, column timestamp: 'never' is neither")


def test_rows_of_a_large_file_keep_their_numbers(empty) -> None:
    rows = "\n".join(f"{number},i,," for number in range(1, 400_001))
    empty.write("interactions.csv", f"{HEADER}{rows}\n")
    select = empty.open().interactions_sql(empty.con)
    wrong = empty.con.sql(
        f"SELECT count(*) FROM ({select}) WHERE user_id <> CAST(source_row AS VARCHAR)"
    ).fetchall()
    assert wrong == [(0,)]


def test_lines_are_counted_over_quoted_line_ends_and_empty_lines(empty) -> None:
    empty.write("interactions.csv", f'{HEADER}u,"a\nb\nc",1,1\n\n\nu,d,never,1\n')
    refused(empty.interactions, "interactions.csv, line 7, column timestamp: 'never'")


def test_wrong_value_in_one_of_several_files(empty) -> None:
    empty.write("interactions/a.csv", f"{HEADER}u,a,1,1\n")
    empty.write(
        "interactions/b.jsonl",
        '{"user_id":"u","item_id":"a"}\n\n{"user_id":"u","item_id":"b","rating":"x"}\n',
    )
    refused(empty.interactions, "interactions/b.jsonl, line 3, column rating: 'x' is not a number")


def test_wrong_value_in_parquet_is_named_by_row(empty) -> None:
    empty.frame(
        "interactions.parquet", {"user_id": ["u", "u"], "item_id": ["a", "b"], "rating": [1.0, float("nan")]}
    )
    refused(empty.interactions, "interactions.parquet, row 2, column rating: 'nan' is not a number")


@pytest.mark.parametrize(
    ("column", "values", "type_name"),
    [("timestamp", [True], "BOOLEAN"), ("user_id", [["x"]], "VARCHAR[]"), ("rating", [[1.0]], "DOUBLE[]")],
)
def test_wrong_type(empty, column: str, values: list, type_name: str) -> None:
    columns = {"user_id": ["u"], "item_id": ["a"]} | {column: pl.Series(values)}
    empty.frame("interactions.parquet", columns)
    refused(
        empty.interactions,
        f"interactions.parquet, column {column}: type {type_name} cannot be a {column}; "
        "convert it or map another column",
    )


def test_unknown_split_label(empty) -> None:
    empty.write("interactions.csv", "user_id,item_id,split\nu,a,train\nu,b,holdout\n")
    refused(
        empty.interactions,
        "interactions.csv, line 3, column split: 'holdout' is not a split (train, valid or test); correct it",
    )


def test_not_utf8_with_byte_and_line(empty) -> None:
    content = f"{HEADER}u,a,1,1\nu,caf".encode() + b"\xe9,1,1\n"
    empty.write("interactions.csv", content)
    place = content.index(b"\xe9")
    refused(
        empty.interactions,
        f"interactions.csv is not UTF-8 text: byte {place} in line 3; save the file as UTF-8",
    )


def test_bytes_cut_at_the_end(empty) -> None:
    empty.write("interactions.csv", f"{HEADER}u,a,1,1\nu,".encode() + "é".encode()[:1])
    refused(empty.interactions, f"interactions.csv is not UTF-8 text: byte {len(HEADER) + 10} in line 3")


def test_not_utf8_far_into_the_file(empty) -> None:
    line = b"u,item,1,1\n"
    content = HEADER.encode() + line * 200_000
    place = len(HEADER) + 150_000 * len(line) + 3
    empty.write("interactions.csv", content[:place] + b"\xff" + content[place + 1 :])
    refused(empty.interactions, f"interactions.csv is not UTF-8 text: byte {place:,} in line 150,002;")


def test_wrong_number_of_fields(empty) -> None:
    empty.write("interactions.csv", f"{HEADER}u,a,1,1\nu,b,1\n")
    refused(
        empty.interactions, "interactions.csv, line 3: 3 fields, but the header names 4; correct the line"
    )
    empty.write("interactions.csv", f"{HEADER}u,a,1,1\nu,b,c,1,1\n")
    refused(
        empty.interactions,
        "interactions.csv, line 3: 5 fields, but the header names 4; correct the line or quote",
    )


def test_wrong_number_of_fields_where_only_ids_are_read(raw) -> None:
    raw.write("interactions.csv", "user_id,item_id,session\nu,a,1\nu,b\n")
    refused(raw.interactions, "interactions.csv, line 3: 2 fields, but the header names 3")
    raw.write("interactions.csv", "user_id,item_id\nu,a\n")
    raw.write("items.csv", "item_id,title,note\na,Apple,x\nb,Pear\n")
    refused(raw.items, "items.csv, line 3: 2 fields, but the header names 3")


def test_an_unclosed_quote_does_not_swallow_the_rest(empty) -> None:
    empty.write("interactions.csv", f'{HEADER}u,a,1,1\nu,"b,1,1\nu,c,1,1\n')
    refused(empty.interactions, "interactions.csv, after line 2: a quoted value is not closed")


def test_an_inch_sign_is_no_quote(empty) -> None:
    empty.write("interactions.csv", 'user_id,item_id\nu,5" pipe\n')
    assert empty.interactions()["item_id"].to_list() == ['5" pipe']


def test_twin_columns(empty) -> None:
    empty.write("interactions.csv", "user_id,item_id,Item_ID\nu,a,b\n")
    refused(
        empty.interactions,
        "interactions.csv has two columns 'item_id' and 'Item_ID' (case is ignored); rename one",
    )


@pytest.mark.parametrize("name", ["interactions.csv", "interactions/one.csv"])
def test_header_only(empty, name: str) -> None:
    empty.write(name, HEADER)
    refused(
        empty.interactions,
        f"{name} has no rows below its header; put interactions there or name another file",
    )


def test_all_landing_files_empty(empty) -> None:
    empty.write("interactions/a.csv", HEADER)
    empty.write("interactions/b.csv", HEADER)
    refused(empty.interactions, "each of 2 files, from interactions/a.csv on, has no rows")


def test_nothing_in_the_file(empty) -> None:
    empty.write("interactions.csv", "")
    refused(empty.interactions, "interactions.csv is empty; it needs a header line and rows")


def test_unreadable_parquet(empty) -> None:
    empty.write("interactions.parquet", b"PAR1 this is not one PAR1")
    refused(empty.interactions, "interactions.parquet is not a readable Parquet file (")
    whole = empty.frame("interactions.parquet", {"user_id": ["u"] * 50, "item_id": ["a"] * 50}).read_bytes()
    empty.write("interactions.parquet", whole[: len(whole) // 2])
    refused(empty.interactions, "interactions.parquet is not a readable Parquet file (")


def test_damaged_parquet_page(empty) -> None:
    whole = empty.frame(
        "interactions.parquet", {"user_id": [f"u{n}" for n in range(5000)], "item_id": ["a"] * 5000}
    )
    content = bytearray(whole.read_bytes())
    content[200:2000] = bytes(1800)
    empty.write("interactions.parquet", bytes(content))
    refused(empty.interactions, "interactions.parquet is not a readable Parquet file (")


@pytest.mark.parametrize("line", ["[1, 2]", '{"user_id": "u",', "u,a"])
def test_broken_json_line(empty, line: str) -> None:
    empty.write("interactions.jsonl", f'{{"user_id":"u","item_id":"a"}}\n{line}\n')
    refused(empty.interactions, "interactions.jsonl, line 2 is not one JSON object; write one object a line")


def test_items_listed_twice(raw) -> None:
    raw.write("items.csv", "item_id,title\na,Apple\nb,Pear\na,Apricot\n")
    refused(raw.items, "items.csv: item 'a' stands in line 2 and again in line 4; keep one of them")


def test_item_without_id(raw) -> None:
    raw.write("items.csv", "item_id,title\na,Apple\n,Pear\n")
    refused(raw.items, "items.csv, line 3: no item_id; give the item an id or remove the line")


def test_catalogue_without_rows(raw) -> None:
    raw.write("items.csv", "item_id,title\n")
    refused(raw.items, "items.csv has no rows below its header; put items there or remove the file")


@pytest.mark.parametrize("name", ["Window", "dataset", "item", "source_row"])
def test_attributes_called_as_the_lake_s_own_columns_get_another_name(raw, name: str) -> None:
    raw.write("items.csv", f"item_id,{name}\na,1\n")
    assert raw.items()[f"item_{name.lower()}"].to_list() == ["1"]
    assert "thing" in raw.items(item_columns={"thing": name}).columns


def test_attributes_that_would_share_a_name_are_numbered(raw) -> None:
    raw.write("items.csv", "item_id,Wine Type,wine_type,WINE-TYPE\na,1,2,3\n")
    assert raw.items().select("wine_type", "wine_type_2", "wine_type_3").rows() == [("1", "2", "3")]
    raw.write("items.csv", "item_id,title,name\na,1,2\n")
    items = raw.items(item_columns={"title": "name"})
    assert items.select("title", "title_2").rows() == [("2", "1")]


def test_column_names_of_any_script(raw) -> None:
    raw.write("items.csv", "item_id,标题,жанр,Größe,ГОД\na,1,2,3,4\n")
    assert raw.items().select("标题", "жанр", "grösse", "год").rows() == [("1", "2", "3", "4")]
    assert raw.items(item_columns={"title": "标题"})["title"].to_list() == ["1"]


def test_a_column_that_the_reader_needs_for_itself(raw) -> None:
    raw.write("items.csv", "item_id,__row__\na,1\n")
    refused(raw.items, "items.csv has a column '__row__', a name that the reader needs for itself; rename it")


def test_no_interactions_in_the_folder(empty) -> None:
    empty.write("notes.txt", "")
    refused(
        empty.open,
        f"{empty.root} has no interactions.csv (or .parquet, .jsonl, .tsv) and no folder interactions/",
    )


def test_two_files_of_one_name(raw) -> None:
    raw.write("interactions.tsv", "")
    refused(
        raw.open,
        f"{raw.root} holds interactions.csv and interactions.tsv; name the one to read under source.interactions",
    )


@pytest.mark.parametrize("name", ["../raw/interactions.csv", "/etc/hostname", "../*.csv"])
def test_settings_may_not_leave_the_root(raw, name: str) -> None:
    raw.write("../other.csv", "x")
    inside = name.startswith("../raw/")
    if inside:
        assert raw.interactions(interactions=name).height == 3
    else:
        refused(
            lambda: raw.open(interactions=name), f"source.interactions: '{name}' leaves the source folder"
        )


def test_a_linked_interactions_file_may_not_leave_the_root(empty) -> None:
    (empty.root.parent / "elsewhere.csv").write_text("user_id,item_id\nu,a\n")
    (empty.root / "interactions").mkdir()
    (empty.root / "interactions" / "x.csv").symlink_to(empty.root.parent / "elsewhere.csv")
    refused(empty.open, "source: 'interactions/x.csv' leaves the source folder")


def test_named_file_that_is_not_there(raw) -> None:
    refused(
        lambda: raw.open(items="shop.csv"),
        f"source.items: no file 'shop.csv' in {raw.root}; it holds: interactions.csv",
    )
    refused(lambda: raw.open(interactions="x/*.csv"), "source.interactions: nothing to read at 'x/*.csv'")
    raw.write("shop.xlsx", "x")
    refused(
        lambda: raw.open(items="shop.xlsx"),
        "source.items: 'shop.xlsx' is none of the readable formats (.csv,",
    )


def test_sentences_hold_no_sql(raw) -> None:
    raw.write("interactions.csv", f"{HEADER}u,a,'; DROP TABLE x --,1\n")
    with pytest.raises(InputError) as caught:
        raw.interactions()
    assert not re.search(r"SELECT|read_csv", str(caught.value))
