"""What every command owes its terminal: JSON for programs, silence, tables that fit 80 columns, names that are near."""

import ast
import inspect
import json
import math
from datetime import date
from pathlib import Path

import polars as pl
import pytest
import typer
from rich.console import Console

import mrs_pipeline
from mrs_pipeline import __version__
from mrs_pipeline.cli import app as cli
from mrs_pipeline.cli.completing import dataset_names, model_names
from mrs_pipeline.cli.tables import TextColumn, fitted, frame_table, leaderboard_table
from mrs_pipeline.cli.terminal import json_text
from mrs_pipeline.errors import did_you_mean
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.stored.results import read_leaderboard
from mrs_pipeline_tests.cli.shops import Mrs, Shop

RUN_ON = {"serve", "ui"}
"""Commands that go on until they are stopped, and show nothing that a program would read."""
SHOWN = [
    ["leaderboard", "shop"],
    ["status", "shop"],
    ["verify", "shop"],
    ["recommend", "shop", "u7", "-k", "2"],
    ["recommend", "shop", "--item", "i1"],
    ["recommend", "shop", "--history", "i1,i2", "--model", "mm_ease"],
    ["lineage", "shop", "core/items"],
    ["query", "SELECT 1 AS one, NULL AS nothing, 'nan'::DOUBLE AS odd, DATE '2024-01-02' AS day"],
    ["datasets"],
    ["models"],
    ["models", "--by-cell"],
    ["explain", "shop", "u7", "--model", "mm_ease"],
    ["run", "shop"],
]


def _commands(group: object) -> dict[str, object]:
    found = {}
    for name, command in group.commands.items():
        below = _commands(command) if hasattr(command, "commands") else {}
        found |= {f"{name} {part}": each for part, each in below.items()} or {name: command}
    return found


def test_every_command_has_json_and_quiet() -> None:
    commands = _commands(typer.main.get_command(cli.app))
    options = {
        name: {flag for each in command.params for flag in each.opts} for name, command in commands.items()
    }
    assert {name for name, own in options.items() if "--json" not in own} == RUN_ON
    assert [name for name, own in options.items() if "--quiet" not in own] == []


@pytest.mark.parametrize("arguments", SHOWN, ids=" ".join)
def test_json_is_all_that_is_printed(finished: Mrs, arguments: list[str]) -> None:
    told = finished(*arguments, "--json")
    assert told.code == 0, told.err
    assert json.loads(told.out)


def test_json_holds_what_the_table_shows(finished: Mrs) -> None:
    board = json.loads(finished("leaderboard", "shop", "--json").out)
    assert {row["model"] for row in board} == {"most_pop", "mm_ease"}
    assert all(
        0 <= row["recall@20"] <= 1 and row["recall@20"] == round(row["recall@20"], 15) for row in board
    )
    rows = json.loads(finished("recommend", "shop", "u7", "-k", "3", "--json").out)["rows"]
    shown = finished("recommend", "shop", "u7", "-k", "3").out
    assert [row["rank"] for row in rows] == [1, 2, 3] and all(row["item_id"] in shown for row in rows)
    origins = json.loads(finished("lineage", "shop", "core/items", "--json").out)
    assert origins["origins"][origins["asset"]]["inputs"]


def test_json_has_no_number_that_json_lacks() -> None:
    frame = pl.DataFrame({"x": [1.5, math.nan, math.inf, None], "day": [date(2024, 1, 2)] * 4})
    rows = json.loads(json_text({"frame": frame, "path": Path("a/b")}))
    assert [row["x"] for row in rows["frame"]] == [1.5, None, None, None]
    assert rows["frame"][0]["day"] == "2024-01-02" and rows["path"] == "a/b"
    with pytest.raises(
        ValueError, match="not JSON compliant"
    ):  # outside of a frame it is a fault of the program
        json_text(math.nan)


def test_csv_and_json_exclude_each_other(finished: Mrs) -> None:
    assert finished("query", "SELECT 1", "--csv", "--json").code == 2


def test_quiet_leaves_results_and_errors(finished: Mrs) -> None:
    loud, quiet = finished("recommend", "shop", "nobody"), finished("recommend", "shop", "nobody", "-q")
    assert "notice: " in loud.err and quiet.err == "" and quiet.out == loud.out
    refused = finished("leaderboard", "shoe", "--quiet")
    assert refused.code == 1 and "no results of a dataset shoe" in refused.sentence
    assert "notice: " in finished("recommend", "shop", "nobody").err  # the next command is not quiet


def test_version(empty: Mrs) -> None:
    assert empty("--version").out == f"mrs_pipeline {__version__}\n"


def test_a_list_that_ends_before_k_says_so(finished: Mrs) -> None:
    """Each of the 60 items but the user's own is listed, 50 places are kept."""
    assert finished("recommend", "shop", "u7", "-k", "20").err == ""
    told = finished("recommend", "shop", "u7", "-k", "1000")
    assert "Lists are kept to place " in told.err and "--history" in told.err


