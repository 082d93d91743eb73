"""Two Ray nodes on this machine: chunks and seeds as in one process, and a node that is lost in the middle.

Bounded: a processor and 100 MB of shared memory a node, no dashboard.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mrs_pipeline import cluster
from mrs_pipeline.api.content import encoder_options
from mrs_pipeline.cluster import RAY_VARIABLE, spread_calls
from mrs_pipeline.encoders.engine import extract
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.encoders.store import (
    MATRIX,
    PRESENT,
    ROWS,
    SUMMARY,
    ExtractionDirectory,
    PreviousExtraction,
)
from mrs_pipeline.errors import InputError
from mrs_pipeline_tests.cli.shops import N_ITEMS, PROJECT, write_shop
from mrs_pipeline_tests.stages.working import perform, stage_of

pytestmark = pytest.mark.slow
NODE = {"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False}
SETTINGS = EngineSettings(workers=0, chunk_items=4, device="cpu")
FILES = (MATRIX, PRESENT, ROWS, SUMMARY)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """The cluster; its address and what its workers need are in the environment."""
    pytest.importorskip("ray")
    import ray
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(PROJECT))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        started = Cluster(initialize_head=True, head_node_args=NODE)
        started.add_node(**{key: NODE[key] for key in ("num_cpus", "object_store_memory")})
        patch.setenv(RAY_VARIABLE, started.address)
        yield started
        ray.shutdown()
        started.shutdown()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop") / "shop"
    write_shop(folder)
    (folder / "images" / "9.png").write_bytes(b"no picture")
    return folder


def made(shop: Path, directory: Path, modality: str, encoder: str, **more: Any) -> Any:
    items = pl.read_csv(shop / "items.csv").with_row_index("item").cast({"item": pl.Int64})
    options = encoder_options(modality, encoder, {})
    return extract(options, items, shop, directory, settings=SETTINGS, **more)


def alone(monkeypatch: pytest.MonkeyPatch, *arguments: Any, **more: Any) -> Any:
    with monkeypatch.context() as patch:
        patch.delenv(RAY_VARIABLE)
        return made(*arguments, **more)


def same(one: Path, other: Path) -> None:
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize(("modality", "encoder"), [("image", "color_gradient"), ("text", "tfidf_svd")])
def test_an_extraction_is_bit_for_bit_that_of_one_process(
    nodes, shop, tmp_path, monkeypatch, modality, encoder
):
    there = made(shop, tmp_path / "there", modality, encoder)
    here = alone(monkeypatch, shop, tmp_path / "here", modality, encoder)
    same(tmp_path / "there", tmp_path / "here")
    assert (there.present, there.failed) == (here.present, here.failed)
    assert there.present == (N_ITEMS // 3 - 1 if modality == "image" else N_ITEMS)


def test_unchanged_rows_are_taken_from_the_previous_matrix(nodes, shop, tmp_path, monkeypatch):
    alone(monkeypatch, shop, tmp_path / "first", "image", "color_gradient")
    previous = PreviousExtraction.read(tmp_path / "first")
    made(shop, tmp_path / "second", "image", "color_gradient", previous=previous)
    same(tmp_path / "first", tmp_path / "second")


def test_a_node_that_is_lost_in_the_middle_loses_nothing(nodes, shop, tmp_path, monkeypatch):
    lost = nodes.add_node(num_cpus=1, object_store_memory=NODE["object_store_memory"])
    write, written = ExtractionDirectory.write, []

    def losing(self: ExtractionDirectory, chunk: Any) -> None:
        write(self, chunk)
        written.append(chunk.start)
        if len(written) == 2:
            nodes.remove_node(lost, allow_graceful=False)

    with monkeypatch.context() as patch:
        patch.setattr(ExtractionDirectory, "write", losing)
        made(shop, tmp_path / "there", "image", "color_gradient")
    assert sorted(written) == list(range(0, N_ITEMS, SETTINGS.chunk_items))
    alone(monkeypatch, shop, tmp_path / "here", "image", "color_gradient")
    same(tmp_path / "there", tmp_path / "here")


def test_what_is_interrupted_here_is_taken_up(nodes, shop, tmp_path, monkeypatch):
    write, written = ExtractionDirectory.write, []

    def dying(self: ExtractionDirectory, chunk: Any) -> None:
        if len(written) == 3:
            raise KeyboardInterrupt
        write(self, chunk)
        written.append(chunk.start)

    with monkeypatch.context() as patch:
        patch.setattr(ExtractionDirectory, "write", dying)
        with pytest.raises(KeyboardInterrupt):
            made(shop, tmp_path / "there", "image", "color_gradient")
    asked = []
    monkeypatch.setattr(
        ExtractionDirectory, "write", lambda self, chunk: (asked.append(chunk.start), write(self, chunk))
    )
    made(shop, tmp_path / "there", "image", "color_gradient")
    assert sorted(written + asked) == list(range(0, N_ITEMS, SETTINGS.chunk_items))
    monkeypatch.setattr(ExtractionDirectory, "write", write)
    alone(monkeypatch, shop, tmp_path / "here", "image", "color_gradient")
    same(tmp_path / "there", tmp_path / "here")


def killed_once(flag: Path) -> int:
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def refused(what: str) -> None:
    raise InputError(f"{what} is refused; change it")


def test_a_call_whose_process_is_killed_is_repeated_and_errors_stay_what_they_are(nodes, tmp_path):
    (pid,) = spread_calls(killed_once, [(tmp_path / "flag",)])
    assert pid != os.getpid()
    with pytest.raises(InputError, match="x is refused"):
        list(spread_calls(refused, [("x",)]))


def test_seeds_of_a_model_are_what_one_process_makes(nodes, tmp_path, monkeypatch):
    settings = {
        "source": {"reader": "demo", "demo": {"users": 60, "items": 50}},
        "models": {"bpr_mf": {"embedding_size": 8}},
        "training": {"epochs": 3, "threads": 1},
        "seeds": [1, 2],
    }
    there = stage_of(tmp_path / "there", **settings)
    with monkeypatch.context() as patch:
        patch.delenv(RAY_VARIABLE)
        here = stage_of(tmp_path / "here", **settings)
        done = perform(here)
        perform(there, ["raw/interactions", "raw/items", "core/tables", "core/splits"])
    trained = perform(there, ["trained/bpr_mf"])
    assert trained["trained/bpr_mf"].digest == done["trained/bpr_mf"].digest
    epochs = there.lake.read(there.table("models", "runs", model="bpr_mf"))
    assert (
        epochs["best_score"].to_list()
        == here.lake.read(here.table("models", "runs", model="bpr_mf"))["best_score"].to_list()
    )


def test_an_address_where_nobody_answers(monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv(RAY_VARIABLE, "auto")
    monkeypatch.setenv("RAY_TMPDIR", "/nowhere")

    class Gone:
        exceptions = None

        @staticmethod
        def is_initialized() -> bool:
            return False

        @staticmethod
        def init(**_: Any) -> None:
            raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setitem(__import__("sys").modules, "ray", Gone)
    with pytest.raises(InputError, match="no Ray cluster answers at MRS_RAY=auto .*`ray start --head`"):
        cluster.cluster()
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'mrs-pipeline\[ray\]'"):
        cluster.cluster()
    monkeypatch.delenv(RAY_VARIABLE)
    assert cluster.cluster() is None and np.array_equal(list(spread_calls(abs, [(-1,), (2,)])), [1, 2])
