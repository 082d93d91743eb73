"""A planted fault in each kind of place: blocking checks stop what is downstream, warnings do not."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from mrs_pipeline.orchestration.executing import RunFailedError
from mrs_pipeline.orchestration.project import load_project
from mrs_pipeline.splits.labels import Labelled, labelled
from mrs_pipeline.splits.options import SplitOptions
from mrs_pipeline.stages import core
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Table
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.types import BoolArray, IntArray
from mrs_pipeline_tests.orchestration import homes
from mrs_pipeline_tests.orchestration.homes import WINDOW

pytestmark = [
    pytest.mark.filterwarnings("ignore:Asset job .* materializes assets"),
]

RAW = Path("data/raw/demo/interactions")


def _contents(home: Home) -> dict[Path, bytes]:
    """The core tables and what was learned from them: what a blocked run must leave as it was."""
    kept = [*home.lake.glob("core/**/part.parquet"), *home.lake.glob("serving/**/part.parquet")]
    kept += list(home.models.rglob("*.safetensors"))
    return {path: path.read_bytes() for path in kept}


def _plant(path: Path, **wrong: object) -> None:
    """Write wrong values into the first rows of a file of raw interactions."""
    frame = pl.read_parquet(path)
    faulty = [
        pl.when(pl.int_range(pl.len()) < 3).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
        for column, value in wrong.items()
    ]
    frame.with_columns(faulty).write_parquet(path)


def _shuffled_labels(options: SplitOptions, users: IntArray, times: IntArray, history: BoolArray) -> Labelled:
    """A split that trains on what happens after its test rows."""
    return labelled((np.arange(len(users)) % 3).astype(np.int8), users)


def _latest_checks(stage: Stage) -> dict[tuple[str, str], bool]:
    """(asset, check) -> passed, as the lineage table has it."""
    parts = stage.lake.partitions("lineage", "checks", dataset="tiny", window=stage.window)
    frame = pl.concat([stage.lake.read(part) for part in parts])
    return {
        (asset, name): passed for asset, name, passed in frame.select("asset", "name", "passed").iter_rows()
    }


def _shown(home: Home, output: str, window: str) -> Mapping[str, dg.MetadataValue]:
    """What the UI shows of the latest look of a suite at a window."""
    key = dg.AssetCheckKey(homes.key(output), "expectations")
    with homes.entered(home), dg.DagsterInstance.get() as instance:
        records = instance.event_log_storage.get_asset_check_execution_history(key, limit=20)
    for record in records:
        evaluation = record.event.dagster_event.asset_check_evaluation_data
        if not evaluation.passed:
            return evaluation.metadata
    raise AssertionError(f"{output} {window} passed")


def test_a_fault_in_the_raw_files_blocks_until_it_is_mended(home: Home) -> None:
    path = home.root / RAW / "2024-03.parquet"
    good = path.read_bytes()
    before = _contents(home)
    _plant(path, rating=1e13)
    sentence = (
        "check expectations of tiny/raw/interactions: window 2024-03, whose rows are read too: broken: ratings are "
        "ordinary numbers"
    )
    broken = "rows that break: ratings are ordinary numbers"
    for _ in range(2):  # the second run finds the partition made, but not its check passed
        with pytest.raises(RunFailedError, match=sentence):
            homes.run(home, models=["most_pop"])
        assert _contents(home) == before
    shown = _shown(home, "raw/interactions", "2024-03")
    assert shown["broken expectations"].value == 1
    assert (
        shown[next(name for name in shown if name.startswith(broken))].value.count("10000000000000.0000") == 3
    )
    path.write_bytes(good)
    homes.run(home, models=["most_pop"])
    assert _contents(home) == before


def test_a_fault_made_on_the_way_blocks_what_is_downstream(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = homes.stage_of(home).table("core", "splits")
    stage = homes.stage_of(home)
    stage.lake.delete(splits)
    before = {path: value for path, value in _contents(home).items() if "splits" not in path.parts}
    with monkeypatch.context() as patch:
        patch.setattr(core, "label_window", _shuffled_labels)
        for _ in range(2):
            with pytest.raises(RunFailedError, match="check expectations of tiny/core/splits: broken:"):
                homes.run(home)
            after = _contents(home)
            assert {path: value for path, value in after.items() if path in before} == before
            assert not _latest_checks(stage)["core/splits", "expectations"]
    homes.run(home, models=["most_pop"])
    assert _latest_checks(stage)["core/splits", "expectations"]


def test_dagster_shows_what_was_blocked(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline's job as the UI runs it: the failed check is an error, and nothing below it was made."""
    stage = homes.stage_of(home)
    stage.lake.delete(stage.table("core", "splits"))  # what is current would not be made again
    monkeypatch.setattr(core, "label_window", _shuffled_labels)
    chosen = ["core/splits", "features/text_tfidf_svd", "trained/most_pop", "metrics/most_pop"]
    with homes.entered(home), dg.DagsterInstance.ephemeral() as instance:
        job = load_project(home).definitions.resolve_job_def("tiny_pipeline")
        result = job.execute_in_process(
            instance=instance,
            partition_key=WINDOW,
            asset_selection=[homes.key(output) for output in chosen],
            raise_on_error=False,
        )
    assert not result.success
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert [homes.text(check.asset_key) for check in failed] == ["tiny/core/splits"]
    assert failed[0].severity is dg.AssetCheckSeverity.ERROR
    assert "| NO |" in failed[0].metadata["expectations"].value
    made = {homes.text(event.asset_key) for event in result.get_asset_materialization_events()}
    assert made == {"tiny/core/splits", "tiny/features/text_tfidf_svd"}


