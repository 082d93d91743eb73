"""What is not needed goes, what a setting, a champion or a writer needs stays, bit by bit."""

from pathlib import Path

from filelock import FileLock

from mrs_pipeline.promotion.decisions import promote, rollback
from mrs_pipeline.promotion.garbage import held, remove
from mrs_pipeline.storage.digests import file_digest
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.promotion.test_decisions import lists_of, user_of
from mrs_pipeline_tests.stages.working import stage_of, stale


def _without(stage: Stage) -> Stage:
    """The same home once its settings list one model and no features."""
    given = stage.config.model_dump(mode="json", exclude_unset=True)
    return stage_of(stage.home.root, **{**given, "models": {"most_pop": None}, "features": []})


def _loose(stage: Stage) -> list[str]:
    return [each.what for each in held(stage.home, {"tiny": stage.config}) if not each.needed]


def _files(stage: Stage) -> dict[Path, str]:
    return {path: file_digest(path) for path in stage.home.root.rglob("*") if path.is_file()}


def test_all_that_the_settings_make_is_needed(market: Stage) -> None:
    things = held(market.home, {"tiny": market.config})
    assert _loose(market) == []
    kinds = {each.kind for each in things}
    assert {"raw", "core", "features", "models", "eval", "serving", "trained", "final"} <= kinds
    stored = [path for top in ("data/lake", "data/features", "data/final", "data/indexes", "models") for path in
              (market.home.root / top).rglob("*") if path.is_file()]  # fmt: skip
    assert sum(each.size for each in things if each.kind != "champions") >= sum(
        path.stat().st_size for path in stored if "resume" not in path.parts
    )


def test_what_no_setting_and_no_champion_needs_goes(market: Stage) -> None:
    user = user_of(market)
    promote(market, "most_pop")
    promote(market, "ease")
    before = lists_of(market, user)
    promote(market, "knn_fusion")
    served = lists_of(market, user)
    fewer = _without(market)
    needed = {
        path
        for each in held(fewer.home, {"tiny": fewer.config})
        if each.needed
        for path in each.path.rglob("*")
    }
    kept = {path: digest for path, digest in _files(fewer).items() if path in needed}
    loose = _loose(fewer)
    assert {"trained/ease@2024-06", "final/knn_fusion@2024-06", "features/text_tfidf_svd@2024-06"} <= set(
        loose
    )
    pages = fewer.home.reports / "tiny" / "features" / "2024-06"
    assert "page features/text_tfidf_svd@2024-06" in loose and any(pages.iterdir())
    assert sum(what.startswith("2024-06-most_pop-") for what in loose) == 1
    assert not any("most_pop" in what for what in loose if not what.startswith("2024-06-"))
    due = stale(fewer)
    removed = remove(fewer.home, held(fewer.home, {"tiny": fewer.config}))
    assert [each.what for each in removed] == loose
    assert _loose(fewer) == [], "a second look finds nothing"
    after = _files(fewer)
    assert {path: after[path] for path in kept} == kept and kept
    assert not any(pages.iterdir())
    assert stale(fewer) == due
    left = {
        path.relative_to(fewer.home.final).parts[2] for path in fewer.home.final.rglob("weights.safetensors")
    }
    assert left == {"most_pop"}
    assert lists_of(fewer, user) == served
    rollback(fewer)
    assert lists_of(fewer, user) == before


def test_what_is_being_written_stays_for_the_next_time(market: Stage) -> None:
    fewer = _without(market)
    writer = market.home.models / "tiny" / market.window / "ease" / ".lock"
    with FileLock(writer):
        remove(fewer.home, held(fewer.home, {"tiny": fewer.config}))
        assert _loose(fewer) == ["trained/ease@2024-06"]
    remove(fewer.home, held(fewer.home, {"tiny": fewer.config}))
    assert _loose(fewer) == []


def test_removing_a_champions_links_frees_only_what_nothing_else_holds(market: Stage) -> None:
    promote(market, "ease")
    (kept,) = [each for each in held(market.home, {"tiny": market.config}) if each.kind == "champions"]
    assert kept.needed and kept.size > 1000 * (kept.freed > 0) and kept.freed < kept.size / 10
