"""A window run from raw files to report through Dagster: what its instance shows afterwards."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from mrs_pipeline.orchestration.project import load_project
from mrs_pipeline.plan import plan
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.node import RAW_INTERACTIONS, REPORT
from mrs_pipeline.tasks.places import node_of, record
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.orchestration import homes
from mrs_pipeline_tests.orchestration.homes import WINDOW

LEARNED = ("bpr_mf", "lightgcn", "freedom")


@pytest.fixture(scope="module")
def instance(finished: Home) -> Iterator[dg.DagsterInstance]:
    with homes.entered(finished), dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture(scope="module")
def stage(finished: Home) -> Stage:
    return homes.stage_of(finished)


@pytest.fixture(scope="module")
def event(instance: dg.DagsterInstance) -> Callable[[str], dg.AssetMaterialization]:
    def latest(output: str) -> dg.AssetMaterialization:
        found = instance.get_latest_materialization_event(homes.key(output))
        assert found is not None, f"{output} has not been materialised"
        assert found.asset_materialization is not None
        return found.asset_materialization

    return latest


def _facts(event: dg.AssetMaterialization) -> dict[str, Any]:
    return {name: fact.value for name, fact in event.metadata.items()}


def test_everything_is_materialised_with_its_digest_as_data_version(
    stage: Stage, event: Callable[[str], dg.AssetMaterialization]
) -> None:
    for task in plan(stage.config):
        for output in task.outputs:
            if output in (RAW_INTERACTIONS, REPORT):  # a whole range of windows; a page, not a table
                continue
            home = stage if task.windowed else stage.at("full")
            made = event(str(output))
            assert made.tags is not None
            assert made.tags["dagster/data_version"] == record(home, node_of(home, output))[0], output
            assert made.tags["dagster/code_version"], output
            assert made.partition == (WINDOW if task.windowed else None), output


def test_all_windows_of_the_history_are_ingested(instance: dg.DagsterInstance) -> None:
    key = homes.key("raw/interactions")
    assert instance.get_materialized_partitions(key) == {
        homes.HISTORY[-1],
        WINDOW,
    }  # the first holds what came before


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("raw/items", {"rows", "with title", "with image", "sample"}),
        ("raw/interactions", {"rows", "users", "items", "first", "last", "rows after the last window"}),
        ("core/interactions", {"rows", "sample"}),
        ("core/quarantine", {"rows", "reasons"}),
        ("core/splits", {"rows", "train rows", "valid rows", "test rows", "realised ratios"}),
        (
            "features/image_color_gradient",
            {"items", "present", "missing", "failed", "dimensions", "seconds", "peak memory MB", "MB read"},
        ),
        ("graphs/text_tfidf_svd", {"items", "items with neighbours", "edges", "mean cosine"}),
        ("trained/freedom", {"epochs", "best epoch", "seconds", "memory above data, peak MB", "settings"}),
        ("recommendations/ease", {"users", "list length", "sample"}),
        ("metrics/lightgcn", {"recall@20", "ndcg@20", "users", "seconds", "metrics"}),
        ("eval/leaderboard", {"leaderboard"}),
        ("eval/report", {"report", "size kB"}),
    ],
)
def test_metadata_a_person_can_use(
    output: str, expected: set[str], event: Callable[[str], dg.AssetMaterialization]
) -> None:
    facts = _facts(event(output))
    assert expected <= set(facts), sorted(facts)


def test_numbers_are_those_of_the_tables(
    stage: Stage, event: Callable[[str], dg.AssetMaterialization]
) -> None:
    for table in ("users", "items", "interactions", "quarantine", "splits"):
        rows = stage.lake.manifest(stage.table("core", table)).rows
        assert _facts(event(f"core/{table}"))["rows"] == rows > 0
    metrics = stage.lake.read(stage.table("eval", "metrics", model="lightgcn")).filter(
        (pl.col("slice") == "all") & (pl.col("k") == 20)
    )
    stored = dict(metrics.select("metric", "value").iter_rows())
    facts = _facts(event("metrics/lightgcn"))
    assert facts["recall@20"] == pytest.approx(stored["recall"], abs=1e-5)
    assert facts["ndcg@20"] == pytest.approx(stored["ndcg"], abs=1e-5)
    splits = _facts(event("core/splits"))
    assert splits["train rows"] + splits["valid rows"] + splits["test rows"] == splits["rows"]


@pytest.mark.parametrize("name", LEARNED)
def test_a_training_shows_its_curve(name: str, event: Callable[[str], dg.AssetMaterialization]) -> None:
    assert "data:image/png;base64," in _facts(event(f"trained/{name}"))["training curve"]


def test_a_closed_form_has_no_curve(event: Callable[[str], dg.AssetMaterialization]) -> None:
    assert "training curve" not in _facts(event("trained/ease"))


def test_tables_show_their_columns_and_where_they_come_from(
    event: Callable[[str], dg.AssetMaterialization],
) -> None:
    facts = _facts(event("core/interactions"))
    columns = {column.name: column for column in facts["dagster/column_schema"].columns}
    assert {"user", "item", "user_id", "item_id", "timestamp", "rating"} <= set(columns)
    assert columns["timestamp"].type == "TIMESTAMP"
    assert columns["user"].description
    deps = facts["dagster/column_lineage"].deps_by_column
    assert dg.TableColumnDep(homes.key("raw/interactions"), "user_id") in deps["user"]
    assert dg.TableColumnDep(homes.key("raw/items"), "item_id") in deps["item"]
    for output in ("recommendations/ease", "metrics/ease"):
        assert {"dagster/column_schema", "dagster/column_lineage"} <= set(_facts(event(output))), output


def test_column_lineage_names_assets_and_columns_that_exist(
    stage: Stage, event: Callable[[str], dg.AssetMaterialization]
) -> None:
    """A renamed column must not leave lineage that points nowhere."""
    schemas: dict[dg.AssetKey, set[str]] = {}
    lineage: list[tuple[str, dg.TableColumnDep]] = []
    for output in (str(output) for task in plan(stage.config) for output in task.outputs):
        facts = _facts(event(output))
        if "dagster/column_schema" in facts:
            key = homes.key(output)
            schemas[key] = {column.name for column in facts["dagster/column_schema"].columns}
        if "dagster/column_lineage" in facts:
            for deps in facts["dagster/column_lineage"].deps_by_column.values():
                lineage += [(output, dep) for dep in deps]
    assert lineage
    wrong = [
        f"{output} <- {dep.asset_key.to_user_string()}.{dep.column_name}"
        for output, dep in lineage
        if dep.column_name not in schemas.get(dep.asset_key, set())
    ]
    assert wrong == []


def test_all_checks_were_evaluated_and_the_blocking_ones_passed(
    finished: Home, instance: dg.DagsterInstance
) -> None:
    with homes.entered(finished):
        graph = load_project(finished).definitions.resolve_asset_graph()
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        sorted(graph.asset_check_keys)
    )
    on_request = {
        key
        for key in graph.asset_check_keys
        if key.asset_key.path[1] == "experiments" or key.asset_key.path[-1] == "champion"
    }
    assert set(records) == graph.asset_check_keys - on_request
    assert all(
        entry.event.dagster_event.event_type_value == "ASSET_CHECK_EVALUATION" for entry in records.values()
    )
    evaluations = [entry.event.dagster_event.asset_check_evaluation_data for entry in records.values()]
    assert all(each.passed for each in evaluations if each.severity is dg.AssetCheckSeverity.ERROR)
    assert all(each.description for each in evaluations)
    suite = next(each for each in evaluations if each.asset_key.path[-1] == "splits")
    assert "| yes |" in suite.metadata["expectations"].value


def test_the_leaderboard_frame_is_typed_and_reaches_other_assets(finished: Home) -> None:
    """An asset of somebody else's takes the leaderboard as a pandas frame, checked by its dagster-pandas type."""
    import pandas as pd

    seen: list[pd.DataFrame] = []

    @dg.asset(ins={"board": dg.AssetIn(key=homes.key("eval/leaderboard"))})
    def winner(board: pd.DataFrame) -> None:
        seen.append(board)

    with homes.entered(finished), dg.DagsterInstance.ephemeral() as instance:
        definitions = dg.Definitions.merge(
            load_project(finished).definitions,
            dg.Definitions(
                assets=[winner], jobs=[dg.define_asset_job("choose", dg.AssetSelection.assets("winner"))]
            ),
        )
        assert definitions.resolve_job_def("choose").execute_in_process(instance=instance).success
    assert set(seen[0]["model"]) == {"most_pop", "ease", *LEARNED}
    assert seen[0]["recall@20"].between(0, 1).all()


def test_the_report_is_one_page_with_every_model(
    finished: Home, event: Callable[[str], dg.AssetMaterialization]
) -> None:
    path = Path(_facts(event("eval/report"))["report"])
    assert path == finished.reports / "tiny" / "report.html"
    page = path.read_text(encoding="utf-8")
    assert all(name in page for name in ("most_pop", "ease", *LEARNED))
    assert 'src="http' not in page
    assert not list(path.parent.glob(".*"))


def test_a_second_run_finds_everything_current(home: Home) -> None:
    before = {path: path.stat().st_mtime_ns for path in home.lake.glob("core/**/part.parquet")}
    lines = homes.run(home)
    assert not any("reading raw files" in line for line in lines)
    assert lines[-1].startswith(f"tiny: window {WINDOW}, 0 of ")
    assert {path: path.stat().st_mtime_ns for path in home.lake.glob("core/**/part.parquet")} == before
