"""Packed files: `.gz`, `.zst` and members of `.zip` are read as they are; broken and hostile ones are refused."""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.inspection import inspect_folder
from mrs_pipeline.ingest.layouts.contents import look_into
from mrs_pipeline.ingest.layouts.registry import recognise
from mrs_pipeline_tests.ingest.layouts.conftest import Opened
from mrs_pipeline_tests.ingest.layouts.folders import FOLDERS, make, write

NAMES = (
    "amazon-2018, reviews",
    "ml-1m",
    "mind",
    "netflix, four files",
    "steam-reviews",
    "lattice",
    "book-crossing",
)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".npy")


def _gzip(folder: Path) -> None:
    for path in _files(folder):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


def _zstd(folder: Path) -> None:
    for path in _files(folder):
        with pa.CompressedOutputStream(str(path.with_name(f"{path.name}.zst")), "zstd") as stream:
            stream.write(path.read_bytes())
        path.unlink()


def _zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in _files(folder):
            if path.name != "all.zip":
                archive.write(path, path.relative_to(folder))
                path.unlink()


@pytest.mark.parametrize("pack", [_gzip, _zstd, _zip])
@pytest.mark.parametrize("name", NAMES)
def test_packed_files_give_the_same_tables(
    name: str, pack: Callable[[Path], None], tmp_path: Path, opened: Callable[..., Opened]
) -> None:
    layout = FOLDERS[name][0]
    plain, packed = make(tmp_path / "plain", name), make(tmp_path / "packed", name)
    pack(packed)
    match = recognise(packed)
    assert match is not None and match.layout.name == layout
    (rows, items), (packed_rows, packed_items) = (
        (each.interactions.drop("source_file"), each.items)
        for each in (opened(plain, layout), opened(packed, layout))
    )
    assert packed_rows.sort(packed_rows.columns).equals(rows.sort(rows.columns))
    assert packed_items.equals(items)


def test_a_landing_of_an_archive_is_the_archive(
    tmp_path: Path, opened: Callable[..., Opened], con: duckdb.DuckDBPyConnection
) -> None:
    folder = make(tmp_path, "ml-1m")
    with zipfile.ZipFile(tmp_path / "ml_1m" / "ml-1m.zip", "w") as archive:
        for path in _files(folder / "ml-1m"):
            archive.write(path, path.relative_to(folder))
            path.unlink()
    source = opened(folder, "ml-1m").source
    assert source.landings() == source.files() == [folder / "ml-1m.zip"]
    assert source.windows_of(con, folder / "ml-1m.zip", "year") == ["2019"]


def test_unpacked_files_go_before_their_archives(tmp_path: Path) -> None:
    folder = make(tmp_path, "ml-100k")
    with zipfile.ZipFile(folder / "old.zip", "w") as archive:
        archive.writestr("u.data", "9\t9\t9\t9\n")
    write(folder, "u.item.gz", gzip.compress(b"x"))
    found = look_into(folder)
    assert found.names["u.data"].member is None and found.names["u.item"].packing == ""


@pytest.mark.parametrize("name", ["reviews.json.gz", "ratings.csv.zst"])
def test_broken_packing_is_named(name: str, tmp_path: Path) -> None:
    write(tmp_path, name, b"\x1f\x8b broken \x28\xb5")
    with pytest.raises(InputError, match=rf"^{name} cannot be unpacked \(.*\); download it again$"):
        inspect_folder(tmp_path)


def test_a_truncated_file_is_named(tmp_path: Path, opened: Callable[..., Opened]) -> None:
    folder = make(tmp_path, "ml-100k")
    content = gzip.compress((folder / "u.data").read_bytes() * 4000)
    (folder / "u.data").unlink()
    write(folder, "u.data.gz", content[: len(content) // 2])
    with pytest.raises(InputError, match=r"u\.data\.gz.* cannot be (read|unpacked)"):
        _ = opened(folder, "ml-100k").interactions


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    write(tmp_path, "ml-1m.zip", b"PK broken")
    with pytest.raises(InputError, match=r"^ml-1m.zip cannot be unpacked \(.*\); download it again$"):
        inspect_folder(tmp_path)


def test_members_never_leave_the_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        for name in ("../../u.data", "/u.item", "__MACOSX/u.data", "a/.hidden"):
            archive.writestr(name, "1\t2\t3\t4\n")
    assert look_into(tmp_path).entries == ()


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    write(tmp_path / "outside", "u.data", "1\t2\t3\t4\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "u.data").symlink_to(tmp_path / "outside" / "u.data")
    (inside / "loop").symlink_to(inside)
    assert [entry.name for entry in look_into(inside).entries] == []
