"""The benchmark's page: means over seeds, best first, and sentences that follow from the numbers."""

from typing import Any

import polars as pl
import pytest

from mrs_pipeline.bench.page import benchmark_table, benchmarks_page

NOTHING = pl.DataFrame()


def run(model: str, seed: int, recall: float, **other: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "dataset": "tiktok", "window": "full", "model": model, "seed": seed, "protocol": "full ranking", "users": 900,
        "machine": "2 cores of X", "threads": 1, "recall@10": recall / 2, "ndcg@10": recall / 4, "recall@20": recall,
        "ndcg@20": recall / 3, "low": recall - 0.0098, "high": recall + 0.0098, "epochs": 10 * seed,
        "seconds_per_epoch": 0.25, "peak_memory_mb": 500.0, "best_score": 0.1, "config": "{}",
    }  # fmt: skip
    return {**facts, **other}


RUNS = pl.DataFrame(
    [
        run("ease", 1, 0.09),
        run("freedom", 1, 0.08),
        run("freedom", 2, 0.1),
        run("smore", 1, 0.12),
        run("bm3", 1, 0.06),
    ]
)


def test_one_row_a_model_best_first_with_its_spread() -> None:
    table = benchmark_table(RUNS)
    assert [row[0] for row in table.rows] == ["`smore`", "`ease`", "`freedom`", "`bm3`"]
    (freedom,) = (row for row in table.rows if row[0] == "`freedom`")
    assert dict(zip(table.headers, freedom, strict=True)) == {
        "model": "`freedom`",
        "recall@10": ".0450",
        "ndcg@10": ".0225",
        "recall@20 (± over seeds)": "**.0900** ± .0141",
        "ndcg@20": ".0300",
        "peer recall@20": ".0885",
        "validation": ".1000",
        "seeds": "2",
        "epochs": "15",
        "s / epoch": "0.25",
        "MB": "500",
    }
    assert table.standard_error == pytest.approx(0.005)


def test_says_where_the_linear_floor_stands() -> None:
    (baseline, *_) = benchmark_table(RUNS).sentences
    assert "reaches .0900: it is ahead of 1 of the 3 models" in baseline
    assert baseline.endswith("more than two standard errors above it are `smore`.")
    close = benchmark_table(RUNS.filter(pl.col("model").is_in(["ease", "freedom"]))).sentences
    assert close[0].endswith("none of them is more than two standard errors above it.")
    assert benchmark_table(RUNS.filter(pl.col("model") == "ease")).sentences == []


def test_says_who_falls_short_of_the_peer_by_more_than_seeds_explain() -> None:
    _, level, short = benchmark_table(RUNS).sentences
    assert level == "At or above the peer within the standard error of the difference: `freedom`."
    # one seed of ours: the error over users; .0918 is the peer's
    assert short == "Below the peer by more than that error: `bm3`, by .0318 (error .0050)."
    # two seeds with a spread of .0566 about .06: the difference is .0566 sqrt(3/2) uncertain
    wide = pl.concat(
        [RUNS.filter(pl.col("model") != "bm3"), pl.DataFrame([run("bm3", 1, 0.02), run("bm3", 2, 0.1)])]
    )
    assert benchmark_table(wide).sentences[1:] == [
        "At or above the peer within the standard error of the difference: `freedom`, `bm3`."
    ]
    narrow = pl.concat(
        [
            RUNS.filter(pl.col("model") != "bm3"),
            pl.DataFrame([run("bm3", s, 0.08 + 0.004 * s) for s in (1, 2)]),
        ]
    )
    assert benchmark_table(narrow).sentences[-1].endswith("`bm3`, by .0058 (error .0035).")


def test_cold_columns_only_where_there_are_cold_items() -> None:
    assert "cold recall@20" not in benchmark_table(RUNS).headers
    cold = RUNS.with_columns(**{"warm_recall@20": pl.lit(0.2), "cold_recall@20": pl.lit(0.05)})
    table = benchmark_table(cold)
    assert table.rows[0][table.headers.index("cold recall@20")] == ".0500"


def test_cold_items_are_held_against_neighbours_by_content() -> None:
    cold = pl.DataFrame(
        [
            run(
                "item_knn",
                1,
                0.09,
                **{"cold_recall@20": 0.10, "config": '{"source":"content","n_neighbours":10}'},
            ),
            run("smore", 1, 0.12, **{"cold_recall@20": 0.11, "config": "{}"}),
            run("dmrl", 1, 0.11, **{"cold_recall@20": 0.20, "config": "{}"}),
            run("mgcn", 1, 0.13, **{"cold_recall@20": 0.09, "config": "{}"}),
        ]
    ).with_columns(**{"warm_recall@20": pl.lit(0.2)})
    assert (
        "Among cold items the baseline, `item_knn` by content, finds .1000; above it: `dmrl`, `smore`; "
        "not above it: `mgcn`."
    ) in benchmark_table(cold).sentences
    by_users = cold.with_columns(config=pl.lit('{"source":"interactions"}'))
    assert not any("cold" in sentence for sentence in benchmark_table(by_users).sentences)


