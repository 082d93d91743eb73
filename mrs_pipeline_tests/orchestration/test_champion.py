"""The champion in Dagster: what decisions leave there, and faults that its check names."""

import shutil
from collections.abc import Iterator

import dagster as dg
import pytest

from mrs_pipeline.orchestration.champion import CHAMPION, build_champion, fault_of, tell_dagster
from mrs_pipeline.orchestration.keys import asset_key
from mrs_pipeline.promotion.decisions import champion, promote, rollback
from mrs_pipeline.promotion.keeping import served_node
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.places import store_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.orchestration import homes

pytestmark = pytest.mark.filterwarnings("ignore:Asset job .* materializes assets")
KEY = asset_key("tiny", CHAMPION)


@pytest.fixture
def stage(home: Home) -> Iterator[Stage]:
    """A copy of the finished home, entered."""
    with homes.entered(home):
        yield homes.stage_of(home)


def _decide(stage: Stage, model: str) -> None:
    tell_dagster(stage, promote(stage, model, force=True, reason=f"{model} is tried", decided_by="anna"))


def _checked(stage: Stage) -> tuple[bool, str]:
    """What the check says, evaluated as the UI does."""
    spec, check = build_champion(stage.config, stage.home)
    with dg.DagsterInstance.get() as instance:
        job = dg.Definitions(
            assets=[spec],
            asset_checks=[check],
            jobs=[dg.define_asset_job("look", dg.AssetSelection.all_asset_checks())],
        ).resolve_job_def("look")
        (found,) = job.execute_in_process(instance=instance).get_asset_check_evaluations()
    return found.passed, str(found.description)


def test_decisions_are_events_with_model_window_reason_and_metric(stage: Stage) -> None:
    assert _checked(stage) == (True, "what was promoted is served")  # nothing promoted, nothing claimed
    _decide(stage, "ease")
    _decide(stage, "freedom")
    tell_dagster(stage, rollback(stage, reason="complaints"))
    with dg.DagsterInstance.get() as instance:
        records = instance.fetch_materializations(KEY, limit=5).records
        facts = [each.asset_materialization.metadata for each in records if each.asset_materialization]
    assert [(each["model"].value, each["outcome"].value) for each in facts] == [
        ("ease", "rolled back"),
        ("freedom", "promoted"),
        ("ease", "promoted"),
    ]
    assert [each["decision"].value for each in facts] == [3, 2, 1]
    last = facts[-1]
    assert (last["window"].value, last["reason"].value, last["decided by"].value) == (
        homes.WINDOW,
        "ease is tried",
        "anna",
    )
    metric, low, high = (
        last[f"recall@20{part}"].value for part in ("", ", 95 % interval from", ", 95 % interval to")
    )
    assert 0 <= low <= metric <= high <= 1
    assert "ease" in str(last["model card"].value).lower() and "popularity" in str(last["rules"].value)
    assert _checked(stage) == (True, "what was promoted is served")


def test_a_refusal_is_an_observation_and_changes_nothing(stage: Stage) -> None:
    _decide(stage, "ease")
    strict = homes.stage_of(stage.home)
    strict = Stage(
        strict.config.model_copy(
            update={"promotion": strict.config.promotion.model_copy(update={"max_seconds": 1e-9})}
        ),
        stage.home,
        homes.WINDOW,
    )
    tell_dagster(stage, promote(strict, "freedom"))
    with dg.DagsterInstance.get() as instance:
        assert len(instance.fetch_materializations(KEY, limit=5).records) == 1
        (seen,) = instance.fetch_observations(KEY, limit=5).records
    assert seen.asset_observation is not None
    assert seen.asset_observation.metadata["outcome"].value == "refused"
    assert _checked(stage)[0]


def test_other_weights_than_the_promoted_ones_fail_the_check(stage: Stage) -> None:
    _decide(stage, "ease")
    now = champion(stage)
    assert now is not None
    folder = stage.home.champions / "tiny" / now.kept
    store, keys = store_of(stage, served_node(stage.config, "most_pop"))
    mine, others = (
        store_of(
            Stage(stage.config, Home(stage.home.root, kept=folder), stage.window),
            served_node(stage.config, "ease"),
        ),
        store.files(*keys),
    )
    for path in mine[0].files(*mine[1]):
        other = next(each for each in others if each.suffix == path.suffix)
        path.unlink()
        shutil.copyfile(other, path)
    passed, sentence = _checked(stage)
    assert not passed
    assert "`mrs " in sentence
    shutil.rmtree(folder)
    passed, sentence = _checked(stage)
    assert not passed and "is gone: `mrs promote tiny` chooses another" in sentence


def test_a_decision_that_dagster_does_not_know_fails_the_check(stage: Stage) -> None:
    _decide(stage, "ease")
    promote(stage, "freedom", force=True, reason="made by a program of one's own")
    passed, sentence = _checked(stage)
    assert not passed and sentence.startswith("decision 2 of tiny is not known to Dagster (it knows 1)")
    assert fault_of(stage, 2) is None
