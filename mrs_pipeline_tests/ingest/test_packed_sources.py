"""Tables as `.gz` and `.zst`, and a source that is one `.zip`: read as their plain twins, bounded, kept inside."""

import gzip
import stat
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from mrs_pipeline.database import connect
from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import archives, packing
from mrs_pipeline.ingest.inspection import inspect_folder
from mrs_pipeline.ingest.opening import open_source, source_options

EVENTS = "user_id,item_id,rating,timestamp\n" + "".join(
    f"u{user},i{(user + step) % 9},{1 + step % 5},2023-0{1 + step}-05\n"
    for user in range(12)
    for step in range(6)
)
ITEMS = "".join(f'{{"item_id": "i{item}", "title": "Thing {item}"}}\n' for item in range(9))


def packed(path: Path, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else pa.compress(data, "zstd", asbytes=True))


def rows(path: Path | str, home: Path) -> list[tuple[object, ...]]:
    """What the proposed settings read, files' names left out."""
    source = open_source(source_options(inspect_folder(path, home_root=home).settings["source"]), home)
    with connect() as con:
        events = con.execute(
            f"SELECT * EXCLUDE (source_file) FROM ({source.interactions_sql(con)}) ORDER BY ALL"
        )
        found = events.fetchall()
        return (
            found
            + con.execute(f"SELECT item_id, title FROM ({source.items_sql(con)}) ORDER BY ALL").fetchall()
        )


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "interactions.csv").write_text(EVENTS)
    (folder / "items.jsonl").write_text(ITEMS)
    return folder


@pytest.mark.parametrize(("events", "items"), [(".gz", ".zst"), (".zst", ".gz")])
def test_packed_tables_read_as_their_plain_twins(
    plain: Path, tmp_path: Path, events: str, items: str
) -> None:
    folder = tmp_path / "packed"
    folder.mkdir()
    packed(folder / f"interactions.csv{events}", EVENTS)
    packed(folder / f"items.jsonl{items}", ITEMS)
    assert rows(folder, tmp_path) == rows(plain, tmp_path)


def test_a_folder_of_landings_takes_each_file_once(plain: Path, tmp_path: Path) -> None:
    """A packed file beside its plain twin is one that an archiver is about to leave."""
    folder = tmp_path / "landings"
    (folder / "interactions").mkdir(parents=True)
    header, *lines = EVENTS.splitlines(keepends=True)
    packed(folder / "interactions" / "1.csv.gz", header + "".join(lines[:30]))
    (folder / "interactions" / "2.csv").write_text(header + "".join(lines[30:]))
    packed(folder / "interactions" / "2.csv.gz", header + "".join(lines[30:]))
    packed(folder / "items.jsonl.gz", ITEMS)
    found = inspect_folder(folder).findings
    assert any(
        "interactions: 72 in 2 files, interactions/1.csv.gz to interactions/2.csv" in line for line in found
    )


def test_other_encodings_and_names_of_packed_tables(tmp_path: Path) -> None:
    packed(tmp_path / "sales.tsv.gz", EVENTS.replace(",", "\t").replace("u1\t", "ü1\t").encode("cp1252"))
    packed(tmp_path / "things.jsonl.zst", ITEMS)
    found = inspect_folder(tmp_path)
    source = found.settings["source"]
    assert (source["interactions"], source["items"]) == ("sales.tsv.gz", "things.jsonl.zst")
    assert source["encoding"] == "cp1252"


def test_ready_features_in_a_packed_table(plain: Path, tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=(9, 12))
    frame = pl.DataFrame(
        {"item_id": [f"i{item}" for item in range(9)]} | {f"x{at}": numbers[:, at] for at in range(12)}
    )
    packed(plain / "audio.csv.gz", frame.write_csv())
    assert inspect_folder(plain).settings["source"]["matrices"] == {"audio": "audio.csv.gz"}


def test_a_fault_is_named_by_its_line(tmp_path: Path) -> None:
    packed(tmp_path / "interactions.csv.gz", EVENTS.replace("u3,i3,1", "u3,i3,many"))
    with pytest.raises(InputError, match=r"interactions.csv.gz, line 20, column rating: 'many'"):
        inspect_folder(tmp_path)


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_broken_packing_is_one_sentence(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"interactions.csv{ending}"
    packed(path, EVENTS)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=f"interactions.csv{ending} cannot be unpacked"):
        inspect_folder(tmp_path)


def test_a_bomb_stops_before_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed(tmp_path / "interactions.csv.gz", EVENTS + "u1,i1,5,2023-01-05\n" * 200_000)
    monkeypatch.setattr(packing, "RESERVE", packing.shutil.disk_usage(tmp_path).free - 1_000_000)
    with pytest.raises(InputError, match="the disk of temporary files is nearly full"):
        inspect_folder(tmp_path)


def zipped(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize("inner", ["", "My Shop/"])
def test_an_archive_reads_as_its_folder(plain: Path, tmp_path: Path, inner: str) -> None:
    members = {
        f"{inner}interactions.csv": EVENTS,
        f"{inner}items.jsonl": ITEMS,
        "__MACOSX/._items.jsonl": "x",
    }
    archive = zipped(tmp_path / "shop.zip", members)
    assert rows(archive, tmp_path) == rows(plain, tmp_path)
    found = inspect_folder(archive, home_root=tmp_path)
    assert found.settings["name"] == "shop" and found.settings["source"]["path"] == archive.as_posix()


def test_another_archive_under_the_same_name_is_unpacked_again(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "shop.zip", {"interactions.csv": EVENTS, "items.jsonl": ITEMS})
    first = archives.unpacked(archive, tmp_path)
    assert archives.unpacked(archive, tmp_path) == first
    before = (first / "items.jsonl").stat().st_mtime_ns
    archive.touch()
    second = archives.unpacked(archive, tmp_path)
    assert second != first and not first.exists()
    assert (second / "items.jsonl").stat().st_mtime_ns == before  # media and tables do not look new


@pytest.mark.parametrize(
    "name", ["../evil.csv", "/evil.csv", "a/../../evil.csv", "a\\..\\evil.csv", "C:/evil.csv"]
)
def test_members_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path / "shop.zip", {"interactions.csv": EVENTS, name: "x"})
    with pytest.raises(InputError, match="leads out of the folder"):
        inspect_folder(archive, home_root=tmp_path / "home")
    assert not list(tmp_path.rglob("evil.csv"))


def test_links_in_an_archive_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("interactions.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="is a link"):
        inspect_folder(tmp_path / "shop.zip", home_root=tmp_path)


def test_archives_that_claim_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(tmp_path / "shop.zip", {"interactions.csv": "u,i\n" * 3_000_000})
    monkeypatch.setattr(archives, "_SMALL", 1 << 20)
    with pytest.raises(InputError, match=r"has 0\.0 MB and claims 0\.0 GB in 1 files"):
        archives.unpacked(archive, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(archives, "RESERVE", 1 << 60)
    with pytest.raises(InputError, match=r"needs 0\.0 GB unpacked, and 0\.0 GB are free"):
        archives.unpacked(archive, tmp_path)


@pytest.mark.parametrize("text", ["no archive", ""])
def test_what_is_no_archive(tmp_path: Path, text: str) -> None:
    (tmp_path / "shop.zip").write_text(text)
    with pytest.raises(InputError, match=r"shop\.zip cannot be unpacked"):
        inspect_folder(tmp_path / "shop.zip", home_root=tmp_path)