def test_a_table_that_was_tampered_with_is_made_again(home: Home) -> None:
    stage = homes.stage_of(home)
    partition = stage.table("core", "splits")
    manifest = stage.lake.manifest(partition)
    stage.lake.write_frame(partition, stage.lake.read(partition).head(5), manifest.provenance)
    assert stage.lake.manifest(partition).digest != manifest.digest
    homes.run(home, models=["most_pop"])
    assert stage.lake.manifest(partition).digest == manifest.digest


def test_a_warning_does_not_block(home: Home) -> None:
    """Most records get one and the same cover: the vectors say little, and the run goes on to the end."""
    images = sorted((home.root / "data/raw/demo/images").glob("*.jpg"))
    for image in images[10:]:
        shutil.copyfile(images[0], image)
    homes.run(home, models=["most_pop"])
    stage = homes.stage_of(home)
    checks = _latest_checks(stage)
    assert not checks["features/image_color_gradient", "signal"]
    assert checks["features/image_color_gradient", "expectations"]
    with homes.entered(home), dg.DagsterInstance.get() as instance:
        graph = load_project(home).definitions.resolve_asset_graph()
        key = next(
            key
            for key in graph.asset_check_keys
            if key.name == "signal" and key.asset_key.path[-1] == "image_color_gradient_features"
        )
        latest = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
        evaluation = latest.event.dagster_event.asset_check_evaluation_data
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert "of the vectors repeat another" in evaluation.description
    board = stage.lake.read(Table.of("eval", "leaderboard", dataset="tiny"))
    assert "most_pop" in board["model"].to_list()


def test_what_a_user_can_mend_ends_in_its_sentence(home: Home) -> None:
    """A dataset emptied by its own k-core: refused in one sentence, and the tables stay as they were."""
    before = _contents(home)
    homes.describe(home.root, {**homes.TINY, "interactions": {"min_rating": 3, "k_core": 500}})
    with pytest.raises(RunFailedError, match=r"k_core = 500 leaves none of \d+ rows: the largest") as refused:
        homes.run(home)
    assert "\n" not in str(refused.value)
    assert _contents(home) == before
