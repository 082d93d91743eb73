"""What the assets of a dataset look like to Dagster: keys, tags, groups, partitions, dependencies, checks, jobs."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.orchestration.keys import output_of
from mrs_pipeline.orchestration.project import Project
from mrs_pipeline.plan import on_request, plan
from mrs_pipeline.stages.checks.signatures import signature_specs
from mrs_pipeline.stages.drift import COMPARED_PARTS
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.node import Node
from mrs_pipeline_tests.orchestration import homes

pytestmark = pytest.mark.filterwarnings("ignore:Asset job .* materializes assets")

LISTED = ("most_pop", "ease", "bpr_mf", "lightgcn", "freedom")
FULL = {**homes.BARE, "name": "whole", "window": {"every": "none"}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    home: Home = homes.make(tmp_path_factory.mktemp("graph") / "home", homes.TINY, FULL)
    return homes.load(home)


@pytest.fixture(scope="module")
def node(project: Project) -> Callable[..., Any]:
    graph = project.definitions.resolve_asset_graph()
    return lambda output, dataset="tiny": graph.get(homes.key(output, dataset))


def _outputs(project: Project) -> list[str]:
    return [str(output) for task in plan(project.config("tiny")) for output in task.outputs]


def _names(node: Any) -> set[str]:
    return {str(output_of(key)[1]) for key in node.parent_keys}


def test_no_two_boxes_of_a_dataset_have_one_name(project: Project) -> None:
    """Dagster shows the last part of a key only."""
    keys = project.definitions.resolve_asset_graph().get_all_asset_keys()
    boxes = [key.path[-1] for key in keys if key.path[0] == "tiny"]
    assert len(boxes) == len(set(boxes)) > 30
    assert {"freedom_trained", "freedom_metrics", "freedom_lists", "raw_items", "items"} <= set(boxes)


def test_a_key_tells_which_output_it_is(project: Project) -> None:
    every = [
        *_outputs(project),
        "experiments/modality",
        "graphs/knowledge",
        "graphs/users",
        "raw_content/image",
    ]
    for output in every:
        assert output_of(homes.key(output)) == ("tiny", Node.parse(output))


def test_tables_of_one_task_are_described_apart(node: Callable[..., Any]) -> None:
    tables = ("users", "items", "interactions", "quarantine")
    assert len({node(f"core/{table}").description for table in tables}) == len(tables)
    assert node("core/users").description.startswith("One user with at least one interaction")


def test_every_output_is_described_and_versioned(project: Project, node: Callable[..., Any]) -> None:
    for output in _outputs(project):
        asset = node(output)
        assert len(asset.description) > 20, output
        assert asset.code_version, output
        assert asset.kinds, output
        assert asset.tags["dataset"] == "tiny", output
        assert asset.is_materializable, output


def test_the_code_version_follows_the_settings(project: Project, node: Callable[..., Any]) -> None:
    """`whole` differs in its window, not in its source or in how most_pop is trained."""
    assert node("raw/items").code_version == node("raw/items", "whole").code_version
    assert node("raw/interactions").code_version != node("raw/interactions", "whole").code_version
    assert node("trained/most_pop").code_version == node("trained/most_pop", "whole").code_version
    assert len({node(f"trained/{name}").code_version for name in LISTED}) == len(LISTED)


@pytest.mark.parametrize("name", LISTED)
def test_models_carry_their_cells_and_stand_with_their_family(name: str, node: Callable[..., Any]) -> None:
    cells = {cell.tag for cell in MODELS[name].spec.cells}
    for stage in ("trained", "final", "recommendations", "metrics"):
        asset = node(f"{stage}/{name}")
        assert {tag for tag in asset.tags if "/" in tag and not tag.startswith("dagster/")} == cells
        assert asset.group_name == f"tiny__5_{MODELS[name].__module__.split('.')[2]}"


def test_the_other_groups_are_the_stages(node: Callable[..., Any]) -> None:
    groups = {
        "raw/items": "1_raw",
        "core/splits": "2_core",
        "features/text_tfidf_svd": "3_features",
        "graphs/image_color_gradient": "3_features",
        "eval/leaderboard": "6_report",
        "eval/report": "6_report",
    }
    assert {output: node(output).group_name for output in groups} == {
        output: f"tiny__{group}" for output, group in groups.items()
    }


def test_kinds_and_feature_tags(node: Callable[..., Any]) -> None:
    assert node("core/items").kinds == {"duckdb", "parquet"}
    assert node("trained/ease").kinds == {"pytorch"}
    assert node("features/image_color_gradient").kinds == {"image"}
    assert {"modality/image", "encoder/color_gradient"} <= set(node("features/image_color_gradient").tags)
    assert node("eval/report").kinds == {"html"}


def test_what_uses_an_accelerator_shares_one_pool(project: Project) -> None:
    pools = {}
    for assets in project.definitions.resolve_asset_graph().assets_defs:
        for key in assets.keys:
            pools[homes.text(key)] = assets.op.pool if assets.is_executable else None
    assert {pools[f"tiny/trained/{name}"] for name in LISTED} == {"gpu"}
    assert pools["tiny/features/text_tfidf_svd"] == "gpu"
    assert pools["tiny/core/items"] is None
    assert pools["tiny/eval/report"] is None


def test_partitions_are_the_windows_that_can_be_run(node: Callable[..., Any]) -> None:
    months = [f"2024-{month:02}" for month in range(5, 13)]  # from score_from on
    for output in ("raw/interactions", "core/splits", "trained/freedom", "metrics/ease"):
        assert list(node(output).partitions_def.get_partition_keys()) == months, output
    for output in ("raw/items", "eval/leaderboard", "eval/report"):
        assert node(output).partitions_def is None, output
    assert node("core/splits", "whole").partitions_def is None


def test_dependencies(node: Callable[..., Any]) -> None:
    assert _names(node("core/interactions")) == {"raw/interactions", "raw/items"}
    assert _names(node("core/splits")) == {"core/interactions"}
    assert _names(node("features/text_tfidf_svd")) == {"core/items"}
    assert _names(node("graphs/text_tfidf_svd")) == {"features/text_tfidf_svd"}
    data = {"core/users", "core/items", "core/splits"}
    assert _names(node("trained/bpr_mf")) == data
    assert _names(node("trained/freedom")) == data | {
        f"{kind}/{features}"
        for kind in ("features", "graphs")
        for features in ("text_tfidf_svd", "image_color_gradient")
    }
    assert "trained/freedom" in _names(node("metrics/freedom"))
    assert _names(node("eval/leaderboard")) == {f"metrics/{name}" for name in LISTED}
    assert "eval/leaderboard" in _names(node("eval/report"))


def _upstream(project: Project, output: str, parent: str, window: str | None) -> set[str]:
    """Partitions of `parent` that `output` is made from, by Dagster's own mapping."""
    graph = project.definitions.resolve_asset_graph()
    child, source = map(homes.key, (output, parent))
    mapping = graph.get_partition_mapping(child, source)
    definition = graph.get(child).partitions_def
    subset = definition.subset_with_partition_keys([window]) if definition else None
    mapped = mapping.get_upstream_mapped_partitions_result_for_partitions(
        subset, definition, graph.get(source).partitions_def, datetime(2026, 1, 1, tzinfo=UTC)
    )
    return set(mapped.partitions_subset.get_partition_keys())


