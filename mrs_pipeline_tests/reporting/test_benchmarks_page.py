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
        "seconds_per_epoch": 0.25, "peak_memory_mb": 500.0, "energy_joules": 1250.0, "best_score": 0.1, "config": "{}",
        "version": "v", "data_digest": "d",
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
        "MB above data": "500",
        "kJ": "1.25",
    }
    assert table.standard_error == pytest.approx(0.005)


def paired(column: str = "recall@20", reference: str = "ease", **found: tuple[float, float]) -> pl.DataFrame:
    """Paired tests: model -> difference to the reference and p."""
    return pl.DataFrame(
        [
            {
                "dataset": "tiktok", "window": "full", "model": model, "column": column, "reference": reference,
                "version": "v", "reference_version": "v", "difference": difference, "low": difference - 0.01,
                "high": difference + 0.01, "p": p,
            }
            for model, (difference, p) in found.items()
        ]
    )  # fmt: skip


def test_says_where_the_linear_baseline_stands_by_the_paired_test() -> None:
    found = paired(smore=(0.03, 0.001), freedom=(0.0, 1.0), bm3=(-0.03, 0.002), lightgcn=(0.01, 0.001))
    (baseline, *_) = benchmark_table(RUNS, found).sentences
    assert baseline == (
        "EASE, which sees no content and is solved in closed form, reaches .0900, more than 1 of the 3 models that see "
        "content. By the paired test over users and seeds, above it are `smore`; below it are `bm3`; not to be told "
        "apart from it are `freedom`."
    )
    assert benchmark_table(RUNS.filter(pl.col("model") == "ease")).sentences == []


def test_claims_nothing_without_a_test_of_these_very_runs() -> None:
    unknown = "is not known: no paired test of these runs is kept."
    assert benchmark_table(RUNS).sentences[0].endswith(unknown)
    of_others = paired(smore=(0.03, 0.001)).with_columns(version=pl.lit("older"))
    assert benchmark_table(RUNS, of_others).sentences[0].endswith(unknown)
    other_baseline = paired(smore=(0.03, 0.001)).with_columns(reference_version=pl.lit("older"))
    assert benchmark_table(RUNS, other_baseline).sentences[0].endswith(unknown)


def of_peers(*runs: dict[str, Any]) -> list[str]:
    """The sentences on the peer; of these models it has .0846 (mmgcn), .0918 (bm3) and .0224 (vbpr)."""
    return [each for each in benchmark_table(pl.DataFrame(runs)).sentences if "EASE" not in each]


def test_a_model_ten_percent_below_the_peer_is_never_called_level_with_it() -> None:
    """The seeds of MMGCN on TikTok: .0763, a spread of .0091; three seeds cannot say that .0846 is more."""
    seeds = (0.0663, 0.0785, 0.0841)
    (told,) = of_peers(*(run("mmgcn", seed, value) for seed, value in enumerate(seeds)))
    assert told == "Not to be told apart from the peer: `mmgcn` -0.0083 (-9.8%; -0.0535 to +0.0369)."


def test_above_and_below_the_peer_by_the_error_of_the_difference() -> None:
    vbpr = [run("vbpr", seed, 0.05 + 0.0001 * seed) for seed in (1, 2, 3)]
    bm3 = [run("bm3", seed, 0.08 + 0.0001 * seed) for seed in (1, 2, 3)]
    # spread .0001, error .0001 sqrt(4/3), and t with 2 degrees of freedom is 4.303
    assert of_peers(*vbpr, *bm3) == [
        "Above the peer: `vbpr` +0.0278 (+124.1%; +0.0273 to +0.0283).",
        "Below the peer: `bm3` -0.0116 (-12.6%; -0.0121 to -0.0111).",
    ]


def test_one_seed_cannot_be_held_against_the_peer() -> None:
    assert of_peers(run("bm3", 1, 0.06)) == [
        "With one seed of ours, so that chance cannot be told: `bm3` -0.0318 (-34.6%)."
    ]


def test_unequal_searches_of_settings_are_told_and_listed() -> None:
    tried = pl.col("model").replace_strict({"smore": 20, "freedom": 0, "bm3": 0, "ease": 7})
    table = benchmark_table(RUNS.with_columns(trials=tried))
    assert dict(zip(table.headers, table.rows[0], strict=True))["trials"] == "20"
    assert table.sentences[-1] == (
        "Settings were not searched for evenly: for smore (20 trials) and ease (7 trials); not for freedom and bm3, "
        "whose places may understate them."
    )
    assert "trials" not in benchmark_table(RUNS).headers


def test_stale_runs_are_named_and_left_out_and_versions_of_data_never_share_a_table() -> None:
    stale = RUNS.with_columns(stale=pl.col("model") == "smore")
    page = benchmarks_page(stale, NOTHING, NOTHING, NOTHING, NOTHING)
    assert "| `smore` |" not in page and "Left out, since measured on other data: `smore`." in page
    two = RUNS.with_columns(
        data_digest=pl.when(pl.col("model") == "smore").then(pl.lit("e")).otherwise("data_digest")
    )
    assert benchmarks_page(two, NOTHING, NOTHING, NOTHING, NOTHING).count("## tiktok") == 2


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
    found = paired("cold_recall@20", "item_knn", dmrl=(0.1, 0.001), smore=(0.01, 0.4), mgcn=(-0.01, 0.01))
    assert (
        "Among cold items the baseline, `item_knn` by content, finds .1000. By the paired test over users and seeds, "
        "above it are `dmrl`; below it are `mgcn`; not to be told apart from it are `smore`."
    ) in benchmark_table(cold, found).sentences
    assert any("is not known" in sentence for sentence in benchmark_table(cold).sentences)
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
        "peak_memory_mb": 112.0, "process_memory_mb": 512.0, "peer_peak_memory_mb": 761.0,
    }  # fmt: skip
    slower = {**cost, "model": "vbpr", "peer_seconds_per_epoch": 1.0}
    alone = {**cost, "model": "dmrl", "peer_seconds_per_epoch": None, "peer_peak_memory_mb": None}
    page = benchmarks_page(RUNS, NOTHING, pl.DataFrame([cost, slower, alone]), NOTHING, NOTHING)
    assert "| tiktok | `bm3` | 0.500 | 2 | 25% | 0.100 |  |  | 112 | 512 | 761 |" in page
    assert "| tiktok | `dmrl` | 0.500 |  |  | 0.100 |  |  | 112 | 512 |  |" in page
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
    assert "| arm | recall@20 (± over seeds) | against control | p | s | MB above data |" in page
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
