"""Newer data, and one model measured again: what was measured on the older data is shown, and compared with nothing."""

from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from mrs_pipeline.bench.models import results
from mrs_pipeline.cli.tables import leaderboard_notes, leaderboard_table
from mrs_pipeline.errors import InputError
from mrs_pipeline.orchestration.frames import shown_frame
from mrs_pipeline.storage.catalogue import query
from mrs_pipeline.stored.lists import list_of_user
from mrs_pipeline.stored.results import read_leaderboard
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import WINDOW, copied, perform, stage_of

OLDER = ["bpr_mf", "freedom"]


@pytest.fixture(scope="module")
def newer(worked: Path, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The tested month has lost a tenth of its rows since; `mrs run tiny --models most_pop` has been run."""
    root = copied(worked, tmp_path_factory.mktemp("newer") / "home")
    raw = root / f"data/raw/demo/interactions/{WINDOW}.parquet"
    rows = pl.read_parquet(raw)
    rows.head(len(rows) * 9 // 10).write_parquet(raw)
    stage = stage_of(root)
    before = ["raw/interactions", "core/tables", "core/splits"]
    own = [f"{kind}/most_pop" for kind in ("trained", "recommendations", "metrics")]
    perform(stage, [*before, *own, "eval/leaderboard"])
    return stage


def test_the_two_versions_of_the_data_are_there(newer: Stage) -> None:
    digests = query(newer.home, "SELECT DISTINCT model, data_digest FROM eval.metrics")
    own = dict(digests.iter_rows())
    assert len(digests) == 3 and own["bpr_mf"] == own["freedom"] != own["most_pop"]


def test_sql_ranks_what_was_measured_on_the_newer_data(newer: Stage) -> None:
    rows = query(
        newer.home, "SELECT model, rank, stale, best_p, popularity_p FROM eval.leaderboard ORDER BY model"
    )
    assert rows.rows() == [
        ("bpr_mf", None, True, None, None),
        ("freedom", None, True, None, None),
        ("most_pop", 1, False, None, None),
    ]


def test_before_the_newer_data_all_three_were_ranked(worked: Path) -> None:
    board = read_leaderboard(stage_of(worked).lake, "tiny")
    assert board["rank"].to_list() == [1, 2, 3] and not board["stale"].any()


def test_the_terminal_marks_them_and_says_what_to_type(newer: Stage) -> None:
    board = read_leaderboard(newer.lake, "tiny")
    assert board["model"][0] == "most_pop" and set(board["model"][1:]) == set(OLDER)
    console = Console(width=140)
    with console.capture() as said:
        console.print(leaderboard_table(board, "tiny"))
    lines = said.get().splitlines()
    for model in OLDER:
        assert "stale" in next(line for line in lines if f" {model} " in line)
    (note,) = (line for line in leaderboard_notes(board, "tiny") if line.startswith("stale"))
    assert f"`mrs run tiny --window {WINDOW}` measures it again" in note


def test_lists_come_from_the_leader_of_the_newer_data(newer: Stage) -> None:
    user = newer.lake.read(newer.table("core", "users"))["user_id"][0]
    assert list_of_user(newer.lake, "tiny", user).model == "most_pop"


def test_the_frame_of_the_ui_has_no_stale_row(newer: Stage) -> None:
    assert shown_frame(newer.lake, "tiny")["model"].tolist() == ["most_pop"]


def test_the_benchmark_takes_no_stale_run(newer: Stage) -> None:
    assert results(newer)["model"].unique().to_list() == ["most_pop"]


def test_measured_again_they_are_ranked_again(newer: Stage, tmp_path: Path) -> None:
    stage = stage_of(copied(newer.home.root, tmp_path / "home"))
    again = [f"{kind}/{model}" for kind in ("trained", "metrics") for model in OLDER]
    features = ["features/text_tfidf_svd", "features/image_color_gradient"]
    graphs = ["graphs/text_tfidf_svd", "graphs/image_color_gradient"]
    perform(stage, [*features, *graphs, *again, "eval/leaderboard"])
    board = read_leaderboard(stage.lake, "tiny")
    assert board["rank"].to_list() == [1, 2, 3] and not board["stale"].any()


def test_a_leaderboard_of_an_earlier_version_is_refused_with_a_remedy(newer: Stage, tmp_path: Path) -> None:
    stage = stage_of(copied(newer.home.root, tmp_path / "home"))
    (table,) = stage.lake.partitions("eval", "leaderboard", dataset="tiny")
    stage.lake.write_frame(table, stage.lake.read(table).drop("stale"), stage.lake.manifest(table).provenance)
    with pytest.raises(InputError, match="made by an earlier version: `mrs run tiny` makes it again"):
        read_leaderboard(stage.lake, "tiny")