def test_core_reads_every_window_up_to_its_own(project: Project) -> None:
    months = [f"2024-{month:02}" for month in range(5, 13)]  # the first partition holds its history too
    assert _upstream(project, "core/interactions", "raw/interactions", "2024-07") == set(months[:3])
    assert _upstream(project, "core/items", "raw/interactions", "2024-12") == set(months)
    assert _upstream(project, "core/splits", "core/interactions", "2024-05") == {"2024-05"}


def test_the_leaderboard_reads_all_windows(project: Project) -> None:
    months = {f"2024-{month:02}" for month in range(5, 13)}
    assert _upstream(project, "eval/leaderboard", "metrics/ease", None) == months


def test_every_stage_is_guarded(project: Project) -> None:
    graph = project.definitions.resolve_asset_graph()
    blocking, warning = set(), set()
    for key in graph.asset_check_keys:
        name = homes.text(key.asset_key)
        if name.startswith("tiny/"):
            spec = graph.get_check_spec(key)
            assert spec.description
            (blocking if spec.blocking else warning).add(f"{name.partition('/')[2]}:{key.name}")
    guarded = ["raw/interactions", "raw/items", "core/splits", "eval/leaderboard"]
    guarded += [f"core/{table}" for table in ("users", "items", "interactions", "quarantine")]
    guarded += ["features/text_tfidf_svd", "features/image_color_gradient"]
    guarded += [str(output) for task in on_request(project.config("tiny")) for output in task.outputs]
    guarded += [f"{stage}/{name}" for stage in ("recommendations", "metrics") for name in LISTED]
    guarded += [f"vectors/{name}" for name in LISTED if MODELS[name].factorises()]
    assert blocking == {f"{output}:expectations" for output in guarded}
    assert warning == {
        "raw/interactions:files",
        "eval/champion:is_served",
        *(f"trained/{name}:{check}" for name in LISTED for check in ("finite", "beats_popularity")),
        *(f"{spec.output}:{spec.name}" for name in LISTED for spec in signature_specs(name)),
        *(f"metrics/{name}:unseen_items" for name in LISTED),
        *(f"eval/drift:{part}" for part in COMPARED_PARTS),
        *(f"final/{name}:finite" for name in LISTED),
        *(f"index/{name}:recall" for name in LISTED if MODELS[name].factorises()),
        "features/text_tfidf_svd:signal",
        "features/image_color_gradient:signal",
        "quality/text_tfidf_svd:above_chance",
        "quality/image_color_gradient:above_chance",
    }


