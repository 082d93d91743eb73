"""Small folders that each stand for a kind of raw data which used to go wrong without a word.

Each is written here by a function; where the collection of such folders is on the machine, the tests run on it as well.
"""

import json
import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

PROJECT_ROOT = Path(__file__).resolve().parents[2]
COLLECTION = Path(os.environ.get("MRS_DATA_ROOT", PROJECT_ROOT.parent / "shared" / "data")).parent / "cases"

USERS, ITEMS, EACH = 40, 30, 12
ROWS = USERS * EACH
FIRST = datetime(2019, 1, 13)
DAYS = 111
WORDS = ("maple", "copper", "velvet", "harbor", "glass", "cloud")


def log(seed: int = 0) -> pl.DataFrame:
    """ROWS interactions of users who come back over four months; the last window has next to none."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(USERS):
        days = np.sort(rng.beta(2.5, 2.5, EACH)) * (DAYS - 4)
        items = rng.choice(ITEMS, EACH, replace=False)
        rows += [
            (str(user), str(item), FIRST + timedelta(days=float(day)))
            for item, day in zip(items, days, strict=True)
        ]
    seconds = [int((when - datetime(1970, 1, 1)).total_seconds()) for *_, when in rows]
    seconds[EACH - 1] = int((datetime(2019, 5, 3) - datetime(1970, 1, 1)).total_seconds())
    return pl.DataFrame(
        {"user_id": [row[0] for row in rows], "item_id": [row[1] for row in rows], "timestamp": seconds}
    )


def catalogue(**columns: list[str]) -> pl.DataFrame:
    texts = [f"{WORDS[item % 6].title()} {WORDS[item // 6]}" for item in range(ITEMS)]
    return pl.DataFrame({"item_id": [str(item) for item in range(ITEMS)], "title": texts, **columns})


def every(frame: pl.DataFrame, nth: int, **values: pl.Expr) -> pl.DataFrame:
    """The frame with other values in every nth row, from the first on."""
    chosen = pl.int_range(pl.len()) % nth == 0
    return frame.with_columns(
        pl.when(chosen).then(value).otherwise(pl.col(name)).alias(name) for name, value in values.items()
    )


def _amazon2023(root: Path) -> None:
    rng = np.random.default_rng(1)
    reviews = []
    for row in log().iter_rows(named=True):
        parent = f"B{int(row['item_id']):09d}"
        variant = parent if rng.random() < 0.4 else f"B0000090{rng.integers(10, 99)}"
        reviews.append(
            {"rating": float(rng.integers(2, 6)), "title": "Nice", "asin": variant, "parent_asin": parent}
            | {"user_id": f"A{row['user_id']}", "timestamp": row["timestamp"] * 1000}
        )
    metas = [
        {"main_category": "All Beauty", "title": f"{WORDS[item % 6]} {item}", "description": ["soft", "red"]}
        | {"parent_asin": f"B{item:09d}", "images": [{"thumb": "https://m.example.invalid/0.jpg"}]}
        for item in range(ITEMS)
    ]
    _lines(root / "All_Beauty.jsonl", reviews)
    _lines(root / "meta_All_Beauty.jsonl", metas)


def _lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def _audio_missing_cell(root: Path) -> None:
    log().write_csv(root / "interactions.csv")
    catalogue().write_csv(root / "items.csv")
    features = pl.DataFrame({"item_id": range(ITEMS), "tempo": range(100, 100 + ITEMS)})
    features = features.with_columns(
        tempo=pl.when(pl.col("item_id") == 7).then(None).otherwise("tempo"), energy=pl.col("item_id") / 30
    )
    features.write_csv(root / "audio_features.csv")


def _cornac_csv(root: Path) -> None:
    rows = log().with_columns(rating=pl.int_range(pl.len()) % 4 + 2)
    rows.select("user_id", "item_id", "rating").write_csv(root / "interactions.csv", include_header=False)


def _with_items(**columns: list[str]) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        log().write_csv(root / "interactions.csv")
        catalogue(**columns).write_csv(root / "items.csv")

    return write


def _float_ids_mixed(root: Path) -> None:
    (root / "interactions").mkdir()
    halves = log().with_row_index().with_columns(half=pl.col("index") // (ROWS // 2))
    for name, half in zip("ab", halves.partition_by("half"), strict=True):
        ending = ".0" if name == "b" else ""
        half.select(pl.col("user_id") + ending, pl.col("item_id") + ending, "timestamp").write_csv(
            root / "interactions" / f"{name}.csv"
        )


def _gray16(root: Path) -> None:
    ramp = np.tile(np.linspace(0, 1, 64), (48, 1))
    Image.fromarray(np.rint(ramp * 255).astype(np.uint8)).save(root / "ramp8.png")
    Image.fromarray(np.rint(ramp * 65535).astype(np.uint16)).save(root / "ramp16.png")


def _hm(root: Path) -> None:
    day = pl.from_epoch("timestamp").dt.date().cast(pl.String)
    log().select(
        day.alias("t_dat"),
        pl.col("user_id").str.zfill(64).alias("customer_id"),
        (pl.lit("0108775") + pl.col("item_id").str.zfill(3)).alias("article_id"),
        pl.lit(0.04).alias("price"),
    ).write_csv(root / "transactions_train.csv")
    ids = [f"0108775{item:03d}" for item in range(ITEMS)]
    articles = {"article_id": ids, "prod_name": ["Vest"] * ITEMS, "detail_desc": ["soft, red"] * ITEMS}
    pl.DataFrame(articles).write_csv(root / "articles.csv")
    customers = {"customer_id": [str(user).zfill(64) for user in range(USERS)], "age": [49.0] * USERS}
    pl.DataFrame(customers).write_csv(root / "customers.csv")
    (root / "images" / "010").mkdir(parents=True)
    for name in ids:
        Image.new("RGB", (8, 8), "red").save(root / "images" / "010" / f"{name}.jpg")


def _jsonl_lists(root: Path) -> None:
    log().write_csv(root / "interactions.csv")
    tags = [["blue", "small"], ["red", "big"]]
    _lines(
        root / "items.jsonl",
        [
            {"item_id": str(item), "title": f"{WORDS[item % 6]} {item}", "tags": tags[item % 2]}
            for item in range(ITEMS)
        ],
    )


def _landing_renamed_time(root: Path) -> None:
    (root / "interactions").mkdir()
    months = log().with_columns(month=pl.from_epoch("timestamp").dt.strftime("%Y-%m"))
    for (month,), rows in months.partition_by("month", as_dict=True).items():
        chosen = rows.drop("month")
        chosen = chosen.rename({"timestamp": "time"}) if month == "2019-04" else chosen
        chosen.write_csv(root / "interactions" / f"{month}.csv")


def _one_table(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], None]:
    return lambda root: change(log()).write_csv(root / "interactions.csv")


def _mind(root: Path) -> None:
    texts = [
        f"N{n}\tlifestyle\troyals\tMorning {n}\tsoft paper\thttps://x.invalid/{n}\t[]\t[]" for n in range(40)
    ]
    (root / "news.tsv").write_text("\n".join(texts) + "\n")
    clicks = [
        f"{n}\tU{n % 9}\t11/{n % 28 + 1}/2019 1:05:58 PM\tN1 N2 N3\tN{n % 40}-1 N9-0" for n in range(1, 61)
    ]
    (root / "behaviors.tsv").write_text("\n".join(clicks) + "\n")


def _side_latin1(root: Path) -> None:
    log().write_csv(root / "interactions.csv")
    (root / "notes.csv").write_bytes(b"id;txt\n1;caf\xe9\n")


def _trailing_space(root: Path) -> None:
    every(log(), 5, user_id=pl.col("user_id") + " ", item_id=pl.col("item_id") + " ").write_csv(
        root / "interactions.csv"
    )
    catalogue().write_csv(root / "items.csv")


def _ts_9999(root: Path) -> None:
    dates = log().with_columns(pl.from_epoch("timestamp").dt.date().cast(pl.String))
    odd = pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("9999-12-31")).otherwise("timestamp")
    dates.with_columns(odd.alias("timestamp")).write_csv(root / "interactions.csv")


CASES: dict[str, Callable[[Path], None]] = {
    "MINDsmall_train": _mind,
    "amazon2023": _amazon2023,
    "audio_missing_cell": _audio_missing_cell,
    "cornac_csv": _cornac_csv,
    "cover_url": _with_items(cover=[f"https://example.invalid/{item}.jpg" for item in range(ITEMS)]),
    "float_ids_mixed": _float_ids_mixed,
    "gray16": _gray16,
    "hm": _hm,
    "jsonl_lists": _jsonl_lists,
    "landing_renamed_time": _landing_renamed_time,
    "nan_ids": _one_table(
        lambda rows: every(every(rows, 10, user_id=pl.lit("nan")).reverse(), 10, user_id=pl.lit("None"))
    ),
    "rating_allneg": _one_table(lambda rows: rows.with_columns(rating=-(pl.int_range(pl.len()) % 4) - 5)),
    "rating_counts": _one_table(
        lambda rows: rows.with_columns(
            rating=10 ** (pl.int_range(pl.len()) % 4 + 2) * (pl.int_range(pl.len()) % 9 + 1)
        )
    ),
    "side_latin1": _side_latin1,
    "tmdb_poster": _with_items(poster_path=[f"/kq{item}.jpg" for item in range(ITEMS)]),
    "trailing_space": _trailing_space,
    "ts_9999": _ts_9999,
    "ts_zero_some": _one_table(lambda rows: every(rows, 20, timestamp=pl.lit(0))),
}


def write_case(name: str, root: Path, *, collected: bool) -> Path:
    """A case in a folder of its own: generated, or a copy of the collection's, whose folders are not to be written."""
    folder = root / name
    if collected:
        shutil.copytree(COLLECTION / name, folder, copy_function=shutil.copyfile)
    else:
        folder.mkdir()
        CASES[name](folder)
    return folder
