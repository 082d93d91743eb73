"""What real tasks really call is in the static closure of their roots."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mrs_pipeline.code import closure
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.fitting import fit, measure
from mrs_pipeline.memory import give_freed_memory_back
from mrs_pipeline.metrics.registry import metric_roots
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.plan import plan
from mrs_pipeline.reporting.html import report
from mrs_pipeline.tasks.currency import provenance_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline_tests.code.audit import assert_covers, called
from mrs_pipeline_tests.reporting.conftest import make_inputs
from mrs_pipeline_tests.stages.working import perform, stage_of
from mrs_pipeline_tests.toy import prepared, small_config, toy_market

TASKS = (
    "raw/items",
    "raw/interactions",
    "core/tables",
    "core/splits",
    "features/text_tfidf_svd",
    "features/image_color_gradient",
    "trained/most_pop",
    "final/most_pop",
    "recommendations/most_pop",
    "metrics/most_pop",
)


def fitting(name: str) -> Callable[[], Any]:
    market = toy_market()

    def action() -> None:
        options = TrainingOptions(epochs=1, batch_size=64)
        fitted = fit(prepared(name, market.data), name, small_config(name), training=options)
        measure(fitted.model, market.data, market.test, seed=1)

    return action


@pytest.mark.parametrize("name", ["bpr_mf", "ease", "sasrec", "freedom"])
def test_a_model_is_fitted_and_measured_within_the_closure(name: str) -> None:
    found = closure(fit, measure, MODELS[name], *metric_roots(EvaluationOptions().metrics))
    ran = assert_covers(found, fitting(name))
    assert {"mrs_pipeline.fitting:fit", "mrs_pipeline.evaluation.slices:evaluate"} <= ran


def test_tasks_run_within_their_closures(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    stage = stage_of(tmp_path, models={"most_pop": None})
    tasks = [task for task in plan(stage.config) if task.name in TASKS]
    assert {task.name for task in tasks} == set(TASKS)
    for task in tasks:
        place = Stage(stage.config, stage.home, "2024-05") if task.name == "raw/interactions" else stage
        provenance = provenance_of(place, task)
        found = closure(task.run, *task.uses)
        assert_covers(found, lambda task=task, place=place, made=provenance: task.run(place, task, made))
        if task.name == "raw/interactions":
            perform(stage, [task.name])


def test_the_report_is_made_within_its_closure() -> None:
    inputs = make_inputs(("most_pop", "ease"))
    assert_covers(closure(report), lambda: report(inputs))


def test_what_a_closure_lacks_is_named() -> None:
    without_the_model = closure(fit, measure)
    with pytest.raises(AssertionError, match=r"mrs_pipeline\.models\.baselines\.bpr_mf:BprMf\.loss"):
        assert_covers(without_the_model, fitting("bpr_mf"))
    without_training = closure(measure, MODELS["ease"])
    with pytest.raises(AssertionError, match=r"mrs_pipeline\.fitting:fit"):
        assert_covers(without_training, fitting("ease"))


def test_an_audit_hears_of_other_threads() -> None:
    def action() -> None:
        thread = threading.Thread(target=give_freed_memory_back)
        thread.start()
        thread.join()

    assert "mrs_pipeline.memory:give_freed_memory_back" in called(action)
    assert called(lambda: None) == set()
