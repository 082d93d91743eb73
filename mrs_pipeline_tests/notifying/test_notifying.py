"""One message a cause and receiver; whoever cannot be reached is named in the log and nothing else fails."""

import logging
from pathlib import Path

import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.notifying import Event, Notification, NotifyOptions, read_options, send, settle
from mrs_pipeline.storage.home import Home
from mrs_pipeline_tests.orchestration.mailbox import VARIABLE, opened

BAD = Notification(
    Event.FAILED_CHECK, "shop: a file cannot be read", "2024-02.csv is cut off: write it again.", "cut off"
)


def test_a_cause_is_told_once_and_again_after_it_was_mended(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with opened(tmp_path) as mailbox:
        assert [send(home, BAD) for _ in range(3)] == [1, 0, 0]
        (message,) = mailbox.messages
        assert (message["title"], message["message"], message["type"]) == (BAD.title, BAD.body, "warning")
        settle(home, ["cut off"])
        assert send(home, BAD) == 1
        news = Notification(Event.PROMOTION, "shop: vbpr is the champion", "it beats ease")
        assert [send(home, news), send(home, news)] == [1, 1]
        assert len(mailbox.messages) == 4


def test_a_cause_that_lasts_is_told_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with opened(tmp_path) as mailbox:
        send(home, BAD)
        settings = tmp_path / "notify.yaml"
        settings.write_text(f"{settings.read_text()}remind_hours: 1.0e-9\n")
        send(home, BAD)
        assert len(mailbox.messages) == 2


def test_a_receiver_hears_of_the_events_it_names(tmp_path: Path) -> None:
    with opened(tmp_path, events=["promotion", "drift"]) as mailbox:
        assert send(Home(tmp_path), BAD) == 0
        assert send(Home(tmp_path), Notification(Event.DRIFT, "shop: drift", "items")) == 1
        assert mailbox.titles == ["shop: drift"]


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        (None, "the environment variable is not set"),
        ("nonsense://secret-of-ours@host", "no address that Apprise knows"),
        ("json://secret-of-ours@127.0.0.1:9", "cannot be reached"),
    ],
)
def test_who_cannot_be_reached_is_named_without_the_secret_and_told_later(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    address: str | None,
    sentence: str,
) -> None:
    home = Home(tmp_path)
    with opened(tmp_path) as mailbox:
        with monkeypatch.context() as patch, caplog.at_level(logging.INFO):
            patch.setenv(VARIABLE, address) if address else patch.delenv(VARIABLE)
            assert send(home, BAD) == 0
        (record,) = caplog.records
        assert sentence in record.message and VARIABLE in record.message and "secret" not in caplog.text
        assert send(home, BAD) == 1
        assert len(mailbox.messages) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("to:\n- url_from: json://host\n", "to.0.url_from: String should match pattern"),
        ("to:\n- url_from: HOOK\n  events: [lunch]\n", "to.0.events.0: Input should be 'failure'"),
        ("too: []\n", "too: Extra inputs are not permitted"),
        ("- HOOK\n", "this does not map names of settings to values"),
        ("to: [\n", "this is not YAML"),
    ],
)
def test_wrong_settings_are_refused_by_file_and_key(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "notify.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        read_options(tmp_path)
    assert str(path) in str(refused.value) and sentence in str(refused.value)
    assert "json://host" not in str(refused.value), "an address may hold a secret"
    assert "write `to:`" in str(refused.value)
    assert send(Home(tmp_path), BAD) == 0


def test_without_settings_nobody_is_told(tmp_path: Path) -> None:
    assert read_options(tmp_path) == NotifyOptions()
    assert send(Home(tmp_path), BAD) == 0
    assert not (tmp_path / "data").exists()


def test_a_damaged_memory_is_begun_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = Home(tmp_path)
    with opened(tmp_path) as mailbox:
        send(home, BAD)
        (home.data / "notified.json").write_text("{")
        assert send(home, BAD) == 1
        assert "begun again" in caplog.text and len(mailbox.messages) == 2
