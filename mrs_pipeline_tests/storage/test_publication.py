"""Two homes of one store: what one publishes the other has, whole or not at all, and nobody overwrites unseen."""

import json
import logging
import shutil
from pathlib import Path

import polars as pl
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.remote.address import address_of
from mrs_pipeline.remote.filesystem import filesystem
from mrs_pipeline.remote.objects import Objects
from mrs_pipeline.storage.artifacts import ArtifactStore
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake, Table
from mrs_pipeline.storage.pages import page_fault, write_page
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.storage.publication import Publication, publication
from mrs_pipeline.storage.units import is_unit_name

TABLE = Table.of("core", "users", dataset="shop", window="full")
MADE = Provenance("code", {"raw/items": "abc"})
KEYS = ("shop", "full", "vbpr")


@pytest.fixture
def store():
    system = filesystem("memory")
    address = address_of("memory://lakes/shop")
    yield Objects(address)
    system.store.clear()


@pytest.fixture
def pair(tmp_path, store):
    return [Publication(Home(tmp_path / name), store) for name in ("one", "other")]


def lake(side: Publication) -> Lake:
    return Lake(side.home.lake)


def write(side: Publication, *values: int) -> None:
    lake(side).write_frame(TABLE, pl.DataFrame({"user": values}), MADE)


def rows(side: Publication) -> list[int]:
    return lake(side).read(TABLE)["user"].to_list()


def artifact(side: Publication, text: str) -> None:
    with ArtifactStore(side.home.models).writing(*KEYS, provenance=MADE, facts={}) as folder:
        (folder / "seed=1").mkdir()
        (folder / "seed=1" / "weights").write_text(text)
        (folder / "same").write_text(text)


def test_all_kinds_go_from_one_home_to_the_other(pair):
    one, other = pair
    write(one, 1, 2)
    artifact(one, "first")
    page = one.home.reports / "shop" / "report.html"
    write_page(page, "<p>", MADE)
    assert (one.push(), one.push(), other.pull(), other.pull()) == (3, 0, 3, 0)
    assert rows(other) == [1, 2]
    assert lake(other).fault(TABLE) is None and lake(other).manifest(TABLE) == lake(one).manifest(TABLE)
    models = ArtifactStore(other.home.models)
    assert models.fault(*KEYS) is None
    assert (models.read(*KEYS).directory / "seed=1" / "weights").read_text() == "first"
    assert page_fault(other.home.reports / "shop" / "report.html") is None
    assert other.push() == 0


def test_what_is_written_again_takes_the_place_of_the_former(pair):
    one, other = pair
    write(one, 1)
    artifact(one, "first")
    one.push()
    other.pull()
    write(other, 1, 2)
    artifact(other, "second")
    assert (other.push(), one.pull()) == (2, 2)
    assert rows(one) == [1, 2] and lake(one).fault(TABLE) is None
    models = ArtifactStore(one.home.models)
    assert models.fault(*KEYS) is None
    assert len([path for path in one.home.models.joinpath(*KEYS).iterdir() if len(path.name) == 16]) == 1


def test_the_first_to_publish_is_kept_and_the_second_told(pair, caplog):
    one, other = pair
    write(one, 1)
    one.push()
    other.pull()
    write(one, 1, 2)
    write(other, 3)
    with caplog.at_level(logging.WARNING):
        assert (one.push(), other.push()) == (1, 0)
    assert "was published by another machine first" in caplog.text
    assert rows(one) == rows(other) == [1, 2]
    assert (one.push(), other.push(), one.pull(), other.pull()) == (0, 0, 0, 0)


def test_what_is_gone_here_comes_back_and_is_not_removed_there(pair):
    one, other = pair
    write(one, 1)
    artifact(one, "first")
    one.push()
    shutil.rmtree(one.home.lake)
    ArtifactStore(one.home.models).discard(*KEYS)
    assert (one.push(), other.pull(), one.pull()) == (0, 2, 2)
    assert rows(one) == rows(other) == [1]
    assert ArtifactStore(one.home.models).fault(*KEYS) is None


