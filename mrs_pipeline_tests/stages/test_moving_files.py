"""Files that change while they are read: what is stamped is what was parsed; what is not, does not count as current."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.source import TabularSource
from mrs_pipeline.plan import plan
from mrs_pipeline.stages import ingest
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.currency import is_current, provenance_of, why_stale
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.source_files import at_rest, media_states, source_of
from mrs_pipeline.tasks.task import Outcome, Stage, Task

HEADER = "user_id,item_id,timestamp\n"
JANUARY = "u1,a,2024-01-05\nu2,b,2024-01-06\n"
FEBRUARY = "u1,b,2024-02-05\nu2,a,2024-02-06\n"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Two logs and a catalogue, not yet read; the stage stands at February."""
    logs = tmp_path / "shop" / "interactions"
    logs.mkdir(parents=True)
    (logs / "1.csv").write_text(HEADER + JANUARY)
    (logs / "2.csv").write_text(HEADER + FEBRUARY)
    (tmp_path / "shop" / "items.csv").write_text("item_id,title\na,A\nb,B\n")
    config = DatasetConfig.model_validate(
        {
            "name": "shop",
            "source": {"path": "shop"},
            "window": {"every": "month", "start": "2024-01", "end": "2024-02"},
            "models": {"most_pop": None},
        }
    )
    yield Stage(config, Home(tmp_path), "2024-02")
    ingest.forget_source()


def _logs(stage: Stage) -> Path:
    return stage.home.root / "shop" / "interactions"


def _task(stage: Stage, name: str = "raw/interactions") -> Task:
    return next(task for task in plan(stage.config) if task.name == name)


def _made(stage: Stage, name: str = "raw/interactions") -> Outcome:
    task = _task(stage, name)
    return task.run(stage, task, provenance_of(stage, task))[0]


def _rows(stage: Stage) -> list[tuple[object, ...]]:
    frame = stage.lake.read(table_of(stage, ingest.RAW_INTERACTIONS.at(stage.window)))
    return frame.select("user_id", "item_id", "source_file").rows()


def _append(stage: Stage) -> None:
    with (_logs(stage) / "2.csv").open("a") as stream:
        stream.write("late,a,2024-02-20\n")


def _replace(stage: Stage) -> None:
    new = _logs(stage) / ".new"
    new.write_text(HEADER + FEBRUARY.replace("u2", "late"))
    new.replace(_logs(stage) / "2.csv")


def _rename(stage: Stage) -> None:
    (_logs(stage) / "2.csv").rename(_logs(stage) / "3.csv")


def _delete(stage: Stage) -> None:
    (_logs(stage) / "2.csv").unlink()


def _land(stage: Stage) -> None:
    (_logs(stage) / "3.csv").write_text(HEADER + "late,a,2024-02-20\n")


CHANGES: dict[str, Callable[[Stage], None]] = {
    change.__name__.strip("_"): change for change in (_append, _replace, _rename, _delete, _land)
}


def _meanwhile(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[], None], *, before: bool, times: int = 1
) -> list[int]:
    """Let something happen before or after the files are looked into; the list grows with each look."""
    looks: list[int] = []
    select = TabularSource.interactions_sql

    def disturbed(self: TabularSource, con: object) -> str:
        looks.append(len(looks))
        if before and len(looks) <= times:
            change()
        sql = select(self, con)  # type: ignore[arg-type]
        if not before and len(looks) <= times:
            change()
        return sql

    monkeypatch.setattr(TabularSource, "interactions_sql", disturbed)
    return looks


