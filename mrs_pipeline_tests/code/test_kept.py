"""Closures that are kept between processes: the same as without, gone with any edit, remade where damaged."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import mrs_pipeline
from mrs_pipeline.code import closure, edited_files, keep_closures, kept, one_moment, present
from mrs_pipeline.code.present import View
from mrs_pipeline.code.program import ENGINE, Program
from mrs_pipeline_tests.code.packages import write

KEYS = ("shop.main:run",)
FILES = {
    "main.py": "from shop.helper import used\ndef run():\n    return used(), 'page.html'\n",
    "helper.py": "def used():\n    return 1\n",
    "unread.py": "def other():\n    return 1\n",
    "data/page.html": "<p>one</p>",
}
REAL = (
    ("mrs_pipeline.stages.train:train_model", "mrs_pipeline.models.baselines.bpr_mf:BprMf"),
    ("mrs_pipeline.stages.train:train_model", "mrs_pipeline.models.fusion.vbpr:Vbpr"),
    ("mrs_pipeline.stages.report:make_report",),
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of caches of its own, and no view of an earlier test."""
    monkeypatch.setenv(kept.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(present, "_views", {})
    monkeypatch.setattr(present, "_first", {})
    return tmp_path / "cache" / "code"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return write(tmp_path, FILES)


def _keep(package: Path) -> str:
    """Ask as a first process does, and keep the answer; its digest."""
    view = View({"shop": package})
    found = view.closure(KEYS, ())
    view.keep()
    return found.digest


def _no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(present, "Program", lambda packages: pytest.fail("a source file was searched"))


def _states(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.json"))


def test_closures_of_this_package_are_the_same_with_and_without(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = {"mrs_pipeline": Path(mrs_pipeline.__file__).parent}
    searched = Program(packages)
    first = View(packages)
    expected = [searched.closure(*keys, stop=ENGINE) for keys in REAL]
    assert [first.closure(keys, ENGINE) for keys in REAL] == expected
    first.keep()
    _no_search(monkeypatch)
    second = View(packages)
    found = [second.closure(keys, ENGINE) for keys in REAL]
    assert found == expected
    assert [each.digest for each in found] == [each.digest for each in expected]
    assert len({each.digest for each in found}) == len(REAL)


def test_the_order_of_roots_and_where_to_stop_are_part_of_the_question() -> None:
    names = {
        kept.question(("a", "b"), ()),
        kept.question(("b", "a"), ()),
        kept.question(("a", "b"), ("c",)),
        kept.question(("a",), ("b",)),
    }
    assert len(names) == 4
    assert kept.question(("a",), ("c", "b")) == kept.question(("a",), ("b", "c"))


def _same_stamp(package: Path) -> None:
    path = package / "helper.py"
    status = path.stat()
    path.write_text("def used():\n    return 2\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    "edit",
    [
        lambda package: (package / "helper.py").write_text("def used():\n    return 22\n"),
        _same_stamp,
        lambda package: (package / "data" / "page.html").write_text("<p>two</p>"),
        lambda package: (package / "helper.py").rename(package / "helpers.py"),
        lambda package: (package / "main.py").write_text("def run():\n    return 3\n"),
        lambda package: (package / "helper").mkdir(),
        lambda package: (package / "page.html").write_text("<p>nearer</p>"),
        lambda package: write(package.parent, {"helper/__init__.py": "def used():\n    return 4\n"}),
    ],
    ids=["text", "text alone", "data", "renamed", "another file", "folder", "nearer file", "a package"],
)
def test_an_edit_of_any_kind_asks_again(cache: Path, package: Path, edit: Callable[[Path], object]) -> None:
    _keep(package)
    before = View({"shop": package})
    edit(package)
    after = View({"shop": package})
    assert after._scan.fingerprint != before._scan.fingerprint
    assert after.closure(KEYS, ()) == Program({"shop": package}).closure(*KEYS)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("shop.helper:used", "shop.helper:else"),
        lambda text: text.replace('"format": 1', '"format": 0'),
        lambda text: "[]",
        lambda text: '{"format": 1, "digest": "", "body": ""}',
        lambda text: "[" * 100_000,
        lambda text: "\udcff",
    ],
    ids=["empty", "cut short", "other text", "other format", "list", "no body", "deep", "no UTF-8"],
)
def test_what_is_damaged_is_made_again(cache: Path, package: Path, damage: Callable[[str], str]) -> None:
    expected = _keep(package)
    (state,) = _states(cache)
    sound = state.read_text()
    state.write_bytes(damage(sound).encode(errors="surrogateescape"))
    assert state.read_bytes() != sound.encode()
    assert kept.recall(state.stem) == kept.Kept()
    assert _keep(package) == expected
    assert state.read_text() == sound


def test_without_a_folder_that_can_be_written_closures_are_found_all_the_same(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Program({"shop": package}).closure(*KEYS).digest
    (tmp_path / "file").touch()
    monkeypatch.setenv(kept.CACHE_VARIABLE, str(tmp_path / "file"))
    assert _keep(package) == expected
    monkeypatch.delenv(kept.CACHE_VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", _no_home)
    assert _keep(package) == expected


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_the_latest_states_are_kept_and_no_more(cache: Path, package: Path) -> None:
    for number in range(kept.MOST_STATES + 2):
        (package / "helper.py").write_text(f"def used():\n    return {number}\n")
        _keep(package)
    assert len(_states(cache)) == kept.MOST_STATES
    assert [path for path in cache.iterdir() if path.suffix != ".json"] == []
    assert View({"shop": package})._scan.fingerprint in {path.stem for path in _states(cache)}


def test_what_two_processes_have_found_is_kept_together(cache: Path, package: Path) -> None:
    one, two = View({"shop": package}), View({"shop": package})
    one.closure(KEYS, ())
    two.closure(("shop.unread:other",), ())
    one.keep()
    two.keep()
    (state,) = _states(cache)
    found = kept.recall(state.stem)
    assert len(found.closures) == 2
    assert {"shop/helper.py", "shop/unread.py"} <= found.read


def test_what_was_read_after_an_edit_is_not_kept(cache: Path, package: Path) -> None:
    view = View({"shop": package})
    (package / "helper.py").write_text("def used():\n    return 22\n")
    view.closure(KEYS, ())
    view.keep()
    assert _states(cache) == []


def test_what_was_read_before_an_edit_that_left_the_stamp_is_not_kept(cache: Path, package: Path) -> None:
    """A process takes a file of the same time and size for the one that it has read; others must not believe it."""
    _keep(package)
    _same_stamp(package)
    _keep(package)
    (state,) = _states(cache)
    assert state.stem != View({"shop": package})._scan.fingerprint


def test_folders_behind_links_are_not_seen_so_nothing_is_kept(cache: Path, package: Path) -> None:
    elsewhere = package.parent / "elsewhere"
    elsewhere.mkdir()
    (package / "linked").symlink_to(elsewhere, target_is_directory=True)
    _keep(package)
    assert _states(cache) == []


def test_a_view_of_what_is_kept_knows_which_files_count(
    cache: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _keep(package)
    _no_search(monkeypatch)
    view = View({"shop": package})
    view.closure(KEYS, ())
    assert view.is_current()
    (package / "unread.py").write_text("def other():\n    return 22\n")
    assert view.is_current()
    (package / "helper.py").write_text("def used():\n    return 22\n")
    assert list(view.edited()) == [package / "helper.py"]
    assert not view.is_current()


def test_the_function_answers_from_what_is_kept_and_sees_edits(
    cache: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(package.parent))
    before = closure(*KEYS)
    keep_closures()
    monkeypatch.setattr(present, "_views", {})
    monkeypatch.setattr(present, "_first", {})
    with monkeypatch.context() as patch:
        _no_search(patch)
        assert closure(*KEYS) == before
        assert edited_files() == []
    (package / "helper.py").write_text("def used():\n    return 22\n")
    assert closure(*KEYS).digest != before.digest
    monkeypatch.setitem(present.sys.modules, "shop", present)  # as if this process had imported it
    assert edited_files() == [package / "helper.py"]


def test_within_one_moment_files_are_looked_at_once(
    cache: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(package.parent))
    before = closure(*KEYS)
    with one_moment():
        assert closure(*KEYS) is before
        (package / "helper.py").write_text("def used():\n    return 22\n")
        assert closure(*KEYS) is before
    after = closure(*KEYS)
    assert after.digest != before.digest
    (package / "helper.py").write_text("def used():\n    return 333\n")
    with one_moment():
        assert closure(*KEYS).digest not in {before.digest, after.digest}
