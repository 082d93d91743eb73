"""The machine's own faults: a full disk, a read-only home, a damaged record of runs, damaged files of earlier runs."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.machine import machine_fault
from mrs_pipeline.orchestration.instance import open_instance
from mrs_pipeline_tests.cli.shops import Mrs, add_shop, make_home


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a disk of so many megabytes; skips where that is not allowed."""
    mounted: list[Path] = []

    def mount(megabytes: int) -> Path:
        place = tmp_path / "disk"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
        if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("a disk of its own can be mounted by root on Linux only")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("left", [512, 1024])
def test_a_full_disk_is_one_sentence_and_the_run_goes_on(
    small_disk: Callable[[int], Path], left: int
) -> None:
    """`left` KiB are free when the run begins: it stops in Dagster's record of runs, or in a table of ours."""
    disk = small_disk(16)
    mrs = make_home(disk / "home")
    add_shop(mrs.root)
    filler = disk / "filler"
    with filler.open("wb") as file:
        file.write(bytes(max(0, shutil.disk_usage(disk).free - left * 1024)))
    ran = mrs("run", "shop", "--models", "most_pop")
    assert ran.code == 1
    assert "is full: free some space, then give the same command again" in ran.sentence
    filler.unlink()
    on = mrs("run", "shop", "--models", "most_pop")
    assert on.code == 0, on.err


def test_a_read_only_home_is_one_sentence(small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(8)
    mrs = make_home(disk / "home")
    shop = add_shop(mrs.root)
    (disk / "empty").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for told in (
        mrs("run", "shop"),
        mrs("init", str(shop.folder), "--name", "other"),
        Mrs(disk / "empty")("init"),
    ):
        assert told.code == 1
        assert re_writable(told.sentence), told.sentence


def re_writable(sentence: str) -> bool:
    return "make it readable and writable, or let MRS_HOME name a folder that is" in sentence


def _sqlite(text: str) -> Exception:
    return sqlite3.OperationalError(text)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "x/part.parquet"),
            "the disk of x/part.parquet is full",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "x"), "the disk of x is full"),
        (OSError(errno.EROFS, "Read-only file system", "x"), "x cannot be used (Read-only file system)"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "x cannot be used (Permission denied)"),
        (
            OSError(errno.ELOOP, "Too many levels of symbolic links", "x"),
            "x is a link that leads back to itself",
        ),
        (OSError(errno.EMFILE, "Too many open files"), "too many files are open"),
        (MemoryError(), "memory is used up"),
        (duckdb.OutOfMemoryException("Out of Memory Error: failed to pin block"), "MRS_DUCKDB_MEMORY=4GB"),
        (duckdb.IOException('IO Error: Could not write file "x": No space left on device'), "is full"),
        (_sqlite("database or disk is full"), "is full"),
        (_sqlite("attempt to write a readonly database"), "data/dagster cannot be used"),
        (_sqlite("unable to open database file"), "data/dagster cannot be used"),
        (sqlite3.DatabaseError("file is not a database"), "move that folder away"),
        (sqlite3.DatabaseError("database disk image is malformed"), "move that folder away"),
    ],
)
def test_what_the_system_says_in_words(error: Exception, says: str, tmp_path: Path) -> None:
    sentence = machine_fault(error, tmp_path)
    assert sentence is not None and says in sentence and "\n" not in sentence
    try:
        raise RuntimeError("a library's own words") from error
    except RuntimeError as wrapped:
        assert machine_fault(wrapped, tmp_path) == sentence


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no space left in this list"),
        KeyError("disk is full"),
        duckdb.ParserException("Parser Error: syntax error"),
        _sqlite("no such table: runs"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "x"),
    ],
)
def test_a_fault_of_the_program_is_not_blamed_on_the_machine(error: Exception, tmp_path: Path) -> None:
    assert machine_fault(error, tmp_path) is None


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda home: _noise(home / "data" / "dagster" / "history" / "runs.db"),
            "is damaged (file is not a database",
        ),
        (lambda home: (home / "data" / "dagster").write_text("a file"), "Dagster cannot be opened"),
        (lambda home: (home / "dagster.yaml").write_text("storages: {}\n"), "Dagster cannot be opened"),
        (lambda home: (home / "dagster.yaml").write_text("- a\n"), "dagster.yaml: this does not map"),
    ],
)
def test_dagster_that_cannot_be_opened(
    spoil: Callable[[Path], object], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mrs = make_home(tmp_path / "home")
    monkeypatch.chdir(mrs.root)
    monkeypatch.setenv("DAGSTER_HOME", str(mrs.root))
    spoil(mrs.root)
    with pytest.raises(InputError) as caught, open_instance(mrs.root):
        pass
    assert says in str(caught.value) and "\n" not in str(caught.value)


def _noise(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(os.urandom(4096))


def test_a_loop_of_links_among_the_settings(tmp_path: Path) -> None:
    mrs = make_home(tmp_path / "home")
    add_shop(mrs.root)
    (mrs.root / "defs" / "shop" / "again").symlink_to(mrs.root / "defs")
    told = mrs("datasets")
    assert told.code == 1
    assert "is a link to a folder that it lies in; remove the link" in told.sentence


@pytest.mark.slow
def test_manifests_that_are_damaged_are_named_and_made_again(finished_copy: Mrs) -> None:
    """A feature set's, a model's and the report's: `status` calls them due, `run` makes them again."""
    damaged = sorted(finished_copy.root.glob("data/features/shop/full/*/manifest.json"))
    damaged += sorted(finished_copy.root.glob("models/shop/full/*/manifest.json"))
    damaged += [finished_copy.root / "data" / "reports" / "shop" / "report.html.json"]
    assert len(damaged) == 3
    for path, content in zip(damaged, ("[" * 100_000, "[]", ""), strict=True):
        path.write_text(content)
    why = finished_copy("status", "shop", "--why")
    assert why.code == 0
    assert "was not written by mrs" in why.out
    ran = finished_copy("run", "shop")
    assert ran.code == 0, ran.err
    assert finished_copy("verify", "shop").code == 0


@pytest.fixture
def finished_copy(tmp_path: Path) -> Mrs:
    mrs = make_home(tmp_path / "home")
    add_shop(mrs.root)
    ran = mrs("run", "shop", "--models", "mm_ease")
    assert ran.code == 0, ran.err
    return mrs
