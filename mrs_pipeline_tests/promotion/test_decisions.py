"""Promoting, refusing and rolling back: what is recorded, what is served, and that a champion keeps what it needs."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.promotion import keeping
from mrs_pipeline.promotion.decisions import champion, champion_stage, promote, promotions, rollback
from mrs_pipeline.reporting.champion_plot import champion_history, served_in
from mrs_pipeline.reporting.drawing import png
from mrs_pipeline.serving.answers import recommend
from mrs_pipeline.serving.bundle import load_bundle
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.table import Table
from mrs_pipeline.stored.results import read_leaderboard
from mrs_pipeline.tables.promotions import PROMOTION_RULES, PROMOTIONS
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.tasks.verifying import verify
from mrs_pipeline_tests.orchestration.mailbox import opened
from mrs_pipeline_tests.stages.working import perform, stage_of


def lists_of(stage: Stage, user: str) -> tuple[str, list[tuple[str, float]]]:
    found = champion_stage(stage)
    assert found is not None
    bundle = load_bundle(*found)
    places = recommend(bundle, 5, user=user).places
    return bundle.name, [(place.item_id, place.score) for place in places]


def user_of(stage: Stage) -> str:
    return str(stage.lake.read(stage.table("core", "users"))["user_id"][0])


def _rules(stage: Stage, decision: int) -> dict[str, dict[str, object]]:
    rows = stage.lake.read(Table.of("serving", "promotion_rules", dataset="tiny"))
    return {row["rule"]: row for row in rows.filter(pl.col("decision") == decision).iter_rows(named=True)}


def test_promotion_refusal_and_rollback_are_recorded_and_told(market: Stage) -> None:
    assert champion(market) is None and champion_stage(market) is None
    with opened(market.home.root, events=["promotion"]) as mailbox:
        first = promote(market, "ease", decided_by="anna")
        assert (first.outcome, first.before) == ("promoted", None)
        strict = stage_of(market.home.root, **{**_given(market), "promotion": {"max_seconds": 1e-9}})
        second = promote(strict, "knn_fusion", decided_by="a schedule")
        assert second.outcome == "refused" and "training" in second.reason
        forced = promote(strict, "knn_fusion", force=True, reason="a demonstration", decided_by="ben")
        assert forced.outcome == "promoted" and forced.before is not None and forced.before.model == "ease"
        back = rollback(market, reason="complaints")
        assert (back.outcome, back.model) == ("rolled back", "ease")
    assert mailbox.titles == [
        "tiny: ease of window 2024-06 is the champion",
        "tiny: knn_fusion of window 2024-06 was not promoted",
        "tiny: knn_fusion of window 2024-06 is the champion",
        "tiny: rolled back to ease of window 2024-06",
    ]
    log = promotions(market)
    assert tuple(log.columns) == tuple(PROMOTIONS.columns)
    assert log["outcome"].to_list() == ["promoted", "refused", "promoted", "rolled back"]
    assert log["champion_model"].to_list() == [None, "ease", "ease", "knn_fusion"]
    assert log["forced"].to_list() == [False, False, True, False]
    assert log["decided_by"].to_list()[:3] == ["anna", "a schedule", "ben"]
    assert log["reason"][3] == "complaints" and log["kept"].is_null().to_list() == [False, True, False, False]
    assert log["weights_digest"][0] == log["weights_digest"][3] != log["weights_digest"][2]
    rules = _rules(market, 2)
    assert set(next(iter(rules.values()))) == set(PROMOTION_RULES.columns)
    assert [name for name, rule in rules.items() if rule["holds"] is False] == ["seconds"]
    tested = rules["champion"]
    users = market.lake.read(market.table("eval", "user_metrics", model="ease")).filter(
        slice="all", metric="recall", k=20
    )
    others = market.lake.read(market.table("eval", "user_metrics", model="knn_fusion"))
    pairs = users.join(others.filter(slice="all", metric="recall", k=20), on="user")
    assert tested["value"] == pytest.approx(float((pairs["value_right"] - pairs["value"]).mean()), abs=1e-6)


def _given(stage: Stage) -> dict[str, object]:
    return stage.config.model_dump(mode="json", exclude_unset=True)


def test_a_champion_serves_the_same_bits_whatever_becomes_of_the_stores(market: Stage) -> None:
    user = user_of(market)
    promote(market, "ease")
    before = lists_of(market, user)
    promote(market, "knn_fusion")
    other = lists_of(market, user)
    assert (before[0], other[0]) == ("ease", "knn_fusion")
    changed = stage_of(market.home.root, **{**_given(market), "interactions": {"min_rating": 4, "k_core": 2}})
    perform(changed)  # tables, features and weights are other ones now
    assert lists_of(changed, user) == other
    for folder in ("models", "data/final", "data/features", "data/lake/core"):
        shutil.rmtree(market.home.root / folder)
    assert lists_of(changed, user) == other
    rollback(changed)
    assert lists_of(changed, user) == before


def test_damage_to_what_a_champion_keeps_is_found_and_not_discarded(market: Stage) -> None:
    promote(market, "ease")
    configs = {"tiny": market.config}
    assert verify(market.home, configs).faults == ()
    (weights,) = market.home.champions.rglob("weights.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.unlink()  # a link: the original stays what it was
    weights.write_bytes(content)
    (fault,) = verify(market.home, configs, "tiny", discard=True).faults
    assert (
        fault.what.startswith("final/ease, kept as 2024-06-ease-")
        and fault.reason == "is not what was written"
    )
    assert fault.remedy == "mrs promote tiny MODEL, or mrs rollback tiny"
    assert weights.is_file()
    assert verify(market.home, configs, "another").faults == ()


def test_what_cannot_be_decided_is_refused_in_one_sentence(market: Stage) -> None:
    with pytest.raises(InputError, match="no champion before this one: `mrs promote tiny MODEL`"):
        rollback(market)
    with pytest.raises(InputError, match="needs a reason: add --reason"):
        promote(market, "ease", force=True)
    promote(market, "ease")
    with pytest.raises(InputError, match="ease of window 2024-06 is the champion of tiny already"):
        promote(market, "ease")
    with pytest.raises(InputError, match="vbpr is not on the leaderboard of tiny at window 2024-06"):
        promote(market, "vbpr")
    assert promotions(market).height == 1
    found = champion(market)
    assert found is not None
    shutil.rmtree(market.home.champions / "tiny" / found.kept)
    with pytest.raises(InputError, match=r"is gone: `mrs promote tiny`"):
        champion_stage(market)


def test_a_promotion_that_is_killed_leaves_the_champion_as_it_was(
    market: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(market, "ease")

    write = Lake.write_frame

    def killed(lake: Lake, table: Table, *rest: Any) -> object:
        if table.name == "promotions":
            raise KeyboardInterrupt
        return write(lake, table, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "write_frame", killed)
        with pytest.raises(KeyboardInterrupt):
            promote(market, "knn_fusion")
    found = champion(market)
    assert found is not None and found.model == "ease"
    assert promote(market, "knn_fusion").outcome == "promoted"
    rules = market.lake.read(Table.of("serving", "promotion_rules", dataset="tiny"))
    assert rules.height == 14 and rules.select("decision", "rule").is_unique().all()


def test_what_a_run_replaces_meanwhile_is_not_promoted(
    market: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = keeping._link

    def replaced(path: Path, target: Path) -> None:
        """A run writes another table while the files are linked."""
        users = market.table("core", "users")
        if market.lake.read(users)["user_id"][0] != "somebody":
            other = market.lake.read(users).with_columns(user_id=pl.lit("somebody"))
            market.lake.write_frame(users, other, market.lake.manifest(users).provenance)
        link(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(keeping, "_link", replaced)
        with pytest.raises(InputError, match="promote it when the run has ended"):
            promote(market, "ease")
    assert champion(market) is None
    assert keeping.kept_folders(market.home, "tiny") == []


def _decided(*rows: tuple[str, str, str]) -> pl.DataFrame:
    """(outcome, window, model) in order."""
    standing: list[tuple[str, str]] = []
    found = []
    for number, (outcome, window, model) in enumerate(rows, 1):
        before = standing[-1] if standing else (None, None)
        if outcome == "promoted":
            standing.append((window, model))
        elif outcome == "rolled back":
            standing.pop()
        found.append((number, outcome, window, model, *before, False))
    columns = ["decision", "outcome", "window", "model", "champion_window", "champion_model", "forced"]
    return pl.DataFrame(found, schema=columns, orient="row")


def test_the_history_follows_promotions_and_rollbacks(market: Stage) -> None:
    windows = [f"2024-0{month}" for month in range(1, 7)]
    log = _decided(
        ("promoted", "2024-02", "ease"),
        ("refused", "2024-03", "vbpr"),
        ("promoted", "2024-04", "vbpr"),
        ("rolled back", "2024-02", "ease"),
        ("promoted", "2024-06", "vbpr"),
    )
    assert served_in(log, windows) == {**dict.fromkeys(windows[1:5], "ease"), "2024-06": "vbpr"}
    board = read_leaderboard(market.lake, "tiny")
    draw = np.random.default_rng(1)
    rows = [
        {
            **board.row(0, named=True),
            "window": window,
            "model": model,
            "recall@20": level + draw.normal(0, 0.01),
        }
        for window in windows
        for model, level in (("most_pop", 0.1), ("ease", 0.2), ("vbpr", 0.23))
    ]
    picture = png(champion_history(pl.DataFrame(rows, schema=board.schema), log))
    assert picture.startswith(b"\x89PNG")
    (market.home.root / "history.png").write_bytes(picture)