@pytest.mark.parametrize("before", [True, False], ids=["before parsing", "between its two readings"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_while_it_is_parsed_is_parsed_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, change: str, before: bool
) -> None:
    with monkeypatch.context() as patch:
        looks = _meanwhile(patch, lambda: CHANGES[change](stage), before=before)
        _made(stage)
        assert len(looks) == 2
    assert is_current(stage, _task(stage))
    disturbed = _rows(stage)
    ingest.forget_source()
    _made(stage)
    assert _rows(stage) == disturbed


def test_a_file_that_never_rests_is_named_and_the_window_stays_due(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        looks = _meanwhile(patch, lambda: _append(stage), before=False, times=9)
        with pytest.raises(
            InputError, match=r"2\.csv changed 3 times while the source was read; run again when"
        ):
            _made(stage)
        assert len(looks) == 3
    assert not stage.lake.exists(table_of(stage, ingest.RAW_INTERACTIONS.at("2024-02")))
    _made(stage)
    assert [row for row in _rows(stage) if row[0] == "late"] == [("late", "a", "interactions/2.csv")] * 3


def test_rows_appended_between_stamp_and_parsing_are_in_the_stamp(stage: Stage) -> None:
    """The provenance that a step is given is a moment older than what it reads."""
    task = _task(stage)
    given = provenance_of(stage, task)
    _append(stage)
    task.run(stage, task, given)
    assert ("late", "a", "interactions/2.csv") in _rows(stage)
    assert is_current(stage, task)
    (_logs(stage) / "2.csv").write_text(HEADER + FEBRUARY)  # as it was when the step was given its provenance
    assert why_stale(stage, task) == ["its input source/interactions/2.csv changed"]


def test_a_catalogue_that_changes_while_it_is_read_is_read_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = stage.home.root / "shop" / "items.csv"
    select, looks = TabularSource.items_sql, []

    def disturbed(self: TabularSource, con: object) -> str:
        sql = select(self, con)  # type: ignore[arg-type]
        if not looks:
            items.write_text("item_id,title\na,A\nb,B\nc,C\n")
        looks.append(1)
        return sql

    with monkeypatch.context() as patch:
        patch.setattr(TabularSource, "items_sql", disturbed)
        assert _made(stage, "raw/items").facts["rows"] == 3
    assert len(looks) == 2
    assert is_current(Stage(stage.config, stage.home), _task(stage, "raw/items"))


def test_a_picture_that_lands_makes_the_catalogue_due(stage: Stage) -> None:
    whole, task = Stage(stage.config, stage.home), _task(stage, "raw/items")
    assert _made(whole, "raw/items").facts["with image"] == 0
    images = stage.home.root / "shop" / "images"
    images.mkdir()
    (images / "a.png").write_bytes(b"not looked into here")
    assert why_stale(whole, task) == ["its input media changed"]
    assert _made(whole, "raw/items").facts["with image"] == 1
    assert is_current(whole, task)
    assert list(media_states(whole, source_of(whole))) == ["images/a.png"]


BROKEN = {
    "empty": b"",
    "binary": b"\xff\x00\xfe",
    "half a header": b"user_i",
    "a bad time": HEADER.encode() + b"u,a,soon\n",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_one_unreadable_file_is_left_out_and_named(stage: Stage, content: bytes) -> None:
    """A window that has no rows of it goes on; one that has keeps them."""
    january = stage.at("2024-01")
    _made(january), _made(stage)
    (_logs(stage) / "2.csv").write_bytes(content)
    (_logs(stage) / "3.csv").write_text(HEADER + "late,a,2024-01-20\n")
    _made(january)
    assert [row[0] for row in _rows(january)] == ["u1", "u2", "late"]
    check = _task(stage).check
    assert check is not None
    named = {outcome.name: outcome for outcome in check(january, _task(stage))}["files"]
    assert not named.passed and not named.blocking
    assert "interactions/2.csv" in named.description
    kept = _rows(stage)
    with pytest.raises(
        InputError, match=r"interactions/2\.csv.*window 2024-02 keeps the 2 rows that it has of"
    ):
        _made(stage)
    assert _rows(stage) == kept
    assert not is_current(stage, _task(stage))

    (_logs(stage) / "2.csv").write_text(HEADER + FEBRUARY)
    _made(january), _made(stage)
    assert all(outcome.passed for outcome in check(january, _task(stage)))
    assert _rows(stage) == kept


def test_without_windows_an_unreadable_file_stops_the_ingest(stage: Stage) -> None:
    whole = Stage(stage.config.model_copy(update={"window": type(stage.config.window)()}), stage.home)
    (_logs(stage) / "2.csv").write_bytes(b"")
    with pytest.raises(InputError, match=r"interactions/2\.csv is empty"):
        _made(whole)


def test_the_command_refuses_an_unreadable_file_at_once(stage: Stage) -> None:
    (_logs(stage) / "2.csv").write_bytes(b"")
    with pytest.raises(InputError, match=r"interactions/2\.csv is empty"):
        ingest.check_source(stage)


def test_a_fault_that_is_there_before_and_after_is_not_read_again(stage: Stage) -> None:
    reads: list[int] = []

    def refuse(*_: object) -> None:
        reads.append(1)
        raise InputError("planted")

    with pytest.raises(InputError, match="planted"):
        at_rest(stage, refuse)
    assert len(reads) == 1


def test_the_same_content_of_another_file_is_read_once_more_but_changes_nothing(stage: Stage) -> None:
    _made(stage)
    path = _logs(stage) / "2.csv"
    copy = _logs(stage) / ".copy"
    copy.write_bytes(path.read_bytes())
    copy.replace(path)
    assert is_current(stage, _task(stage))


def test_a_frame_of_other_columns_is_no_fault_of_a_landing_file(stage: Stage) -> None:
    """What the settings name must be in one file, not in each."""
    config = stage.config
    options = config.source.model_copy(update={"interaction_columns": {"rating": "stars"}})
    pl.DataFrame({"user_id": ["u9"], "item_id": ["a"], "timestamp": ["2024-02-09"], "stars": [5]}).write_csv(
        _logs(stage) / "3.csv"
    )
    (_logs(stage) / "2.csv").write_bytes(b"")
    named = replace(stage, config=config.model_copy(update={"source": options}))
    _made(named)
    assert [row[0] for row in _rows(named)] == ["u9"]
