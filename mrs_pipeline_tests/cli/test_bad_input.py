"""Bad input, the whole way through `mrs run`: one sentence with place and remedy, exit code 1, nothing written."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from mrs_pipeline_tests.cli.shops import N_ITEMS, N_ROWS, Mrs, Shop


def _not_utf8(shop: Shop) -> None:
    path = shop.folder / "items.csv"
    path.write_bytes(path.read_bytes().replace(b"Thing 3", b"Caf\xe9 3", 1))


def _nan(shop: Shop) -> None:
    matrix = np.load(shop.folder / "sound.npy")
    matrix[5, 2] = np.nan
    np.save(shop.folder / "sound.npy", matrix)


def _short_matrix(shop: Shop) -> None:
    np.save(shop.folder / "sound.npy", np.load(shop.folder / "sound.npy")[:-1])


def _only_a_header(shop: Shop) -> None:
    path = shop.folder / "interactions.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")


def _picture_elsewhere(shop: Shop) -> None:
    (shop.folder.parent / "secret.png").write_bytes((shop.folder / "images" / "3.png").read_bytes())
    shop.edit("items.csv", "images/3.png", "../secret.png")


FAULTS: dict[str, tuple[Callable[[Shop], None], str, str]] = {
    "missing column": (
        lambda shop: shop.edit("interactions.csv", "user_id", "client"),
        "interactions.csv has no column 'user_id' (it has: client, item_id, timestamp, rating)",
        "`interaction_columns: {user_id: client}` under source",
    ),
    "wrong type": (
        lambda shop: shop.edit("interactions.csv", "1700000000", "yesterday"),
        "interactions.csv, line 2, column timestamp: 'yesterday' is neither unix seconds",
        "map another column under source.interaction_columns",
    ),
    "not UTF-8": (_not_utf8, "items.csv is not UTF-8 text: byte", "save the file as UTF-8"),
    "item twice": (
        lambda shop: shop.edit("items.csv", "\ni5,", "\ni4,"),
        "items.csv: item 'i4' stands in line 6 and again in line 7",
        "keep one of them",
    ),
    "NaN in features": (
        _nan,
        "sound.npy, row 5 (counted from 0), column 2: nan is not a finite number",
        "export the matrix again",
    ),
    "matrix of another length": (
        _short_matrix,
        f"sound.npy has {N_ITEMS - 1} rows, but items.csv lists {N_ITEMS} items",
        "export the matrix again for these items",
    ),
    "picture outside": (
        _picture_elsewhere,
        "items.csv, line 5, column image: '../secret.png' lies outside the source folder",
        "give a path below it",
    ),
    "no rows": (
        _only_a_header,
        "interactions.csv has no rows below its header",
        "put interactions there or name another file",
    ),
    "unknown key": (
        lambda shop: shop.settings("k_core: 2", "k_cores: 2"),
        "defs/shop/defs.yaml:7",
        "k_cores",
    ),
    "bad value": (
        lambda shop: shop.settings("epochs: 2", "epochs: none"),
        "defs/shop/defs.yaml:13",
        "epochs",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_refused_before_anything_is_written(home: Mrs, shop: Shop, fault: str) -> None:
    spoil, place, remedy = FAULTS[fault]
    spoil(shop)
    ran = home("run", "shop")
    assert ran.code == 1
    assert place in ran.sentence
    assert remedy in ran.sentence
    assert home.tables("shop") == set()
    for store in ("data/features", "data/graphs", "data/reports", "models/shop"):
        assert not (home.root / store).exists()


def test_dataset_emptied_by_its_own_core(home: Mrs, shop: Shop) -> None:
    shop.settings("k_core: 2", "k_core: 30")
    ran = home("run", "shop")
    assert ran.code == 1
    assert re.fullmatch(
        r"in the dataset, interactions.k_core = 30 leaves none of 480 rows: the largest that leaves any is \d+\.",
        ran.sentence,
    )
    assert not {table for table in home.tables("shop") if table.split("/")[0] in ("core", "features", "eval")}
    assert not (home.root / "models" / "shop").exists()


def test_interaction_of_an_unknown_item_is_put_aside(finished: Mrs) -> None:
    told = finished("query", "--csv", "SELECT user_id, item_id, source_row, reason FROM core.quarantine")
    assert told.out.splitlines() == [
        "user_id,item_id,source_row,reason",
        f"u1,nowhere,{N_ROWS + 1},unknown item",
    ]
    for table, rows in (("raw.interactions", N_ROWS + 1), ("core.interactions", N_ROWS)):
        counted = finished("query", "--csv", f"SELECT count(*) AS rows FROM {table}")
        assert counted.out.split() == ["rows", str(rows)]