def _printed(table: object, width: int) -> list[str]:
    console = Console(width=width)
    with console.capture() as said:
        console.print(table)
    return said.get().splitlines()


def test_the_leaderboard_fits_80_columns_with_names_whole(finished: Mrs) -> None:
    longest = max(MODELS, key=len)
    board = read_leaderboard(Lake(finished.root / "data" / "lake"), "shop").with_columns(
        pl.col("model").replace({"mm_ease": longest})
    )
    lines = _printed(leaderboard_table(board, "shop", width=80), 80)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= 80 and "…" not in text
    row = next(line for line in lines if f" {longest} " in line)
    recall = board.filter(model=longest)["recall@20"][0]
    assert f"{recall:.4f}" in row
    assert "no room for " in text and "--json prints all" in text
    wide = "\n".join(_printed(leaderboard_table(board, "shop", width=200), 200))
    assert "no room" not in wide and "MB above data" in wide


def test_what_has_no_room_is_named() -> None:
    frame = pl.DataFrame({f"column_{number:03}": [f"value {number}"] for number in range(100)})
    lines = _printed(frame_table(frame, width=80), 80)
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert (
        "column_000" in text and "no room for column_006, " in text and "and 88 more columns; --json" in text
    )


def test_columns_leave_in_the_order_given() -> None:
    columns = [TextColumn(name, ["x" * 20], whole=True) for name in ("a", "b", "c")]
    shown = [column.header for column in fitted(columns, dispensable=["b", "c"], width=50).columns]
    assert shown == ["a", "c"]
    assert len(fitted(columns, width=200).columns) == 3


def test_completion_of_datasets_and_models(home: Mrs, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    (home.root / "defs" / "broken").mkdir()
    (home.root / "defs" / "broken" / "defs.yaml").write_text("attributes: [")
    monkeypatch.setenv("MRS_HOME", str(home.root))
    assert dataset_names("") == dataset_names("sh") == ["shop"] and dataset_names("x") == []
    assert model_names("ease,lightgo") == ["ease,lightgode"]
    monkeypatch.setenv("MRS_HOME", str(home.root / "raw"))
    assert dataset_names("") == []


@pytest.mark.parametrize(
    ("wrong", "said"), [("vbrp", " (did you mean 'vbpr'?)"), ("vbpr", ""), ("zzz", ""), ("", "")]
)
def test_near_names(wrong: str, said: str) -> None:
    assert did_you_mean(wrong, MODELS) == said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("epochs: 2", "epoch: 2", "training.epoch: there is no such key here (did you mean 'epochs'?)"),
        ("{path: ", "{pth: ", "did you mean 'path'?"),
        ("k_core: 2", "kcore: 2", "interactions.kcore: there is no such key here (did you mean 'k_core'?)"),
        (
            "encoder: identity",
            "encoder: identiti",
            "there is no encoder 'identiti' (did you mean 'identity'?)",
        ),
        ("mm_ease:", "mm_eese:", "models.mm_eese: there is no such key here (did you mean 'mm_ease'?)"),
        ("memory_limit_gb", "memory_limit", "mm_ease.memory_limit: there is no such key here (did you mean"),
        ("matrix: sound}", "matrx: sound}", "there is no such key here (did you mean 'matrix'?)"),
    ],
)
def test_a_wrong_key_is_answered_with_the_nearest(
    home: Mrs, shop: Shop, old: str, new: str, said: str
) -> None:
    text = (
        shop.defs.read_text()
        .replace("source:\n    path: raw/shop\n", "source: {path: raw/shop, ")
        .replace("    matrices: {sound: sound.npy}\n", "matrices: {sound: sound.npy}}\n")
    )
    assert old in text
    shop.defs.write_text(text.replace(old, new, 1))
    told = home("datasets")
    assert told.code == 1 and said in told.sentence, told.err


def test_the_function_behind_a_command_stays_callable() -> None:
    assert "quiet" not in inspect.signature(cli.run).parameters


def bars_into_pipes(source: str) -> list[str]:
    """Progress bars that are drawn whether or not a terminal is there."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    options = [
        (ast.unparse(call.func), {word.arg: ast.unparse(word.value) for word in call.keywords})
        for call in calls
    ]
    bars = [f"tqdm {own.get('disable', 'absent')}" for name, own in options if name == "tqdm"]
    return [each for each in bars if each not in {"tqdm None", "tqdm None if progress else True"}]


def test_no_progress_bar_is_drawn_into_a_pipe() -> None:
    found = {
        path.name: bars
        for path in Path(mrs_pipeline.__file__).parent.rglob("*.py")
        if (bars := bars_into_pipes(path.read_text(encoding="utf-8")))
    }
    assert found == {}
    planted = "tqdm(rows)\ntqdm(rows, disable=False)"
    assert bars_into_pipes(planted) == ["tqdm absent", "tqdm False"]
