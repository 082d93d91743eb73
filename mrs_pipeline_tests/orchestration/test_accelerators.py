"""No two steps share a GPU: the pool's limit, and that a killed run's place in it is free again."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import torch

from mrs_pipeline.orchestration.accelerators import POOL, guard_accelerators, own_accelerator
from mrs_pipeline.orchestration.dead_runs import close_dead_runs
from mrs_pipeline.training.devices import resolve_device
from mrs_pipeline.training.held_memory import MemoryMeter
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline_tests.orchestration import homes
from mrs_pipeline_tests.orchestration.homes import WINDOW


def _gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def _places(instance: dg.DagsterInstance) -> int | None:
    storage = instance.event_log_storage
    return storage.get_concurrency_info(POOL).slot_count if POOL in storage.get_concurrency_keys() else None


def test_there_are_as_many_places_as_gpus_unless_somebody_has_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        _gpus(monkeypatch, 0)
        guard_accelerators(instance)
        assert _places(instance) is None
        _gpus(monkeypatch, 2)
        guard_accelerators(instance)
        assert _places(instance) == 2
        instance.event_log_storage.set_concurrency_slots(POOL, 1)
        guard_accelerators(instance)
        assert _places(instance) == 1


@pytest.mark.slow
def test_a_killed_run_leaves_its_place_to_the_next(tmp_path: Path) -> None:
    settings = {
        **homes.BARE,
        "models": {"most_pop": None, "bpr_mf": None},
        "training": {"epochs": 200, "patience": 200, "checkpoint_every": 1},
    }
    home = homes.make(tmp_path / "home", settings)
    with homes.entered(home), dg.DagsterInstance.get() as instance:
        instance.event_log_storage.set_concurrency_slots(POOL, 1)
    checkpoint = home.models / "tiny" / WINDOW / "bpr_mf" / "resume" / "seed=1" / "checkpoint.safetensors"
    worker = homes.process(home, WINDOW)
    worker.start()
    give_up = time.time() + 300
    while not checkpoint.exists():
        assert worker.is_alive(), "the run ended before it could be killed"
        assert time.time() < give_up
        time.sleep(0.002)
    worker.kill()
    worker.join()
    with homes.entered(home), dg.DagsterInstance.get() as instance:
        storage = instance.event_log_storage
        assert [slot.step_key for slot in storage.get_concurrency_info(POOL).claimed_slots]
        close_dead_runs(instance)
        info = storage.get_concurrency_info(POOL)
        assert (info.claimed_slots, info.pending_steps) == ([], [])
    again = homes.process(home, WINDOW)
    again.start()
    again.join(timeout=300)
    assert again.exitcode == 0


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Two GPUs by name; returns which one this thread's `cuda` was made to be, in order."""
    _gpus(monkeypatch, 2)
    chosen: list[int] = []

    @contextmanager
    def device(number: int) -> Iterator[None]:
        chosen.append(number)
        yield

    monkeypatch.setattr(torch.cuda, "device", device)
    return chosen


def test_steps_beside_each_other_compute_on_gpus_of_their_own(tmp_path: Path, two_gpus: list[int]) -> None:
    with own_accelerator(tmp_path) as first:
        with own_accelerator(tmp_path) as second:
            assert (first, second) == (0, 1)
            with own_accelerator(tmp_path) as third:  # a pool that is larger than it should be
                assert third in (0, 1)
        with own_accelerator(tmp_path) as again:
            assert again == 1
    assert two_gpus[:2] == [0, 1]
    assert two_gpus[-1] == 1


def test_a_gpu_is_free_again_when_its_process_dies(tmp_path: Path, two_gpus: list[int]) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from filelock import FileLock\n"
            f"lock = FileLock({str(tmp_path / '0.lock')!r}); lock.acquire(); print('held', flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with own_accelerator(tmp_path) as beside:
        assert beside == 1
    holder.kill()
    holder.wait()
    with own_accelerator(tmp_path) as own:
        assert own == 0


def test_without_a_gpu_nothing_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _gpus(monkeypatch, 0)
    with own_accelerator(tmp_path / "locks") as own:
        assert own is None
    assert not (tmp_path / "locks").exists()


def test_auto_is_the_gpu_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    _gpus(monkeypatch, 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert resolve_device(TrainingOptions()) == torch.device("cuda", 1)
    assert resolve_device(TrainingOptions(device="cuda:0")) == torch.device("cuda", 0)
    assert resolve_device(TrainingOptions(device="cpu")) == torch.device("cpu")


def test_each_model_starts_with_a_peak_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"now": 100e6, "peak": 900e6}
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: held.update(peak=held["now"]))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: held["now"])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: held["peak"])
    meter = MemoryMeter(torch.device("cuda"))
    assert meter.megabytes() == 0
    held.update(now=150e6, peak=250e6)
    assert meter.megabytes() == 150
    assert MemoryMeter(torch.device("cuda")).megabytes() == 0
