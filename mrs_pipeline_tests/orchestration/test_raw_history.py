"""Every window that the UI offers can be run: its run reads its history, and what is lacking of earlier windows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from mrs_pipeline.errors import InputError, MrsError
from mrs_pipeline.orchestration.metadata import as_metadata
from mrs_pipeline.orchestration.notifications import telling_of_failure
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.node import CORE, RAW_INTERACTIONS, SPLITS
from mrs_pipeline.tasks.places import exists, require_window
from mrs_pipeline_tests.orchestration import homes
from mrs_pipeline_tests.orchestration.mailbox import opened

pytestmark = pytest.mark.filterwarnings("ignore:Asset job .* materializes assets")

SETTINGS = {
    **homes.BARE,
    "window": {"every": "month", "start": "2024-01", "end": "2024-07", "score_from": "2024-04"},
}
HISTORY, (FIRST, SECOND, THIRD) = ("2024-01", "2024-02", "2024-03"), ("2024-04", "2024-05", "2024-06")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Ui:
    """Launches windows of the pipeline's job, up to the split, as the UI does."""

    def __init__(self, home: Home, instance: dg.DagsterInstance) -> None:
        self.home, self.instance = home, instance
        self.definitions = homes.load(home).definitions

    def launch(self, window: str) -> Any:
        chosen = ["raw/items", str(RAW_INTERACTIONS), *(str(output) for output in (*CORE, SPLITS))]
        return self.definitions.resolve_job_def("tiny_pipeline").execute_in_process(
            instance=self.instance,
            partition_key=window,
            asset_selection=[homes.key(output) for output in chosen],
            run_config=QUIET,
            raise_on_error=False,
        )

    def made(self, output: str) -> set[str]:
        return set(self.instance.get_materialized_partitions(homes.key(output)))

    def rows(self, window: str) -> Any:
        asked = dg.AssetRecordsFilter(homes.key("raw/interactions"), asset_partitions=[window])
        made = self.instance.fetch_materializations(asked, limit=1).records[0].asset_materialization
        return made.metadata["rows"], made.tags["dagster/data_version"]


@pytest.fixture
def ui(tmp_path: Path) -> Iterator[Ui]:
    home = homes.make(tmp_path / "home", SETTINGS)
    with homes.entered(home), dg.DagsterInstance.ephemeral() as instance:
        yield Ui(home, instance)


def _failed(result: Any) -> list[str]:
    return [str(check.description) for check in result.get_asset_check_evaluations() if not check.passed]


def test_any_window_runs_first_and_alone(ui: Ui) -> None:
    assert ui.launch(SECOND).success
    assert ui.made("core/splits") == {SECOND}
    assert ui.made("raw/interactions") == {FIRST, SECOND}  # its history is no partition
    stage = homes.stage_of(ui.home, SECOND)
    assert all(exists(stage, RAW_INTERACTIONS.at(window)) for window in (*HISTORY, FIRST, SECOND))
    before = ui.rows(FIRST)
    assert ui.launch(FIRST).success
    assert ui.rows(FIRST) == before  # recorded again, numbers as numbers
    assert isinstance(before[0], dg.IntMetadataValue)


def test_windows_without_history_are_not_offered(ui: Ui) -> None:
    for window in (HISTORY[-1], "2024-08"):
        with pytest.raises(Exception, match=f"Could not find a partition with key `{window}`"):
            ui.launch(window)


@pytest.mark.parametrize("faulty", [HISTORY[1], SECOND])
def test_a_fault_in_an_earlier_window_blocks_until_it_is_mended(ui: Ui, faulty: str) -> None:
    """What a window before it holds is what a model would learn from."""
    assert ui.launch(FIRST).success
    path = ui.home.root / "data/raw/demo/interactions" / f"{faulty}.parquet"
    good = path.read_bytes()
    pl.read_parquet(path).with_columns(rating=pl.lit(1e13)).write_parquet(path)
    own, later = (FIRST, FIRST) if faulty in HISTORY else (SECOND, THIRD)
    with opened(ui.home.root, events=["failed_check", "failure"]) as mailbox:
        assert not ui.launch(own).success
        blocked = ui.launch(later)
        with pytest.raises(MrsError), telling_of_failure(ui.home, "tiny"):
            found = f"{_failed(blocked)[0]} (run 1 in `mrs ui` has the details)"
            raise MrsError(f"check expectations of tiny/raw/interactions: {found}")
        assert len(mailbox.titles) == 1  # one cause, whoever meets it
    assert not blocked.success
    (sentence,) = _failed(blocked)
    assert sentence.startswith(
        f"window {faulty}, whose rows are read too: broken: ratings are ordinary numbers"
    )
    assert later not in ui.made("core/splits") - {FIRST}
    path.write_bytes(good)
    assert ui.launch(later).success


def test_a_window_that_has_not_begun_is_refused_by_name(ui: Ui) -> None:
    with pytest.raises(InputError, match="tiny has no window 2024-08; its windows are 2024-01 to 2024-07"):
        require_window(homes.stage_of(ui.home, "2024-08"))


def test_facts_that_are_recorded_again_stay_what_they_were() -> None:
    facts = as_metadata(
        {"recall@20": 0.25, "rows": 3, "place": Path("x"), "sample": pl.DataFrame({"a": [1]})}
    )
    assert as_metadata(facts) == facts
