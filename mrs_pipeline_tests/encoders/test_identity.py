import numpy as np
import polars as pl
import pytest

from mrs_pipeline.encoders.identity import ReadyMatrix
from mrs_pipeline.errors import InputError

VALUES = np.array([[1, 2], [3, 4], [0, 0], [np.nan, 1]], dtype=np.float32)
IDS = ["i2", "i0", "i1", "i3"]


@pytest.fixture
def ready(tmp_path):
    """The same matrix as npy, csv, parquet and parquet of lists."""
    np.save(tmp_path / "m.npy", VALUES)
    table = pl.DataFrame(VALUES, schema=["f1", "f2"]).insert_column(0, pl.Series("id", IDS))
    table.write_csv(tmp_path / "m.csv")
    table.write_parquet(tmp_path / "m.parquet")
    pl.DataFrame({"id": IDS, "vector": VALUES.tolist()}).write_parquet(tmp_path / "lists.parquet")
    return tmp_path


@pytest.fixture
def options(parse):
    return parse(modality="video", encoder="identity", matrix="m")


@pytest.mark.parametrize("file", ["m.npy", "m.csv", "m.parquet", "lists.parquet"])
def test_rows_follow_the_item_and_bad_rows_are_masked(shop, catalogue, ready, options, file):
    matrix = ReadyMatrix(ready / file, None if file == "m.npy" else "id", IDS if file == "m.npy" else None)
    report = shop.extract(options, catalogue(title=["a", "b", "c", "d", "e"]), matrix=matrix)
    assert shop.matrix().tolist() == [[3, 4], [0, 0], [1, 2], [0, 0], [0, 0]]
    assert shop.present().tolist() == [True, False, True, False, False]
    assert sorted(row.item for row in report.failed) == [1, 3]  # all-zero and NaN
    assert report.missing == 1


def test_an_entry_without_its_matrix_is_refused(shop, catalogue, options):
    with pytest.raises(InputError, match="reads the matrix 'm', which the source does not have"):
        shop.extract(options, catalogue(title=["a"]))


def test_the_id_column_of_the_options_wins(shop, catalogue, ready, parse):
    options = parse(modality="video", encoder="identity", matrix="m", id_column="id")
    assert shop.extract(options, catalogue(title=["a"]), matrix=ReadyMatrix(ready / "m.csv")).present == 1


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        ({"path": "m.npy"}, "nothing says which row is which item"),
        ({"path": "m.npy", "row_ids": ["i0", "i1"]}, "4 rows for 2 item ids"),
        ({"path": "m.npy", "row_ids": ["i0", "i0", "i1", "i2"]}, "'i0' occurs more than once"),
        ({"path": "m.npy", "row_ids": ["a", "b", "c", "d"]}, "none of its 4 item ids is in the catalogue"),
        ({"path": "m.csv", "id_column": "item"}, "no column 'item' with item ids; its columns are id, f1"),
        ({"path": "m.csv", "row_ids": IDS}, "column 'id' holds String"),
        ({"path": "absent.npy", "row_ids": IDS}, "cannot be read"),
        ({"path": "m.txt", "row_ids": IDS}, "npy, .csv and .parquet"),
        ({"path": "cube.npy", "row_ids": IDS}, "two dimensions"),
        ({"path": "objects.npy", "row_ids": IDS}, "cannot be read"),
        ({"path": "ragged.parquet", "id_column": "id"}, "differ in length"),
    ],
)
def test_files_that_do_not_fit_get_one_sentence(shop, catalogue, ready, options, matrix, sentence):
    (ready / "m.txt").write_text("1 2")
    np.save(ready / "cube.npy", np.zeros((4, 2, 2)))
    np.save(ready / "objects.npy", np.array([{}] * 4, dtype=object))
    pl.DataFrame({"id": ["i0", "i1"], "v": [[1.0], [1.0, 2.0]]}).write_parquet(ready / "ragged.parquet")
    with pytest.raises(InputError, match=sentence):
        shop.extract(
            options, catalogue(title=["a"]), matrix=ReadyMatrix(**{**matrix, "path": ready / matrix["path"]})
        )
    assert not (shop.results / "out").exists()
