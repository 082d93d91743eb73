import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.storage.artifacts import ArtifactStore
from mrs_pipeline.storage.provenance import Provenance

PROVENANCE = Provenance("code", {"core/items": "a"})
KEYS = ("demo", "full", "image_x")


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "features")


def _write(store: ArtifactStore, text: str, **facts: object) -> None:
    with store.writing(*KEYS, provenance=PROVENANCE, facts=dict(facts)) as directory:
        (directory / "part").mkdir()
        (directory / "part" / "file").write_text(text)


def test_what_was_written_is_read_with_its_manifest(store: ArtifactStore) -> None:
    assert not store.exists(*KEYS)
    _write(store, "one", rows=3)
    manifest = store.read(*KEYS)
    assert (manifest.name, manifest.provenance, manifest.facts) == (
        "demo/full/image_x",
        PROVENANCE,
        {"rows": 3},
    )
    assert (manifest.directory / "part" / "file").read_text() == "one"
    assert manifest.directory.name == manifest.digest[:16]
    assert store.exists(*KEYS)


def test_facts_may_be_filled_while_writing(store: ArtifactStore) -> None:
    facts: dict = {}
    with store.writing(*KEYS, provenance=PROVENANCE, facts=facts):
        facts["rows"] = 4
    assert store.read(*KEYS).facts == {"rows": 4}


def test_the_digest_is_of_names_and_contents(store: ArtifactStore) -> None:
    digests = []
    for name, text in (("a", "x"), ("a", "x"), ("a", "y"), ("b", "x")):
        with store.writing(*KEYS, provenance=PROVENANCE, facts={}) as directory:
            (directory / name).write_text(text)
        digests.append(store.read(*KEYS).digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_older_directories_are_removed_and_nested_artifacts_are_not(store: ArtifactStore) -> None:
    nested = "0123456789abcdeg"  # sixteen characters, but no digest
    with store.writing(*KEYS, nested, provenance=PROVENANCE, facts={}):
        pass
    _write(store, "one")
    first = store.read(*KEYS).directory
    _write(store, "two")
    assert not first.exists()
    assert store.read(*KEYS, nested).facts == {}
    assert len([path for path in first.parent.iterdir() if path.is_dir()]) == 2


def test_an_absent_artifact_is_named(store: ArtifactStore) -> None:
    with pytest.raises(InputError, match=r"features/demo/full/image_x has not been made yet"):
        store.read(*KEYS)


@pytest.mark.parametrize("bad", ["..", "a/b", "", ".lock"])
def test_keys_stay_inside_the_store(store: ArtifactStore, bad: str) -> None:
    with (
        pytest.raises(InputError, match="cannot name an artifact"),
        store.writing("demo", bad, provenance=PROVENANCE, facts={}),
    ):
        pass


def test_an_error_leaves_the_old_artifact_and_nothing_else(store: ArtifactStore) -> None:
    _write(store, "one")
    home = store.read(*KEYS).directory.parent
    before = sorted(home.iterdir())
    with pytest.raises(RuntimeError), store.writing(*KEYS, provenance=PROVENANCE, facts={}) as directory:
        (directory / "half").write_text("half")
        raise RuntimeError
    with (
        pytest.raises(ValueError, match="JSON"),
        store.writing(*KEYS, provenance=PROVENANCE, facts={"loss": float("nan")}),
    ):
        pass
    assert sorted(home.iterdir()) == before
    assert (store.read(*KEYS).directory / "part" / "file").read_text() == "one"


_KILLED = """
import os, sys
from pathlib import Path
from mrs_pipeline.storage.artifacts import ArtifactStore
from mrs_pipeline.storage.provenance import Provenance

store = ArtifactStore(Path(sys.argv[1]))
with store.writing("demo", "full", "image_x", provenance=Provenance("x"), facts={}, resume=True) as directory:
    (directory / "rows").write_text("half")
    os.kill(os.getpid(), 9)
"""


def test_a_killed_writer_leaves_its_files_to_who_resumes_and_to_nobody_else(store: ArtifactStore) -> None:
    _write(store, "one")
    for resume, expected in ((True, ["rows"]), (False, [])):
        killed = subprocess.run([sys.executable, "-c", _KILLED, str(store.root)], check=False)
        assert killed.returncode == -9
        assert (store.read(*KEYS).directory / "part" / "file").exists()
        with store.writing(*KEYS, provenance=PROVENANCE, facts={}, resume=resume) as directory:
            assert [path.name for path in directory.iterdir()] == expected
            (directory / "part").mkdir()
            (directory / "part" / "file").write_text("done")


def test_writers_of_one_artifact_wait_for_each_other(store: ArtifactStore) -> None:
    inside: list[int] = []

    def write(number: int) -> None:
        with store.writing(*KEYS, provenance=PROVENANCE, facts={"number": number}) as directory:
            inside.append(number)
            assert list(directory.iterdir()) == []
            (directory / "file").write_text(str(number))
            assert inside == [number]
            inside.remove(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    manifest = store.read(*KEYS)
    assert (manifest.directory / "file").read_text() == str(manifest.facts["number"])
    assert json.loads((manifest.directory.parent / "manifest.json").read_text())["digest"] == manifest.digest
