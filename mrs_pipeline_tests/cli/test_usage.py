"""What every command owes its user: help, exit codes, one place that names the home."""

import os
import sys
from pathlib import Path

import pytest
import typer

from mrs_pipeline.cli import app as cli
from mrs_pipeline_tests.cli.shops import Mrs, Shop, in_a_process

COMMANDS = {
    "init",
    "run",
    "leaderboard",
    "status",
    "verify",
    "recommend",
    "lineage",
    "query",
    "datasets",
    "models",
    "tune",
    "experiment",
    "bench models",
    "bench train",
    "bench extract",
    "bench gpu",
    "bench complexity",
    "bench ingest",
    "bench limit",
    "bench startup",
    "bench serve",
    "bench warm",
    "champions",
    "explain",
    "export",
    "gc",
    "graph",
    "promote",
    "reproduce",
    "simulate",
    "rollback",
    "serve",
    "track",
    "ui",
}


def _commands(group: object, path: tuple[str, ...] = ()) -> set[str]:
    found = set()
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= _commands(command, (*path, name))
        else:
            found.add(" ".join((*path, name)))
    return found


def test_list_of_commands() -> None:
    assert _commands(typer.main.get_command(cli.app)) == COMMANDS


@pytest.mark.parametrize("command", ["", "bench", *sorted(COMMANDS)])
def test_help(empty: Mrs, command: str) -> None:
    told = empty(*command.split(), "--help")
    assert told.code == 0
    usage, *text = (line.strip() for line in told.out.splitlines() if line.strip())
    assert usage.startswith("Usage: ") and usage.split("Usage: ")[1].split("[OPTIONS]")[0].split()[1:] == (
        command.split()
    )
    assert len(text[0]) > 30  # a sentence that says what it does
    assert empty(*command.split(), "-h").out == told.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["run"],
        ["run", "shop", "--modles", "mm_ease"],
        ["run", "shop", "--models", ","],
        ["recommend", "shop", "u1", "-k", "0"],
        ["tune", "shop", "mm_ease", "--trials", "0"],
        ["tune", "shop", "--epochs", "0"],
        ["lineage", "shop"],
        ["init", "raw", "--item-field", "title"],
        ["bench", "train", "--epochs", "none"],
        ["ui", "--port", "70000"],
    ],
)
def test_wrong_usage(home: Mrs, arguments: list[str]) -> None:
    told = home(*arguments)
    assert told.code == 2
    assert told.out == "" and "Usage: " in told.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "demo"],
        ["datasets"],
        ["query", "SELECT 1"],
        ["leaderboard", "demo"],
        ["bench", "train"],
        ["ui"],
    ],
)
def test_outside_of_a_home(empty: Mrs, arguments: list[str]) -> None:
    told = empty(*arguments)
    assert told.code == 1
    assert told.sentence.startswith(f"{empty.root} is not an mrs project") and "`mrs init`" in told.sentence
    assert list(empty.root.iterdir()) == []


def test_unknown_names(home: Mrs, shop: Shop) -> None:
    refusals = {
        (
            "run",
            "shoe",
        ): "no dataset is called shoe (did you mean 'shop'?); this home has shop (add one with "
        "`mrs init FOLDER --name shoe`).",
        (
            "run",
            "shop",
            "--models",
            "mm_ease,vbpr",
        ): "shop does not list the model vbpr; its defs.yaml has most_pop, mm_ease",
        (
            "run",
            "shop",
            "--models",
            "mm_eese",
        ): "shop does not list the model mm_eese (did you mean 'mm_ease'?); its defs.yaml has",
        (
            "run",
            "shop",
            "--window",
            "2021",
        ): "shop cannot be run for window 2021: it has no windows, leave --window out.",
        ("tune", "shop", "easy"): "there is no model 'easy' (did you mean 'ease'?); the models are most_pop",
        ("tune", "shop", "mm_ease", "--window", "2021"): "shop cannot be run for window 2021",
        ("bench", "train"): "no dataset is called tiktok; this home has shop",
    }
    for arguments, sentence in refusals.items():
        told = home(*arguments)
        assert told.code == 1 and told.sentence.startswith(sentence)
    assert home.tables("shop") == set()


def test_windows_are_single_or_ranges(home: Mrs, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.settings("  interactions: {k_core: 2}\n", '  window: {every: year, start: "2015", end: "2020"}\n')
    asked: list[list[str]] = []

    def noted(project: object, name: str, windows: list[str], *_: object) -> list[str]:
        asked.append(windows)
        return []

    monkeypatch.setattr("mrs_pipeline.orchestration.launch.run_dataset", noted)
    for windows in (["2018", "2016"], ["2016..2018", "2017", "2020"], ["2013..2017"], ["2030..2031"], []):
        home("run", "shop", *(part for window in windows for part in ("--window", window)))
    assert asked == [
        ["2016", "2018"],
        ["2016", "2017", "2018", "2020"],
        ["2016", "2017"],
        ["2030..2031"],
        ["2020"],
    ]


def test_windows_without_history_are_refused(home: Mrs, shop: Shop) -> None:
    shop.settings("  interactions: {k_core: 2}\n", '  window: {every: year, start: "2015", end: "2020"}\n')
    for window, near in (("2015", ""), ("2030..2031", ""), ("202", " (did you mean '2020'?)")):
        told = home("run", "shop", "--window", window)
        assert told.code == 1
        assert told.sentence == (
            f"shop cannot be run for window {window}{near}: its windows with history are 2016 to 2020."
        )


def test_ui_hands_over_to_dagster_on_localhost(home: Mrs, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, arguments: called.append([program, *arguments]))
    assert home("ui", "--port", "3210").code == 0
    (command,) = called
    assert command[:5] == [sys.executable, sys.executable, "-m", "mrs_pipeline.orchestration.web", "dev"]
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--port") + 1] == "3210"
    assert command[command.index("--workspace") + 1] == str(home.root / "workspace.yaml")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--help"], 0, "Usage"),
        (["query"], 2, "Missing argument"),
        (["query", "SELECT 1"], 1, "error: "),
    ],
)
def test_the_process_ends_with_the_exit_code(
    tmp_path: Path, arguments: list[str], code: int, text: str
) -> None:
    done = in_a_process(tmp_path, *arguments)
    assert done.code == code
    assert text in done.out + done.err
    assert "Traceback" not in done.err


def test_a_fault_of_the_program_is_shown_in_full(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("planted")

    left: list[int] = []
    monkeypatch.setattr(cli, "app", broken)
    monkeypatch.setattr(cli, "_leave", left.append)
    cli.main()
    assert left == [1]
    assert "ZeroDivisionError: planted" in capsys.readouterr().err


def test_one_setting_names_the_home(home: Mrs, shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    done = in_a_process(tmp_path / "elsewhere", "query", "--csv", "SELECT 1 AS one", MRS_HOME=str(home.root))
    assert (done.code, done.out) == (0, "one\n1\n")
    assert (home.root / "data" / "mrs.duckdb").is_file()
    assert list((tmp_path / "elsewhere").iterdir()) == []
