import numpy as np
import pytest

from mrs_pipeline.encoders.base import ReadyMatrix
from mrs_pipeline.errors import InputError

VALUES = np.array([[1, 2], [3, 4], [0, 0], [np.nan, 1]], dtype=np.float32)
IDS = ("i2", "i0", "i1", "i3")


@pytest.fixture
def options(parse):
    return parse(modality="video", encoder="identity", matrix="m")


@pytest.mark.parametrize("mapped", [False, True])
def test_rows_follow_the_item_and_bad_rows_are_masked(shop, catalogue, options, tmp_path, mapped):
    np.save(tmp_path / "m.npy", VALUES)
    values = np.load(tmp_path / "m.npy", mmap_mode="r") if mapped else VALUES
    items = catalogue(title=["a", "b", "c", "d", "e"])
    report = shop.extract(options, items, matrix=ReadyMatrix("m", values, IDS))
    assert shop.matrix().tolist() == [[3, 4], [0, 0], [1, 2], [0, 0], [0, 0]]
    assert shop.present().tolist() == [True, False, True, False, False]
    assert sorted(row.item for row in report.failed) == [1, 3]  # all-zero and NaN
    assert report.missing == 1


def test_a_second_run_takes_every_row_over(shop, catalogue, options):
    items = catalogue(title=["a", "b"])
    shop.extract(options, items, matrix=ReadyMatrix("m", VALUES[:2], ("i0", "i1")))
    again = shop.extract(options, items, matrix=ReadyMatrix("m", VALUES[:2], ("i0", "i1")))
    changed = shop.extract(
        options, items, matrix=ReadyMatrix("m", VALUES[:2] + np.float32([[0], [1]]), ("i0", "i1"))
    )
    assert (again.encoded, again.reused, changed.encoded, changed.reused) == (0, 2, 1, 1)


def test_an_entry_without_its_matrix_is_refused(shop, catalogue, options):
    with pytest.raises(InputError, match="reads the matrix 'm', which the source does not have"):
        shop.extract(options, catalogue(title=["a"]))


def test_ids_of_another_kind_are_refused(shop, catalogue, options):
    with pytest.raises(InputError, match="matrix 'm': none of its 4 item ids is in the catalogue"):
        shop.extract(options, catalogue(title=["a"]), matrix=ReadyMatrix("m", VALUES, ("a", "b", "c", "d")))
    assert not (shop.results / "out").exists()