def test_files_without_their_ref_are_seen_by_nobody(pair, monkeypatch):
    one, other = pair
    write(one, 1)
    one.push()
    other.pull()
    write(one, 1, 2)
    with monkeypatch.context() as patch:

        def cut(*_):
            raise ConnectionError("the machine is gone")

        patch.setattr(Objects, "create", cut)
        with pytest.raises(ConnectionError):
            one.push()
    assert other.pull() == 0 and rows(other) == [1]
    assert (one.push(), other.pull()) == (1, 1)
    assert rows(other) == [1, 2]


def test_a_pull_that_is_cut_short_leaves_the_former_content(pair, monkeypatch):
    one, other = pair
    artifact(one, "first")
    one.push()
    other.pull()
    artifact(one, "second")
    one.push()
    with monkeypatch.context() as patch:

        def cut(*_):
            raise ConnectionError("the machine is gone")

        patch.setattr(Objects, "download", cut)
        with pytest.raises(ConnectionError):
            other.pull()
    models = ArtifactStore(other.home.models)
    assert models.fault(*KEYS) is None and (models.read(*KEYS).directory / "same").read_text() == "first"
    other.pull()
    assert (models.read(*KEYS).directory / "same").read_text() == "second"


def test_published_again_while_it_is_read(pair, monkeypatch):
    one, other = pair
    write(one, 1)
    one.push()
    read, times = Objects.read, []

    def meanwhile(self, name):
        if not times:
            times.append(name)
            for value in (2, 3, 4):
                write(one, value)
                one.push()
        return read(self, name)

    monkeypatch.setattr(Objects, "read", meanwhile)
    other.pull()
    assert rows(other) == [4]


def test_blobs_that_were_changed_are_refused(pair, store):
    one, other = pair
    write(one, 1)
    one.push()
    system = filesystem("memory")
    blob = max(
        store.names("blobs"),
        key=lambda name: system.size(system._strip_protocol(store._path(f"blobs/{name}"))),
    )
    system.pipe_file(system._strip_protocol(store._path(f"blobs/{blob}")), b"other")
    with pytest.raises(InputError, match=f"blobs/{blob} is not what was written; remove it there"):
        other.pull()
    assert not lake(other).exists(TABLE)


@pytest.mark.parametrize(
    ("unit", "files"),
    [
        ("data/lake/core/users/dataset=shop", {"../../../../out": "0" * 64}),
        ("data/lake/core/users/dataset=shop", {"part.parquet": "../secret"}),
        ("data/lake/core/users/dataset=shop", ["part.parquet"]),
        ("data/lake/core/users/dataset=shop", {}),
        ("data/mrs.duckdb", {"mrs.duckdb": "0" * 64}),
        ("defs/shop", {"defs.yaml": "0" * 64}),
    ],
)
def test_refs_lead_nowhere_else(pair, store, unit, files):
    store.create(f"refs/{unit}/000000000001.json", json.dumps({"unit": unit, "files": files}).encode())
    with pytest.raises(InputError, match=f"refs/{unit} was not written by mrs"):
        pair[0].pull()


def test_names_of_units():
    assert is_unit_name("models/shop/full/vbpr")
    for name in (
        "models",
        "models/../defs",
        "modelsX/shop",
        "data/lake/.hidden/x",
        "/data/lake/x",
        "data/lake//x",
    ):
        assert not is_unit_name(name), name


def test_another_store_is_looked_at_as_a_whole(pair, tmp_path):
    one, _ = pair
    write(one, 1)
    one.push()
    elsewhere = Publication(one.home, Objects(address_of("memory://elsewhere/deep")))
    assert elsewhere.push() == 1


def test_the_index_may_be_lost(pair):
    one, other = pair
    write(one, 1)
    one.push()
    (one.home.data / ".store.json").unlink()
    assert one.pull() == 1 and rows(one) == [1]
    shutil.rmtree(other.home.root, ignore_errors=True)
    assert other.pull() == 1


@pytest.mark.parametrize(
    "text", ["/shared/disk", "https://host/folder", "s3://", "ftp://host/x", "s3://key:secret@b/x"]
)
def test_stores_that_cannot_be_used(text, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("MRS_STORE", text)
    with pytest.raises(InputError):
        publication(Home(tmp_path))
    monkeypatch.delenv("MRS_STORE")
    assert publication(Home(tmp_path)) is None