def test_jobs_cover_their_assets(project: Project) -> None:
    def selected(job: str) -> set[str]:
        layer = project.definitions.resolve_job_def(job).asset_layer
        return {str(output_of(key)[1]) for key in layer.selected_asset_keys}

    assert selected("tiny_ingest") == {"raw/interactions", "raw/items"}
    assert selected("tiny_pipeline") == set(_outputs(project))
    asked_for = {str(output) for task in on_request(project.config("tiny")) for output in task.outputs}
    assert selected("tiny_experiments") == asked_for
    assert len(asked_for) > 3


def test_raw_files_are_read_in_one_run_for_a_range(project: Project) -> None:
    graph = project.definitions.resolve_asset_graph()
    policy = graph.get(homes.key("raw/interactions")).backfill_policy
    assert policy == dg.BackfillPolicy.single_run()


def test_schedule_and_sensor_exist_and_stand_still(project: Project) -> None:
    repository = project.definitions.get_repository_def()
    schedules = {schedule.name: schedule for schedule in repository.schedule_defs}
    sensors = {sensor.name: sensor for sensor in repository.sensor_defs}
    # a dataset without windows has nothing to retrain by the calendar
    assert all(job.description for job in repository.get_all_jobs() if not job.name.startswith("__"))
    assert set(schedules) == {"tiny_retrain", "tiny_verify_nightly", "whole_verify_nightly"}
    assert {each.default_status for each in schedules.values()} == {dg.DefaultScheduleStatus.STOPPED}
    asleep = ("tiny_watch", "whole_watch", "tiny_conditions", "whole_conditions")
    assert {name: sensor.default_status for name, sensor in sensors.items()} == dict.fromkeys(
        asleep, dg.DefaultSensorStatus.STOPPED
    )
