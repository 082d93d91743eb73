"""A year by the real daemon: its accidents leave no trace, and each is told and mended as it should be."""

import os
from pathlib import Path

import pytest

from mrs_pipeline.orchestration.executors import EXECUTOR_VARIABLE, ONE_PROCESS
from mrs_pipeline.simulation.mailbox import VARIABLE, open_mailbox
from mrs_pipeline.simulation.story import Accident, Story
from mrs_pipeline.simulation.year import simulate
from mrs_pipeline.storage.home import Home
from mrs_pipeline_tests.simulation.fed import MODELS, MONTHS, tiny

FIRST, SECOND = MONTHS
STORY = Story(
    MONTHS,
    {
        FIRST: (Accident.KILL, Accident.PROMOTION),
        SECOND: (Accident.CORRUPT, Accident.SCHEMA, Accident.PROMOTION, Accident.ROLLBACK),
    },
)


@pytest.mark.slow
def test_a_year_with_accidents_ends_like_one_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXECUTOR_VARIABLE, ONE_PROCESS)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    year = simulate(tiny(), Home(tmp_path), STORY, MODELS, tmp_path / "year")
    assert year.same, year.compared.remove("same")
    assert year.compared.height >= 30
    assert year.restored is True
    assert not (tmp_path / "data" / "lake").exists()

    happened = {each.accident: each for each in year.happenings if each.accident}
    assert set(happened) == set(Accident) - {Accident.LATE}
    killed = happened[Accident.KILL]
    assert f"started again by the daemon, {FIRST} run in" in killed.did
    assert any("failed" in message for message in killed.told)
    for accident in (Accident.CORRUPT, Accident.SCHEMA):
        assert happened[accident].did == "The sensor looked and asked for no run."
        (message,) = happened[accident].told
        assert f"{SECOND}.parquet" in message
    assert [run.outcome for run in year.runs if run.window == FIRST] == [
        "done",
        "ended early",
        "gone on",
    ]  # history first
    assert [run.outcome for run in year.runs if run.window == SECOND] == ["done"]
    served = year.decisions.filter(year.decisions["outcome"] != "refused")["outcome"].to_list()
    assert served == ["promoted", "promoted", "rolled back"]


def test_the_mailbox_is_there_while_it_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "before")
    with open_mailbox() as mailbox:
        import apprise

        receiver = apprise.Apprise()
        address = os.environ[VARIABLE]
        assert address.startswith("json://127.0.0.1:")
        assert receiver.add(address) and receiver.notify(title="a title", body="a text")
        (received,) = mailbox.messages
        assert (received.title, received.text) == ("a title", "a text")
        assert mailbox.since(received.moment + 1) == []
    assert os.environ[VARIABLE] == "before"
