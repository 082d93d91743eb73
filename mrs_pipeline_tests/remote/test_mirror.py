"""The copy of a remote folder follows it: fetched once, changed, removed, consistent, bounded. On fsspec's memory."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from mrs_pipeline.encoders.base import ContentError
from mrs_pipeline.encoders.files import MediaFolder
from mrs_pipeline.errors import InputError
from mrs_pipeline.remote import media, mirror
from mrs_pipeline.remote.address import address_of
from mrs_pipeline.remote.mirror import forget, mirrored

SHOP = address_of("memory://shop")


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    system.pipe(
        {"/shop/interactions.csv": b"one", "/shop/parts/a.csv": b"two", "/shop/images/1.png": b"picture"}
    )
    yield system
    system.store.clear()


def copy(home: Path) -> Path:
    forget()
    return mirrored(SHOP, home, (".png",))


def states(root: Path) -> dict[str, tuple[int, int]]:
    return {
        path.relative_to(root).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file() and path.name != media.MARKER
    }


def test_tables_come_and_media_stay(memory: Any, tmp_path: Path) -> None:
    root = copy(tmp_path)
    assert set(states(root)) == {"interactions.csv", "parts/a.csv", "images/1.png"}
    assert (root / "interactions.csv").read_bytes() == b"one"
    stand_in = (root / "images/1.png").stat()
    assert (stand_in.st_size, stand_in.st_blocks) == (7, 0)
    folder = MediaFolder(root, 100)
    assert folder.read("images/1.png").data == b"picture"
    assert Path(folder.locate("images/1.png").data).read_bytes() == b"picture"


def test_only_what_changed_is_fetched(memory: Any, tmp_path: Path) -> None:
    before = states(copy(tmp_path))
    assert states(copy(tmp_path)) == before
    memory.pipe({"/shop/parts/a.csv": b"TWO", "/shop/images/1.png": b"PICTURE", "/shop/new.csv": b"x"})
    root = copy(tmp_path)
    after = states(root)
    assert {name for name in after if before.get(name) != after[name]} == {
        "parts/a.csv",
        "images/1.png",
        "new.csv",
    }
    assert (root / "parts/a.csv").read_bytes() == b"TWO"
    memory.rm("/shop/parts", recursive=True)
    assert set(states(copy(tmp_path))) == {"interactions.csv", "images/1.png", "new.csv"}
    assert not (root / "parts").exists()


def test_a_copy_that_was_deleted_looks_the_same_again(memory: Any, tmp_path: Path) -> None:
    root = copy(tmp_path)
    before = (root / "images/1.png").stat()
    shutil.rmtree(root)
    again = (copy(tmp_path) / "images/1.png").stat()
    assert (again.st_size, again.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_what_is_looked_at_is_trusted_for_a_while(memory: Any, tmp_path: Path) -> None:
    root = copy(tmp_path)
    memory.pipe("/shop/interactions.csv", b"other")
    assert (mirrored(SHOP, tmp_path, (".png",)) / "interactions.csv").read_bytes() == b"one"
    assert (copy(tmp_path) / "interactions.csv").read_bytes() == b"other"
    assert root.is_dir()


def test_a_failed_fetch_leaves_the_copy_as_it_was(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = states(copy(tmp_path))
    memory.pipe({"/shop/interactions.csv": b"ONE", "/shop/parts/a.csv": b"TWO"})
    fetch = type(memory).get_file

    def failing(self: Any, path: str, target: str, **options: Any) -> None:
        if "parts" in path:
            raise ConnectionResetError("gone")
        fetch(self, path, target, **options)

    with monkeypatch.context() as patch, pytest.raises(InputError, match="memory://shop cannot be reached"):
        patch.setattr(type(memory), "get_file", failing)
        copy(tmp_path)
    root = tmp_path / mirror.REMOTE_FOLDER / SHOP.key / "shop"
    assert states(root) == before and not (root.parent / ".incoming").exists()
    assert (copy(tmp_path) / "interactions.csv").read_bytes() == b"ONE"


def test_an_object_that_changes_while_it_is_read_is_read_again(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, left = type(memory).get_file, [1]

    def changing(self: Any, path: str, target: str, **options: Any) -> None:
        fetch(self, path, target, **options)
        if left[0] and path.endswith("a.csv"):
            left[0] -= 1
            memory.pipe("/shop/parts/a.csv", b"other")

    monkeypatch.setattr(type(memory), "get_file", changing)
    assert (copy(tmp_path) / "parts/a.csv").read_bytes() == b"other"
    left[0] = 99
    memory.pipe("/shop/parts/a.csv", b"more")
    with pytest.raises(InputError, match="a.csv changes while it is read"):
        copy(tmp_path)


def test_more_bytes_than_announced_are_refused(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(self: Any, path: str, target: str, *, callback: Any) -> None:
        for _ in range(10):
            callback.relative_update(1000)

    monkeypatch.setattr(type(memory), "get_file", endless)
    with pytest.raises(InputError, match="more bytes than the server announced"):
        copy(tmp_path)


def test_what_does_not_fit_is_refused_before_it_comes(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_RESERVE", 1 << 60)
    with pytest.raises(InputError, match=r"memory://shop needs 0.0 MB on this machine, and 0.0 MB are free"):
        copy(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/shop/../../evil.csv", "cannot be a file of this machine"),
        ("/shop/a\\b.csv", "cannot be a file of this machine"),
        ("/shop/interactions.csv/x.csv", "is an object and a folder of others"),
    ],
)
def test_names_that_lead_elsewhere(memory: Any, tmp_path: Path, name: str, said: str) -> None:
    memory.store[name] = memory.store["/shop/interactions.csv"]
    with pytest.raises(InputError, match=said):
        copy(tmp_path)


def test_nothing_there(memory: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing is at memory://nowhere"):
        mirrored(address_of("memory://nowhere"), tmp_path, ())


def test_media_that_are_gone_or_too_large_are_content_errors(memory: Any, tmp_path: Path) -> None:
    root = copy(tmp_path)
    with pytest.raises(ContentError, match="more than max_file_mb"):
        MediaFolder(root, 3).read("images/1.png")
    memory.rm("/shop/images/1.png")
    with pytest.raises(ContentError, match="file not found"):
        MediaFolder(root, 100).read("images/1.png")


def test_a_server_that_is_gone_is_no_missing_picture(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy(tmp_path)

    def refused(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError("nobody")

    monkeypatch.setattr(type(memory), "cat_file", refused)
    with pytest.raises(InputError, match="cannot be reached"):
        MediaFolder(root, 100).read("images/1.png")


def test_a_copy_is_not_read_without_its_address(memory: Any, tmp_path: Path) -> None:
    root = copy(tmp_path)
    media._mounts.clear()
    with pytest.raises(InputError, match="is the copy of a remote folder"):
        MediaFolder(root, 100)
    assert MediaFolder(tmp_path, 100).remote is None


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(InputError, match=r"pip install 'mrs-pipeline\[remote\]'"):
        mirrored(address_of("s3://bucket/x"), tmp_path, ())
