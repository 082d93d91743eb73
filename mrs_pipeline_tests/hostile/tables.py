"""Hostile tables: interactions and items as CSV, JSON Lines and Parquet, and folders that `mrs init` is pointed at."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from mrs_pipeline.database import connect
from mrs_pipeline.ingest.inspection import Overrides, inspect_folder
from mrs_pipeline.ingest.opening import open_source, source_options
from mrs_pipeline_tests.hostile.case import CANARY, Case, hostile_pickle

HEADER = "user_id,item_id,timestamp,rating\n"
GOOD = f"{HEADER}u1,a,1,5\nu2,b,2,4\n"
ITEMS = "item_id,title\na,Apple\nb,Pear\n"


def read(root: Path, **options: Any) -> None:
    """All that `mrs run` reads of a folder's tables before it writes anything."""
    source = open_source(source_options({"path": str(root), **options}), root)
    with connect() as con:
        con.execute(f"CREATE TEMP TABLE parsed AS {source.interactions_sql(con)}")
        con.execute(f"CREATE TEMP TABLE catalogue AS {source.items_sql(con)}")


def put(root: Path, name: str, content: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def interactions(
    content: str | bytes, name: str = "interactions.csv", **options: Any
) -> Callable[[Path], None]:
    """The interactions file with this content, read."""

    def meets(root: Path) -> None:
        put(root, name, content)
        read(root, **options)

    return meets


def items(content: str | bytes, name: str = "items.csv", **options: Any) -> Callable[[Path], None]:
    """A healthy interactions file and an items file with this content, read."""

    def meets(root: Path) -> None:
        put(root, "interactions.csv", GOOD)
        put(root, name, content)
        read(root, **options)

    return meets


def frame(columns: dict[str, Any], spoil: Callable[[bytes], bytes] = bytes) -> Callable[[Path], None]:
    """Interactions as Parquet, its bytes spoilt, read."""

    def meets(root: Path) -> None:
        path = root / "interactions.parquet"
        pl.DataFrame(columns).write_parquet(path)
        path.write_bytes(spoil(path.read_bytes()))
        read(root)

    return meets


def made(make: Callable[[Path], None], **options: Any) -> Callable[[Path], None]:
    """Whatever `make` leaves in the folder, read."""

    def meets(root: Path) -> None:
        make(root)
        read(root, **options)

    return meets


def init(make: Callable[[Path], object], **overrides: Any) -> Callable[[Path], None]:
    """Whatever `make` leaves in the folder, looked at as `mrs init` does."""

    def meets(root: Path) -> None:
        make(root)
        inspect_folder(root, Overrides(**overrides))

    return meets


def _inspect(folder: Path) -> None:
    inspect_folder(folder)


def _loop(name: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        (root / "loop").symlink_to(root / name)
        (root / name).symlink_to(root / "loop")

    return make


def _outside(root: Path) -> None:
    put(root.parent, f"{root.name}-elsewhere.csv", GOOD)
    (root / "interactions").mkdir()
    (root / "interactions" / "x.csv").symlink_to(root.parent / f"{root.name}-elsewhere.csv")


MANY = {"user_id": [f"u{n}" for n in range(5000)], "item_id": ["a"] * 5000}
LONG = "x" * 5_000_000
KIND = "tables"

CASES = tuple(
    Case(KIND, name, meets, says)
    for name, meets, says in (
        ("an empty file", interactions(b""), "is empty"),
        ("a header and nothing below", interactions(HEADER), "has no rows below its header"),
        ("random bytes called CSV", interactions(bytes(range(256)) * 40), "is not UTF-8 text"),
        ("a program called CSV", interactions(b"\x7fELF\x02\x01\x01" + bytes(500)), "is not UTF-8 text"),
        ("a pickle called CSV", interactions(hostile_pickle()), "is not UTF-8 text"),
        ("a zero byte in the middle", interactions(f"{HEADER}u,a\0b,1,1\n"), "is not UTF-8 text: byte 36"),
        ("Latin-1", interactions(HEADER.encode() + b"u,caf\xe9,1,1\n"), "name its encoding"),
        ("UTF-16 without a mark", interactions(GOOD.encode("utf-16-le")), "is not UTF-8 text"),
        ("half of a UTF-8 character at the end", interactions(GOOD.encode() + b"u,\xc3"), "in line 4"),
        (
            "an unclosed quote",
            interactions(f'{HEADER}u,a,1,1\nu,"b,1,1\nu,c,1,1\n'),
            "a quoted value is not closed",
        ),
        (
            "a line that is too short",
            interactions(f"{GOOD}u,b,1\n"),
            "line 4: 3 fields, but the header names 4",
        ),
        (
            "a line that is too long",
            interactions(f"{GOOD}u,b,c,1,1\n"),
            "line 4: 5 fields, but the header names 4",
        ),
        (
            "mixed line ends",
            interactions(f"{HEADER}u,a,1,1\r\nu,b,1,1\n"),
            "line 2 ends otherwise than the line before",
        ),
        (
            "mixed line ends, one of an old Mac",
            interactions("user_id,item_id\r\nu,a\ru,b\r\n"),
            "line 2 ends otherwise",
        ),
        ("two columns of one name", interactions("user_id,item_id,ITEM_ID\nu,a,b\n"), "has two columns"),
        ("a column __row__", interactions("user_id,item_id,__row__\nu,a,1\n"), "a column '__row__'"),
        ("a column __ROW__ of the items", items("item_id,__ROW__\na,1\n"), "a column '__row__'"),
        (
            "no column of users",
            interactions("who,item_id\nu,a\n"),
            "has no column 'user_id' (it has: who, item_id)",
        ),
        (
            "a time in words",
            interactions(f"{GOOD}u,b,yesterday,1\n"),
            "line 4, column timestamp: 'yesterday'",
        ),
        ("a rating in words", interactions(f"{GOOD}u,b,3,good\n"), "line 4, column rating: 'good'"),
        ("a rating that is no number", interactions(f"{GOOD}u,b,3,nan\n"), "line 4, column rating: 'nan'"),
        ("an infinite rating", interactions(f"{GOOD}u,b,3,1e999\n"), "line 4, column rating: '1e999'"),
        (
            "a formula as a time",
            interactions(f"{GOOD}u,b,=cmd|' /C touch {CANARY}'!A0,1\n"),
            "line 4, column timestamp",
        ),
        (
            "SQL as a time",
            interactions(f"{GOOD}u,b,'); DROP TABLE parsed; --,1\n"),
            "line 4, column timestamp",
        ),
        ("a title of 5 MB", items(f"{ITEMS}c,{LONG}\n"), "items.csv, line 4 is longer than any line may be"),
        (
            "a split that is none",
            interactions("user_id,item_id,split\nu,a,train\nu,b,holdout\n"),
            "'holdout' is not a split",
        ),
        (
            "a JSON list a line",
            interactions('["u", "a"]\n', "interactions.jsonl"),
            "line 1 is not one JSON object",
        ),
        (
            "JSON that is cut",
            interactions('{"user_id":"u","item_id":"a"}\n{"user_id":"u",', "interactions.jsonl"),
            "line 2 is not one JSON object",
        ),
        (
            "JSON nested 100,000 deep",
            interactions(
                f'{{"user_id":"u","item_id":{"[" * 100_000}{"]" * 100_000}}}\n', "interactions.jsonl"
            ),
            "interactions.jsonl",
        ),
        (
            "random bytes called JSON",
            interactions(bytes(range(128, 256)), "interactions.jsonl"),
            "is not UTF-8 text",
        ),
        (
            "a JSON number of a million digits as a time",
            interactions(
                f'{{"user_id":"u","item_id":"a","timestamp":{"9" * 1_000_000}}}\n', "interactions.jsonl"
            ),
            "interactions.jsonl",
        ),
        (
            "text called Parquet",
            interactions("PAR1 is not one PAR1", "interactions.parquet"),
            "is not a readable Parquet",
        ),
        (
            "Parquet that is cut",
            frame(MANY, lambda data: data[: len(data) // 2]),
            "is not a readable Parquet",
        ),
        (
            "Parquet with a page of zeros",
            frame(MANY, lambda data: data[:200] + bytes(1800) + data[2000:]),
            "is not a readable Parquet",
        ),
        (
            "Parquet whose footer says 4 GB",
            frame(MANY, lambda data: data[:-8] + b"\xff\xff\xff\xff" + data[-4:]),
            "is not a readable Parquet",
        ),
        (
            "lists as users",
            frame({"user_id": [["x"]], "item_id": ["a"]}),
            "type VARCHAR[] cannot be a user_id",
        ),
        (
            "truth values as times",
            frame({"user_id": ["u"], "item_id": ["a"], "timestamp": [True]}),
            "type BOOLEAN cannot be a timestamp",
        ),
        ("objects as items", frame({"user_id": ["u"], "item_id": [{"a": 1}]}), "cannot be a item_id"),
        ("a file that links to itself", made(_loop("interactions.csv")), "interactions.csv"),
        ("a link out of the folder", made(_outside), "leaves the source folder"),
        (
            "a pipe in place of a file",
            made(lambda root: os.mkfifo(root / "interactions.csv")),
            "has no interactions.csv",
        ),
        (
            "a folder in place of a file",
            made(lambda root: (root / "interactions.csv").mkdir()),
            "has no interactions.csv",
        ),
        (
            "a path with ..",
            interactions(GOOD, interactions="../interactions.csv"),
            "leaves the source folder",
        ),
        (
            "a path from the root",
            interactions(GOOD, interactions="/etc/hostname"),
            "leaves the source folder",
        ),
        ("a pattern with ..", interactions(GOOD, interactions="../*.csv"), "leaves the source folder"),
        (
            "two files of one name",
            made(lambda root: [put(root, f"interactions.{end}", GOOD) for end in ("csv", "tsv")]),
            "name the one to read",
        ),
        ("a workbook", interactions(GOOD, items="shop.xlsx"), "no file 'shop.xlsx'"),
        (
            "an item twice",
            items("item_id,title\na,1\nb,2\na,3\n"),
            "'a' stands in line 2 and again in line 4",
        ),
        ("an item without id", items("item_id,title\na,1\n,2\n"), "line 3: no item_id"),
        ("a catalogue without rows", items("item_id,title\n"), "has no rows below its header"),
        ("a catalogue without ids", items("name,title\na,1\n"), "has no column 'item_id'"),
        (
            "a picture outside the folder",
            items("item_id,image\na,../secret.png\n"),
            "lies outside the source folder",
        ),
        (
            "a picture from the root",
            items("item_id,image\na,/etc/passwd\n"),
            "lies outside the source folder",
        ),
        ("init: a folder that is not there", lambda root: _inspect(root / "nowhere"), "is no folder"),
        ("init: an empty folder", init(lambda root: None), "interactions"),
        ("init: pictures only", init(lambda root: put(root, "images/1.png", b"\x89PNG")), "interactions"),
        (
            "init: a table of one column",
            init(lambda root: put(root, "interactions.csv", "a\n1\n2\n")),
            "interactions.csv",
        ),
        (
            "init: JSON called CSV",
            init(lambda root: put(root, "interactions.csv", '{"a": 1}')),
            "interactions.csv",
        ),
    )
)
