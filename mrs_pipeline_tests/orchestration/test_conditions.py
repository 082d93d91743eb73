"""What Dagster's automation conditions request, how old a result may grow, who owns it, how long a run may last."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.orchestration.project import Project
from mrs_pipeline_tests.orchestration import homes

pytestmark = pytest.mark.filterwarnings("ignore:Asset job .* materializes assets")

LAST = "2024-12"
KEPT: Mapping[str, Any] = {
    **homes.TINY,
    "models": {"most_pop": None},
    "owners": ["team:music", "head@example.org"],
    "automation": {"retrain": True, "watch": True, "conditions": True, "max_hours": 1.5},
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A dataset that is kept going by itself."""
    return homes.load(homes.make(tmp_path_factory.mktemp("kept") / "home", KEPT))


def _made(instance: dg.DagsterInstance, *outputs: str) -> None:
    for output in outputs:
        window = None if output == "raw/items" else LAST
        instance.report_runless_asset_event(dg.AssetMaterialization(homes.key(output), partition=window))


def _requested(
    project: Project, instance: dg.DagsterInstance, moment: datetime, cursor: Any
) -> tuple[set[str], Any]:
    """Outputs that are requested for the last window at a moment, and what the sensor remembers."""
    result = dg.evaluate_automation_conditions(
        project.definitions,
        instance,
        asset_selection=dg.AssetSelection.all(),
        evaluation_time=moment,
        cursor=cursor,
    )
    keys = project.definitions.resolve_asset_graph().get_all_asset_keys()
    asked = {
        homes.text(key).partition("/")[2] for key in keys if LAST in result.get_requested_partitions(key)
    }
    return asked, result.cursor


def test_tables_follow_their_inputs_and_models_wait_for_the_window(kept: Project) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        before = datetime(2024, 12, 20, 12, tzinfo=UTC)
        asked, cursor = _requested(kept, instance, before, None)
        assert asked == set()  # raw files are the business of the sensor
        history = [f"2024-{month:02}" for month in range(1, 12)]
        for window in history:
            instance.report_runless_asset_event(
                dg.AssetMaterialization(homes.key("raw/interactions"), partition=window)
            )
        _made(instance, "raw/items", "raw/interactions")
        asked, cursor = _requested(kept, instance, before + timedelta(minutes=1), cursor)
        core = {f"core/{table}" for table in ("users", "items", "interactions", "quarantine")}
        assert core <= asked
        assert {"features/text_tfidf_svd", "core/splits"} <= asked  # in one run with what they are made from
        assert not [output for output in asked if output.startswith(("trained/", "metrics/", "raw/"))]


def test_what_is_late_is_seen_where_a_dataset_runs_by_itself(kept: Project, tmp_path: Any) -> None:
    graph = kept.definitions.resolve_asset_graph()
    fresh = {homes.text(key): graph.get(key).freshness_policy for key in graph.get_all_asset_keys()}
    policies = {name: policy for name, policy in fresh.items() if policy is not None}
    assert set(policies) == {"tiny/raw/interactions", "tiny/eval/leaderboard"}
    assert policies["tiny/eval/leaderboard"].warn_window.to_timedelta() == timedelta(days=31)
    assert policies["tiny/eval/leaderboard"].fail_window.to_timedelta() == timedelta(days=62)
    still = homes.load(homes.make(tmp_path / "home", homes.BARE)).definitions.resolve_asset_graph()
    assert not [key for key in still.get_all_asset_keys() if still.get(key).freshness_policy]


def test_owners_and_the_bound_on_a_run(kept: Project) -> None:
    graph = kept.definitions.resolve_asset_graph()
    assert graph.get(homes.key("core/items")).owners == ("team:music", "head@example.org")
    for name in ("tiny_ingest", "tiny_pipeline", "tiny_experiments"):
        assert kept.definitions.resolve_job_def(name).run_tags["dagster/max_runtime"] == "5400"
    sensors = {sensor.name: sensor for sensor in kept.definitions.get_repository_def().sensor_defs}
    assert sensors["tiny_conditions"].default_status == dg.DefaultSensorStatus.RUNNING


def test_an_owner_that_dagster_would_refuse_is_refused_by_name(tmp_path: Any) -> None:
    home = homes.make(tmp_path / "home", {**homes.BARE, "owners": ["somebody"]})
    with pytest.raises(InputError, match=r"defs.yaml:\d+: owners.0"):
        homes.load(home)