def test_a_page_leaves_out_what_has_not_been_run() -> None:
    page = benchmarks_page(RUNS, NOTHING, NOTHING, NOTHING, NOTHING)
    assert "## tiktok" in page and "| `smore` |" in page
    assert "2 cores of X, 1 thread a run" in page
    assert not any(title in page for title in ("## Experiments", "## Cost", "## Extraction", "## Ingestion"))


def test_costs_stand_beside_the_peer_where_there_is_one() -> None:
    cost = {
        "dataset": "tiktok", "model": "bm3", "seconds_per_epoch": 0.5, "peer_seconds_per_epoch": 2.0,
        "seconds_per_evaluation": 0.1, "peer_seconds_per_evaluation": None,
        "peak_memory_mb": 512.0, "peer_peak_memory_mb": 761.0,
    }  # fmt: skip
    slower = {**cost, "model": "vbpr", "peer_seconds_per_epoch": 1.0}
    alone = {**cost, "model": "dmrl", "peer_seconds_per_epoch": None, "peer_peak_memory_mb": None}
    page = benchmarks_page(RUNS, NOTHING, pl.DataFrame([cost, slower, alone]), NOTHING, NOTHING)
    assert "| tiktok | `bm3` | 0.500 | 2 | 25% | 0.100 |  |  | 512 | 761 |" in page
    assert "| tiktok | `dmrl` | 0.500 |  |  | 0.100 |  |  | 512 |  |" in page
    assert "An epoch takes at most a third of the peer's with `bm3` on tiktok (25%)." in page
    assert "An epoch takes more than a third of the peer's with `vbpr` on tiktok (50%)." in page
    without = benchmarks_page(
        RUNS,
        NOTHING,
        pl.DataFrame(
            [alone],
            schema_overrides=dict.fromkeys(
                ("peer_seconds_per_epoch", "peer_seconds_per_evaluation", "peer_peak_memory_mb"), pl.Float64
            ),
        ),
        NOTHING,
        NOTHING,
    )
    assert "of the peer's with" not in without


def test_experiments_have_a_row_an_arm_and_a_cold_column_only_where_it_is_filled() -> None:
    arms = pl.DataFrame(
        [
            {
                "dataset": "films", "window": "full", "experiment": "modality", "part": "whole", "arm": name,
                "metric": "recall@20", "value": value, "spread": 0.01, "seeds": 2, "cold": None,
                "difference": difference, "difference_low": None if difference is None else difference - 0.01,
                "difference_high": None if difference is None else difference + 0.01,
                "p": None if difference is None else 0.0001, "seconds": 3.0, "peak_memory_mb": 400.0,
            }
            for name, value, difference in (("none", 0.2, None), ("text", 0.25, 0.05))
        ],
        schema_overrides={"cold": pl.Float64},
    )  # fmt: skip
    page = benchmarks_page(RUNS, arms, NOTHING, NOTHING, NOTHING)
    assert "| arm | recall@20 (± over seeds) | against control | p | s | MB |" in page
    assert "| text | .2500 ± .0100 | +0.0500 (+0.0400 to +0.0600) | < 0.001 | 3.0 | 400 |" in page
    assert page.index("| none |") < page.index("| text |")
    with_cold = benchmarks_page(RUNS, arms.with_columns(cold=pl.lit(0.03)), NOTHING, NOTHING, NOTHING)
    assert "| text | .2500 ± .0100 | .0300 |" in with_cold


def test_ingestion_shows_what_each_stage_took_and_the_share_of_its_checks() -> None:
    init = {
        "interactions": 20_000_000, "stage": "init", "windows": 1, "rows": 0, "seconds": 139.7, "check_seconds": 0.0,
        "check_share": 0.0, "cpu_seconds": 35.6, "check_cpu_seconds": 0.0, "slowest_window": 0.0,
        "peak_memory_mb": 1873.8, "disk_mb": 0.0,
    }  # fmt: skip
    core = {**init, "stage": "core/tables", "rows": 20_944_569, "seconds": 200.0, "check_seconds": 26.0,
            "cpu_seconds": 90.0, "check_cpu_seconds": 9.0, "disk_mb": 254.97}  # fmt: skip
    page = benchmarks_page(RUNS, NOTHING, NOTHING, NOTHING, pl.DataFrame([init, core]))
    assert "## Ingestion" in page
    assert "| 20,000,000 | `init` | 1 |  | 140 |  | 36 |  |  | 1874 |  |" in page
    row = "| 20,000,000 | `core/tables` | 1 | 20,944,569 | 200 | 26 | 90 | 9.0 | 10% | 1874 | 255.0 |"
    assert row in page
