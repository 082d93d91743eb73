"""Windows that go on from one another, as Dagster sees them: an edge to the window before, and no waiting for it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from mrs_pipeline.orchestration.project import Project
from mrs_pipeline_tests.orchestration import homes

pytestmark = pytest.mark.filterwarnings("ignore:Asset job .* materializes assets")

WARM: Mapping[str, Any] = {
    **homes.TINY,
    "models": {"bpr_mf": None, "ease": None},
    "training": {"epochs": 1, "warm_start": True},
    "automation": {"conditions": True},
}
PLAIN: Mapping[str, Any] = {**WARM, "name": "plain", "training": {"epochs": 1}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return homes.load(homes.make(tmp_path_factory.mktemp("warm") / "home", WARM, PLAIN))


def test_a_training_depends_on_that_of_the_window_before(project: Project) -> None:
    graph = project.definitions.resolve_asset_graph()
    own = homes.key("trained/bpr_mf")
    assert own in graph.get(own).parent_keys
    for output, dataset in (("trained/ease", "tiny"), ("trained/bpr_mf", "plain"), ("final/bpr_mf", "tiny")):
        key = homes.key(output, dataset)
        assert key not in graph.get(key).parent_keys
    mapping, partitions = graph.get_partition_mapping(own, own), graph.get(own).partitions_def
    assert partitions is not None
    for window, before in (("2024-06", ["2024-05"]), ("2024-01", [])):
        found = mapping.get_upstream_mapped_partitions_result_for_partitions(
            partitions.subset_with_partition_keys([window]), partitions, partitions
        )
        assert list(found.partitions_subset.get_partition_keys()) == before


def test_a_training_is_requested_when_a_window_begins_as_without_it(project: Project) -> None:
    """The condition waits for inputs that were made since the window began, which the window before was not."""
    with dg.DagsterInstance.ephemeral() as instance:
        moment, cursor, asked = datetime(2024, 11, 30, 23, tzinfo=UTC), None, set()
        inputs = ("core/users", "core/items", "core/splits")
        for step in (timedelta(), timedelta(hours=2), timedelta(hours=3)):
            result = dg.evaluate_automation_conditions(
                project.definitions,
                instance,
                asset_selection=dg.AssetSelection.assets(
                    *(homes.key("trained/bpr_mf", dataset) for dataset in ("tiny", "plain"))
                ),
                evaluation_time=moment + step,
                cursor=cursor,
            )
            cursor = result.cursor
            for dataset in ("tiny", "plain"):
                key = homes.key("trained/bpr_mf", dataset)
                asked |= {(dataset, window) for window in result.get_requested_partitions(key)}
                if step == timedelta(hours=2):
                    for window in ("2024-11", "2024-12"):
                        for name in inputs:
                            instance.report_runless_asset_event(
                                dg.AssetMaterialization(homes.key(name, dataset), partition=window)
                            )
        assert (
            {window for dataset, window in asked if dataset == "tiny"}
            == {window for dataset, window in asked if dataset == "plain"}
            != set()
        )
