"""`mrs init` and `mrs run` on a folder of an S3 server: from objects to a leaderboard, and what a change makes due."""

import os
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import fsspec
import numpy as np
import polars as pl
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.locating import source_folder
from mrs_pipeline.remote import filesystem
from mrs_pipeline.remote.mirror import forget
from mrs_pipeline_tests.cli.shops import N_ITEMS, Mrs, make_home, write_shop

QUICK = "{epochs: 1, threads: 1}"
PLAIN = {"Content-Type": "text/plain"}


@pytest.fixture(scope="module")
def bucket(s3: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The server's file system, with a small shop at `bucket/shop`."""
    folder = tmp_path_factory.mktemp("shop") / "shop"
    write_shop(folder)
    (folder / "sound.npy").unlink()
    system = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
    system.put(f"{folder}/", "bucket/shop/", recursive=True)
    return system


@pytest.fixture(scope="module")
def ran(s3: str, bucket: Any, tmp_path_factory: pytest.TempPathFactory) -> Mrs:
    """A home in which the shop has been run."""
    mrs = make_home(tmp_path_factory.mktemp("remote") / "home")
    made = mrs("init", f"{s3}/shop", "--name", "shop")
    assert made.code == 0, made.err
    assert "interactions: 480 in interactions.csv, 40 users" in made.out
    assert f"image: files of 20 of {N_ITEMS} items" in made.out
    assert "media are read from there when they are decoded" in made.out
    defs = mrs.root / "defs" / "shop" / "defs.yaml"
    assert f"path: {s3}/shop\n" in defs.read_text() and str(mrs.root) not in defs.read_text()
    with defs.open("a") as file:
        file.write(f"  training: {QUICK}\n")
    done = mrs("run", "shop", "--models", "most_pop,mm_ease")
    assert done.code == 0, done.err
    return mrs


def due(mrs: Mrs) -> str:
    forget()
    done = mrs("status", "shop", "--why")
    assert done.code == 0, done.err
    return done.out


def asset(told: str, name: str) -> str:
    return next(line for line in told.splitlines() if name in line.split())


def test_pictures_are_read_from_the_server(ran: Mrs, bucket: Any) -> None:
    copy = next((ran.root / "data" / "remote").glob("*/shop"))
    pictures = list((copy / "images").iterdir())
    assert len(pictures) == 20
    assert all(path.stat().st_size > 0 and not path.read_bytes().strip(b"\0") for path in pictures)
    asked = (
        "SELECT count(*) FROM quality.failed_media",
        "SELECT count(DISTINCT vector) FROM features.shop_image_efficientnet_lite0",
        "SELECT count(image) FROM core.items",
    )
    failed, vectors, pictured = (int(ran("query", "--csv", query).out.split()[-1]) for query in asked)
    assert failed == 0 and vectors == pictured > 15
    page = (ran.root / "data" / "reports" / "shop" / "report.html").read_text()
    assert "data:image/jpeg" in page


def test_nothing_is_due_until_an_object_changes(ran: Mrs, bucket: Any) -> None:
    again = ran("run", "shop", "--models", "most_pop")
    assert again.code == 0 and "reading raw files" not in again.err
    data = bucket.cat_file("bucket/shop/images/0.png")
    bucket.pipe_file("bucket/shop/images/0.png", bucket.cat_file("bucket/shop/images/3.png"))
    told = due(ran)
    assert "current" in asset(told, "raw/interactions") and "due" in asset(
        told, "features/image_efficientnet_lite0"
    )
    bucket.pipe_file("bucket/shop/images/0.png", data)
    assert "current" in asset(due(ran), "features/image_efficientnet_lite0")

    rows = bucket.cat_file("bucket/shop/interactions.csv")
    bucket.pipe_file("bucket/shop/interactions.csv", rows + b"u1,i2,1700000000,5\n")
    assert "due" in asset(due(ran), "raw/interactions")
    forget()
    assert ran("run", "shop", "--models", "most_pop").code == 0
    counted = ran("query", "--csv", "SELECT count(*) FROM raw.interactions").out.split()[-1]
    assert counted == "481"


def test_a_deleted_object_is_due_or_named(ran: Mrs, bucket: Any) -> None:
    data = bucket.cat_file("bucket/shop/items.csv")
    bucket.rm("bucket/shop/items.csv")
    assert "due" in asset(due(ran), "raw/items")
    bucket.pipe_file("bucket/shop/items.csv", data)
    rows = bucket.cat_file("bucket/shop/interactions.csv")
    bucket.rm("bucket/shop/interactions.csv")
    forget()
    told = ran("run", "shop", "--models", "most_pop")
    assert told.code == 1 and "has no interactions.csv" in told.sentence
    bucket.pipe_file("bucket/shop/interactions.csv", rows)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("s3://no-such-bucket/shop", "nothing is at s3://no-such-bucket/shop"),
        ("s3://bucket/empty", "nothing is at"),
    ],
)
def test_what_is_missing(s3: str, bucket: Any, tmp_path: Path, place: str, said: str) -> None:
    mrs = make_home(tmp_path / "home")
    assert said in mrs("init", place).sentence


def test_without_credentials(s3: str, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    filesystem._opened.cache_clear()
    with pytest.raises(InputError, match="access to s3://bucket/shop is denied"):
        source_folder("s3://bucket/shop", tmp_path)


def test_access_denied(s3: str, bucket: Any, tmp_path: Path) -> None:
    """The server asks who somebody is, and knows nobody."""
    endpoint = os.environ["AWS_ENDPOINT_URL"]

    def ask_after(requests: str) -> None:
        with urlopen(
            Request(f"{endpoint}/moto-api/reset-auth", data=requests.encode(), headers=PLAIN)
        ) as answer:
            assert answer.status == 200

    ask_after("0")
    try:
        with pytest.raises(InputError, match=r"access to s3://bucket/shop is denied \(.*does not exist"):
            source_folder("s3://bucket/shop", tmp_path)
    finally:
        ask_after("inf")
    assert source_folder("s3://bucket/shop", tmp_path).is_dir()


def test_definitions_load_without_the_server(ran: Mrs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    filesystem._opened.cache_clear()
    listed = ran("datasets")
    assert listed.code == 0 and " shop " in listed.out


def test_a_landing_folder_by_windows(s3: str, bucket: Any, tmp_path: Path) -> None:
    """A file a month: a new object makes its month due and no other."""
    rng = np.random.default_rng(5)
    for month in range(1, 7):
        rows = {
            "user_id": [f"u{user}" for user in range(20) for _ in range(6)],
            "item_id": [f"i{item}" for _ in range(20) for item in rng.choice(40, 6, replace=False)],
            "timestamp": [f"2024-0{month}-{1 + row % 28:02}" for row in range(120)],
        }
        bucket.pipe_file(
            f"bucket/months/interactions/2024-0{month}.csv", pl.DataFrame(rows).write_csv().encode()
        )
    mrs = make_home(tmp_path / "home")
    assert mrs("init", f"{s3}/months").code == 0
    assert mrs("run", "months", "--models", "most_pop", "--window", "2024-06").code == 0
    bucket.pipe_file(
        "bucket/months/interactions/2024-06b.csv", b"user_id,item_id,timestamp\nu1,i1,2024-06-11\n"
    )
    forget()
    assert mrs("run", "months", "--models", "most_pop", "--window", "2024-06").code == 0
    counts = mrs(
        "query", "--csv", 'SELECT "window", count(*) FROM raw.interactions GROUP BY 1 ORDER BY 1'
    ).out.split()
    assert counts[1:] == [*(f"2024-0{month},120" for month in range(1, 6)), "2024-06,121"]
