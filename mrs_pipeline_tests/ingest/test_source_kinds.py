"""How a source is read where it is unusual: encodings, no header, spellings of ids, units of time, lists in JSON."""

import numpy as np
import pytest

from mrs_pipeline.errors import InputError


def test_utf16_is_recognised_by_its_mark(empty) -> None:
    empty.write("interactions.csv", "user_id,item_id\nu,ä\n".encode("utf-16"))
    assert empty.interactions()["item_id"].to_list() == ["ä"]


def test_other_encodings_are_read_when_named(empty) -> None:
    empty.write("interactions.csv", "user_id,item_id,rating\nu,Größe,1\nu,b,x\n".encode("cp1252"))
    with pytest.raises(
        InputError, match=r"is not UTF-8 text: byte \d+ in line 2; save the file as UTF-8, or name"
    ):
        empty.interactions()
    with pytest.raises(InputError, match=r"^interactions.csv, line 3, column rating: 'x' is not a number"):
        empty.interactions(encoding="cp1252")
    empty.write("interactions.csv", "user_id,item_id\nu,Größe\n".encode("cp1252"))
    assert empty.interactions(encoding="cp1252")["item_id"].to_list() == ["Größe"]
    with pytest.raises(
        InputError, match=r"^interactions.csv is not ascii text: byte \d+; name another encoding"
    ):
        empty.interactions(encoding="ascii")


def test_files_without_a_header(empty) -> None:
    empty.write("interactions.csv", "1,x,34,4\n2,x,35,bad\n")
    with pytest.raises(InputError, match=r"^interactions.csv, line 2, column rating: 'bad'"):
        empty.interactions(columns=["user_id", "-", "item_id", "rating"])
    empty.write("interactions.csv", "1,x,34,4\n2,x,35,5\n")
    rows = empty.interactions(columns=["user_id", "-", "item_id", "rating"])
    assert rows.select("user_id", "item_id", "rating", "source_row").rows() == [
        ("1", "34", 4.0, 1),
        ("2", "35", 5.0, 2),
    ]
    with pytest.raises(
        InputError, match=r"^interactions.csv has 4 columns, but 3 are named; write one name a column"
    ):
        empty.interactions(columns=["user_id", "item_id", "rating"])


def test_spellings_of_ids_reach_items_media_and_matrices(empty) -> None:
    empty.write("interactions.csv", "user_id,item_id\n u ,7.0\nu,007\n")
    empty.write("items.csv", "item_id,title\n07,Seven\n")
    empty.write("images/0007.jpg", b"x")
    empty.write("m.csv", "item_id,a\n7.0,1\n")
    options = {"ids": {"strip": True, "integers": True, "zeros": True}, "matrices": {"m": "m.csv"}}
    assert empty.interactions(**options).select("user_id", "item_id").rows() == [("u", "7"), ("u", "7")]
    assert empty.items(**options).select("item_id", "image").rows() == [("7", "images/0007.jpg")]
    assert empty.open(**options).read_matrix(empty.con, "m").item_ids == ("7",)


def test_a_column_that_is_not_to_be_read(empty) -> None:
    empty.write("interactions.csv", "user_id,item_id,timestamp\nu,a,some day\n")
    assert empty.interactions(interaction_columns={"timestamp": None})["timestamp"].to_list() == [None]


def test_lists_and_texts_in_one_column_of_json(raw) -> None:
    rows = [
        '{"item_id": "a", "tags": ["x", "y"], "more": [{"k": 1}]}',
        '{"item_id": "b", "tags": "z", "more": null}',
    ]
    (raw.root / "items.csv").unlink()
    raw.write("items.jsonl", "\n".join(rows))
    assert raw.items().select("tags", "more").rows() == [("x|y", '{"k":1}'), ("z", None)]


def test_deeply_nested_json_is_one_sentence(raw) -> None:
    (raw.root / "items.csv").unlink()
    raw.write("items.jsonl", '{"item_id": "a", "x": ' + "[" * 100_000 + "]" * 100_000 + "}\n")
    with pytest.raises(InputError, match=r"^items.jsonl, line 1 is not one JSON object"):
        raw.items()


def test_an_array_of_negative_shape(raw) -> None:
    np.save(raw.root / "m.npy", np.ones((2, 3)))
    content = (raw.root / "m.npy").read_bytes().replace(b"(2, 3)", b"(-2,3)")
    raw.write("m.npy", content)
    with pytest.raises(InputError, match=r"^m.npy"):
        raw.open(matrices={"m": "m.npy"}).read_matrix(raw.con, "m")


def test_pictures_below_folders_and_not_behind_links(raw) -> None:
    raw.write("images/0/a.jpg", b"x")
    (raw.root / "images" / "loop").symlink_to(raw.root / "images", target_is_directory=True)
    assert raw.items()["image"].to_list() == ["images/0/a.jpg", None]
