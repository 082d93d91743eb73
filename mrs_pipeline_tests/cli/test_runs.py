"""`mrs run` and `mrs bench train` on small data, through Dagster."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline_tests.cli.shops import Mrs, Shop, add_shop

DUE = re.compile(r"window full, (\d+) of (\d+) steps are due")


def due(text: str) -> tuple[int, int]:
    (found,) = DUE.findall(text)
    return int(found[0]), int(found[1])


def weights(mrs: Mrs) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in mrs.root.glob("models/**/*.safetensors")}


def test_a_fault_is_mended_and_a_second_run_trains_nothing(home: Mrs, shop: Shop) -> None:
    shop.edit("interactions.csv", "1700000000", "yesterday")
    assert home("run", "shop", "--models", "most_pop").code == 1
    shop.edit("interactions.csv", "yesterday", "1700000000")
    first = home("run", "shop", "--models", "most_pop")
    assert first.code == 0, first.err
    assert "shop: reading raw files, all of them" in first.err
    done, steps = due(first.err)
    assert done == steps
    assert "most_pop" in first.out and " mm_ease " not in first.out
    report = home.root / "data" / "reports" / "shop" / "report.html"
    assert str(report) in first.out and report.stat().st_size > 10_000
    before = weights(home)
    assert before
    second = home("run", "shop", "--models", "most_pop")
    assert second.code == 0
    assert "reading raw files" not in second.err
    assert due(second.err) == (0, steps)
    assert weights(home) == before


def test_a_failed_check_is_told_in_its_own_words(home: Mrs, shop: Shop) -> None:
    text = (shop.folder / "items.csv").read_text().splitlines()
    same = [text[0], *(f"{line.split(',')[0]},Thing,red," for line in text[1:])]
    (shop.folder / "items.csv").write_text("\n".join(same) + "\n")
    shop.settings(
        "{modality: audio, encoder: identity, matrix: sound}", "{modality: text, encoder: tfidf_svd}"
    )
    ran = home("run", "shop", "--models", "mm_ease")
    assert ran.code == 1
    assert ran.sentence.startswith(
        "check expectations of shop/features/text_tfidf_svd: broken: the vectors tell items apart (else leave"
    )
    assert not any(table.startswith("models/") for table in home.tables("shop"))


def test_a_dataset_without_models_has_no_leaderboard(home: Mrs, shop: Shop) -> None:
    text = shop.defs.read_text()
    shop.defs.write_text(text[: text.index("  models:")])
    ran = home("run", "shop")
    assert ran.code == 0, ran.err
    assert "shop lists no models" in ran.err and "mrs.duckdb" in ran.out
    assert "features/audio_identity" in home.tables("shop")
    again = home("run", "shop")
    assert due(again.err)[0] == 0 and "shop full" not in again.err  # nothing is due, and nothing is run


def test_bench_train_stands_beside_the_peer(home: Mrs, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Mapping[str, Any], set[str], dict[str, Any]]] = []

    def timed(data: Any, models: Mapping[str, Mapping[str, Any]], **options: Any) -> list[dict[str, Any]]:
        ((model, overrides),) = models.items()
        asked.append((model, overrides, set(data.features), options))
        assert not data.item_graphs and len(data.valid)
        return [
            {
                "model": model,
                "seconds_per_epoch": 0.13,
                "seconds_per_evaluation": 0.1,
                "peak_memory_mb": 325.0,
                "process_memory_mb": 700.0,
            }
        ]

    monkeypatch.setattr("mrs_pipeline.bench.train_datasets.bench_train", timed)
    for name in ("tiktok", "baby"):
        add_shop(home.root, name).settings("  models:", "  models:\n    fusion: {fusion: sum}")
    told = home("bench", "train", "--epochs", "1")
    assert told.code == 0, told.err
    peers = ["bpr_mf", "lightgcn", "vbpr", "bm3", "freedom", "mgcn", "mmgcn", "lattice"]
    assert [each[0] for each in asked] == [
        *peers,
        "fusion",
        "bpr_mf",
        "lightgcn",
        "fusion",
    ]  # closed forms have no epochs
    assert [bool(each[2]) for each in asked] == [False, False, *[True] * 7, False, False, True]
    assert all(each[3] == {"epochs": 1, "batch_size": 2048, "threads": 2, "device": "cpu"} for each in asked)
    assert asked[4][1] == {"dropout": 0.8, "reg_weight": 1e-3}
    assert asked[8][1] == {"fusion": "sum"}
    line = next(line for line in told.out.splitlines() if " bpr_mf " in line)
    assert [cell.strip() for cell in line.split("│")[3:-1]] == (
        ["0.130", "0.26", "50%", "0.100", "0.39", "26%", "325", "700", "650"]
    )
    path = home.root / "data" / "reports" / "bench_train.csv"
    rows = {(row["dataset"], row["model"]): row for row in csv.DictReader(path.read_text().splitlines())}
    assert len(rows) == len(asked)
    assert rows["baby", "lightgcn"]["peer_seconds_per_epoch"] == "4.75"
    assert "MMRec" in rows["baby", "lightgcn"]["peer"]
    assert rows["baby", "fusion"]["peer_seconds_per_epoch"] == ""
    assert not any(table.startswith(("models/", "eval/")) for table in home.tables("tiktok"))


def test_bench_train_keeps_what_was_measured(home: Mrs, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 0.5

    def timed(data: Any, models: Mapping[str, Mapping[str, Any]], **options: Any) -> list[dict[str, Any]]:
        (model,) = models
        if seconds == 0.25 and model == "vbpr":
            raise InputError("interrupted")
        return [
            {
                "model": model,
                "seconds_per_epoch": seconds,
                "seconds_per_evaluation": 0.1,
                "peak_memory_mb": 325.0,
            }
        ]

    def kept() -> dict[tuple[str, str], str]:
        with (home.root / "data" / "reports" / "bench_train.csv").open() as file:
            return {(row["dataset"], row["model"]): row["seconds_per_epoch"] for row in csv.DictReader(file)}

    monkeypatch.setattr("mrs_pipeline.bench.train_datasets.bench_train", timed)
    for name in ("tiktok", "baby"):
        add_shop(home.root, name)
    told = home("bench", "train", "--models", "lightgcn, vbpr")
    assert told.code == 0, told.err
    first = {("baby", "lightgcn"): "0.5", ("tiktok", "lightgcn"): "0.5", ("tiktok", "vbpr"): "0.5"}
    assert kept() == first

    seconds = 0.25
    told = home("bench", "train", "--models", "lightgcn,vbpr")
    assert told.code == 1 and "interrupted" in told.sentence
    assert kept() == {**first, ("tiktok", "lightgcn"): "0.25"}

    told = home("bench", "train", "--models", "lightgbm")
    assert told.code == 1
    assert told.sentence.startswith("lightgbm is not timed; there are bpr_mf, lightgcn, vbpr")


@pytest.mark.slow
@pytest.mark.parametrize("items", [20, 5, 2])
def test_a_small_catalogue_ends_well(home: Mrs, items: int) -> None:
    raw = home.root / "raw"
    raw.mkdir()
    rows = [(user, (user * 7 + step * 3) % items) for user in range(40) for step in range(min(4, items))]
    lines = [f"u{user},i{item},{1_700_000_000 + at}" for at, (user, item) in enumerate(rows)]
    (raw / "interactions.csv").write_text("\n".join(["user_id,item_id,timestamp", *lines]) + "\n")
    titles = [f"i{item},Movie {item}" for item in range(items)]
    (raw / "items.csv").write_text("\n".join(["item_id,title", *titles]) + "\n")
    assert home("init", str(raw), "--name", "small").code == 0
    ran = home("run", "small", "--models", "most_pop,ease")
    assert ran.code == 0, ran.err
    board = home("query", "--csv", 'SELECT "recall@20", rank, "ndcg@20" FROM eval.leaderboard ORDER BY rank')
    shown = [line.split(",") for line in board.out.splitlines()[1:]]
    assert [float(recall) for recall, *_ in shown] == [1.0, 1.0]
    assert float(shown[0][2]) >= float(shown[1][2])
    assert [int(rank) for _, rank, _ in shown] == ([1, 1] if shown[0][2] == shown[1][2] else [1, 2])
