"""No two steps share a GPU: the pool's limit, and that a killed run's place in it is free again."""

import time
from pathlib import Path

import dagster as dg
import pytest
import torch

from mrs_pipeline.orchestration.accelerators import POOL, guard_accelerators
from mrs_pipeline.orchestration.dead_runs import close_dead_runs
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
@pytest.mark.usefixtures("without_plots")
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
