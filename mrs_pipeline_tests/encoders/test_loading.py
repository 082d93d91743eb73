"""The stream of loaded items, with loaders that misbehave."""

import importlib
import sys
from itertools import count, islice

import psutil
import pytest

from mrs_pipeline.encoders.loading import CHUNKS_AHEAD, ITEMS_OF_A_PROCESS, LoadTask, load_stream
from mrs_pipeline.encoders.settings import EngineSettings

MOODY = """
import os
from dataclasses import dataclass
from mrs_pipeline.encoders.base import Content, ContentError


@dataclass(frozen=True)
class Moody:
    def read(self, reference):
        if reference == "bad":
            raise ContentError("bad  \\n news " + "x" * 1000)
        return Content("d" + reference, 1, reference)

    def decode(self, content):
        if content.data == "die":
            os._exit(139)
        if content.data == "bug":
            raise KeyError("a programming error")
        return os.getpid()
"""


@pytest.fixture
def moody(tmp_path, monkeypatch):
    """Dies on `die`, refuses `bad`, fails wrongly on `bug`; lies in a module that workers can import."""
    (tmp_path / "moody_loader.py").write_text(MOODY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "moody_loader", raising=False)
    return importlib.import_module("moody_loader").Moody()


def tasks(*references):
    return [LoadTask(row, reference) for row, reference in enumerate(references)]


@pytest.mark.parametrize("workers", [0, 2])
def test_results_come_in_order_and_reasons_are_one_short_line(moody, workers):
    names = ["a", "bad", *(str(at) for at in range(30))]
    loaded = list(load_stream(moody, tasks(*names), workers))
    assert [one.row for one in loaded] == list(range(32))
    assert loaded[1].reason.startswith("bad news x")
    assert len(loaded[1].reason) == 300
    assert loaded[0].digest == "da"


def test_known_content_is_not_decoded(moody):
    (loaded,) = load_stream(moody, [LoadTask(0, "bug", known="dbug")], 0)
    assert loaded.unchanged


@pytest.mark.parametrize("workers", [0, 1])
def test_a_programming_error_is_not_taken_for_bad_content(moody, workers):
    with pytest.raises(KeyError):
        list(load_stream(moody, tasks("a", "bug"), workers))


def test_a_decoder_that_dies_costs_its_item_only(moody):
    names = [str(at) for at in range(40)]
    names[5] = names[29] = "die"
    loaded = list(load_stream(moody, tasks(*names), 2))
    assert [one.row for one in loaded] == list(range(40))
    assert [one.row for one in loaded if one.reason] == [5, 29]
    assert loaded[5].reason == "the decoder's process died on it"


def test_only_a_bounded_number_is_read_ahead(moody):
    taken = []

    def endless():
        for row in count():
            taken.append(row)
            yield LoadTask(row, "x")

    stream = load_stream(moody, endless(), 1)
    list(islice(stream, 3))
    stream.close()
    assert len(taken) <= ITEMS_OF_A_PROCESS * (CHUNKS_AHEAD + 1)


def test_closing_the_stream_ends_the_workers(moody):
    stream = load_stream(moody, tasks(*map(str, range(100))), 2)
    worker = psutil.Process(next(stream).payload)
    stream.close()
    assert psutil.wait_procs([worker], timeout=60) == ([worker], [])


def test_processes_are_started_only_where_they_pay():
    assert EngineSettings().worker_count(10) == 0
    assert EngineSettings().worker_count(10_000) >= 1
    assert EngineSettings(workers=3).worker_count(10) == 3


def test_workers_that_cannot_start_are_no_fault_of_the_items(moody, monkeypatch):
    """A loader that workers cannot import must stop the run, not mark every item as deadly."""
    loader = moody
    monkeypatch.setattr(
        sys, "path", [entry for entry in sys.path if "moody" not in entry and "pytest-" not in entry]
    )
    with pytest.raises(RuntimeError, match="worker processes"):
        list(load_stream(loader, tasks("a", "b"), 1))
