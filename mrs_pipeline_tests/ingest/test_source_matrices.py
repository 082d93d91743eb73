"""Ready feature matrices: the row of each item, and everything that is refused."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.matrices import SourceMatrix


def save(raw, name: str, array: np.ndarray) -> Path:
    np.save(raw.root / name, array)
    return raw.root / name


def read(raw, file: str, ids: str | None = None) -> SourceMatrix:
    source = raw.open(matrices={"image": {"file": file, "ids": ids}})
    return source.read_matrix(raw.con, "image")


def refused(raw, file: str, sentence: str, ids: str | None = None) -> None:
    with pytest.raises(InputError) as caught:
        read(raw, file, ids)
    assert str(caught.value).startswith(sentence), caught.value


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8])
def test_npy_rows_follow_the_items_file(raw, kind: type) -> None:
    save(raw, "m.npy", np.array([[1, 2, 3], [4, 5, 6]], kind))
    matrix = read(raw, "m.npy")
    assert matrix.item_ids == ("a", "b")
    assert np.array_equal(np.asarray(matrix.values), [[1, 2, 3], [4, 5, 6]])
    assert isinstance(matrix.values, np.memmap), "a large matrix must not be copied into memory"


def test_npy_with_a_file_of_ids(raw) -> None:
    save(raw, "m.npy", np.eye(3))
    raw.write("ids.csv", "item_id\nb\nx\na\n")
    assert read(raw, "m.npy", "ids.csv").item_ids == ("b", "x", "a")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_carry_their_ids(raw, suffix: str) -> None:
    if suffix == "csv":
        raw.write("m.csv", "f1,item_id,f2\n0.5,b,-1\n1e-3,zz,2\n")
    else:
        raw.frame("m.parquet", {"f1": [0.5, 1e-3], "item_id": ["b", "zz"], "f2": [-1, 2]})
    matrix = read(raw, f"m.{suffix}")
    assert matrix.item_ids == ("b", "zz")
    assert matrix.values.dtype == np.float32
    assert np.allclose(matrix.values, [[0.5, -1], [1e-3, 2]])


def test_the_item_column_is_called_as_in_the_items_file(empty) -> None:
    empty.write("interactions.csv", "user_id,item_id\nu,a\n")
    empty.write("items.csv", "sku,title\na,Apple\n")
    empty.write("m.csv", "sku,f\na,1\n")
    source = empty.open(item_columns={"item_id": "sku"}, matrices={"video": "m.csv"})
    assert source.read_matrix(empty.con, "video").item_ids == ("a",)


@pytest.mark.parametrize("rows", [1, 3])
def test_wrong_number_of_rows(raw, rows: int) -> None:
    save(raw, "m.npy", np.ones((rows, 2)))
    refused(
        raw,
        "m.npy",
        f"m.npy has {rows} rows, but items.csv lists 2 items, one row each; export the matrix again",
    )


def test_wrong_number_of_ids(raw) -> None:
    save(raw, "m.npy", np.ones((3, 2)))
    raw.write("ids.csv", "item_id\na\nb\n")
    refused(raw, "m.npy", "m.npy has 3 rows, but ids.csv lists 2 items", "ids.csv")


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_values_that_are_not_finite(raw, value: float, shown: str) -> None:
    array = np.zeros((2, 3), np.float16)
    array[1, 2] = value
    save(raw, "m.npy", array)
    refused(
        raw,
        "m.npy",
        f"m.npy, row 1 (counted from 0), column 2: {shown} is not a finite number; export the matrix",
    )


def test_a_bad_value_beyond_the_first_block(empty) -> None:
    n = 9000
    empty.write("interactions.csv", "user_id,item_id\nu,0\n")
    empty.write("items.csv", "item_id\n" + "".join(f"{i}\n" for i in range(n)))
    array = np.zeros((n, 2))
    array[8765, 1] = np.nan
    save(empty, "m.npy", array)
    refused(empty, "m.npy", "m.npy, row 8765 (counted from 0), column 1: nan")


@pytest.mark.parametrize("cell", ["nan", "", "inf", "high"])
def test_bad_cells_of_a_table(raw, cell: str) -> None:
    raw.write("m.csv", f"item_id,f1,f2\na,1,2\nb,1,{cell}\n")
    refused(
        raw,
        "m.csv",
        f"m.csv, line 3, column f2: '{cell}' is not a finite number; correct it or remove the line",
    )


def test_an_item_with_two_rows(raw) -> None:
    raw.write("m.csv", "item_id,f\na,1\nb,2\na,3\n")
    refused(raw, "m.csv", "m.csv: item 'a' stands in line 2 and again in line 4; keep one of them")


def test_a_row_without_item(raw) -> None:
    raw.write("m.csv", "item_id,f\na,1\n,2\n")
    refused(raw, "m.csv", "m.csv, line 3: no item_id; give the item an id or remove the line")


def test_tables_without_numbers(raw) -> None:
    raw.write("m.csv", "item_id\na\n")
    refused(raw, "m.csv", "m.csv has no columns besides item_id")
    raw.frame("m.parquet", {"item_id": ["a"], "when": [[1.0, 2.0]]})
    refused(
        raw,
        "m.parquet",
        "m.parquet, column when: type DOUBLE[] is not a number; give each number its own column",
    )
    raw.write("m.csv", "id,f\na,1\n")
    refused(raw, "m.csv", "m.csv has no column 'item_id' (it has: id, f)")


def objects(count: int) -> np.ndarray:
    array = np.empty((count, 1), object)
    array[:] = "x"
    return array


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.ones(2), "float64 of shape (2,)"),
        (np.ones((2, 2, 2)), "float64 of shape (2, 2, 2)"),
        (np.array([["x"], ["y"]]), "<U1 of shape (2, 1)"),
        (np.ones((2, 0)), "float64 of shape (2, 0)"),
    ],
)
def test_arrays_that_are_no_matrix(raw, array: np.ndarray, found: str) -> None:
    save(raw, "m.npy", array)
    refused(raw, "m.npy", f"m.npy holds {found}; a feature matrix has one row an item")


def test_pickles_and_torn_files_are_not_opened(raw) -> None:
    np.save(raw.root / "m.npy", objects(2), allow_pickle=True)
    refused(raw, "m.npy", "m.npy is not a readable .npy matrix (")
    whole = save(raw, "n.npy", np.ones((2, 100))).read_bytes()
    raw.write("n.npy", whole[:-50])
    refused(raw, "n.npy", "n.npy is not a readable .npy matrix (")
    raw.write("e.npy", b"")
    refused(raw, "e.npy", "e.npy is not a readable .npy matrix (")


def test_without_an_items_file_rows_have_no_order(raw) -> None:
    (raw.root / "items.csv").unlink()
    save(raw, "m.npy", np.ones((2, 2)))
    refused(
        raw,
        "m.npy",
        f"{raw.root}: an .npy matrix needs an items file for the order of its rows; add items.csv",
    )


def test_unknown_names_and_absent_files(raw) -> None:
    save(raw, "m.npy", np.ones((2, 2)))
    source = raw.open(matrices={"image": "m.npy"})
    with pytest.raises(
        InputError, match=r"no matrix 'audio' \(it has: image\); name its file under source.matrices"
    ):
        source.read_matrix(raw.con, "audio")
    with pytest.raises(InputError, match=r"source.matrices.x: no file 'x.npy'"):
        raw.open(matrices={"x": "x.npy"})
    with pytest.raises(InputError, match=r"source.matrices.x: '../x.npy' leaves the source folder"):
        raw.open(matrices={"x": "../x.npy"})


def inter(empty, rows: Sequence[str]) -> None:
    empty.write("toy.inter", "userID\titemID\trating\tx_label\n" + "".join(f"{row}\n" for row in rows))


def test_mmrec_layout(empty) -> None:
    inter(empty, ["7\t0\t1.0\t0", "7\t2\t1.0\t1", "8\t0\t1.0\t2"])
    save(empty, "image_feat.npy", np.eye(3))
    save(empty, "other.npy", np.ones((3, 1)))
    options = {"reader": "mmrec", "matrices": {"own": "other.npy"}}
    frame = empty.interactions(**options)
    assert frame["split"].to_list() == ["train", "valid", "test"]
    assert frame["user_id"].to_list() == ["7", "7", "8"]
    assert empty.items(**options)["item_id"].to_list() == ["0", "1", "2"], (
        "an item nobody touched has a row too"
    )
    source = empty.open(**options)
    assert list(source.matrices()) == ["image", "own"]
    assert source.read_matrix(empty.con, "image").item_ids == ("0", "1", "2")


def test_mmrec_refusals(empty) -> None:
    with pytest.raises(InputError, match=r"should hold one .inter file \(found: none\)"):
        empty.open(reader="mmrec")
    inter(empty, ["7\t0\t1.0\t0", "7\t4\t1.0\t3"])
    with pytest.raises(InputError, match=r"^toy.inter, line 3, column x_label: '3' is not a split"):
        empty.interactions(reader="mmrec")
    inter(empty, ["7\t0\t1.0\t0", "7\t4\t1.0\t1"])
    save(empty, "image_feat.npy", np.ones((4, 2)))
    with pytest.raises(
        InputError, match=r"^image_feat.npy has 4 rows, but the item numbers up to 4 in the data lists 5"
    ):
        empty.open(reader="mmrec").read_matrix(empty.con, "image")
    inter(empty, ["7\tB01\t1.0\t0"])
    with pytest.raises(
        InputError, match=r"item 'B01' is not a row number 0, 1, ..., which this reader needs"
    ):
        empty.open(reader="mmrec").read_matrix(empty.con, "image")
