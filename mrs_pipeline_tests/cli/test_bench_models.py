"""`mrs bench models`: runs what is due, keeps what other sittings found, writes the page."""

from pathlib import Path
from shutil import rmtree

import polars as pl
import pytest

from mrs_pipeline.bench import models as benchmarks
from mrs_pipeline.bench.models import COSTS, Benchmark, render_page, write_benchmark_page
from mrs_pipeline_tests.cli.shops import Mrs, Shop


@pytest.fixture
def shop_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarks, "BENCHMARKS", (Benchmark("shop", experiments=("modality",)),))


@pytest.mark.usefixtures("shop_benchmark")
def test_results_are_collected_replaced_and_shown(home: Mrs, shop: Shop) -> None:
    shop.settings("  training:", "  experiments: {epochs: 1, patience: 1, seeds: [1]}\n  training:")
    docs = home.root / "docs"
    told = home("bench", "models", "shop", "--into", str(docs))
    assert told.code == 0, told.err
    runs = pl.read_csv(docs / "benchmarks" / "results.csv")
    assert sorted(runs["model"]) == ["mm_ease", "most_pop"]
    assert {"protocol", "seed", "data_digest", "code_digest", "config", "threads", "recall@20"} <= set(
        runs.columns
    )
    page = (docs / "benchmarks.md").read_text(encoding="utf-8")
    assert page == render_page(docs)
    assert "## shop" in page and "### modality on shop" in page and "| `mm_ease` |" in page

    rmtree(home.root / "data" / "lake" / "eval")
    rmtree(home.root / "models")
    elsewhere = home("bench", "models", "shop", "--into", str(docs))  # a home that has trained nothing itself
    assert elsewhere.code == 0, elsewhere.err
    assert "shop: 0 of 2 models are due" in elsewhere.err
    assert not list(home.root.glob("models/**/*.safetensors"))
    assert pl.read_csv(docs / "benchmarks" / "results.csv").equals(runs)
    shop.settings("memory_limit_gb: 3", "memory_limit_gb: 2")
    changed = home("bench", "models", "shop", "--no-experiments", "--into", str(docs))
    assert "shop: 1 of 2 models are due" in changed.err
    assert (docs / "benchmarks.md").read_text(encoding="utf-8") == render_page(docs)
    runs = pl.read_csv(docs / "benchmarks" / "results.csv").filter(model="mm_ease")

    earlier = runs.with_columns(pl.lit("ease").alias("model"), pl.lit(0.75).alias("recall@20"))
    stale = runs.with_columns(pl.lit(0.99).alias("recall@20"))
    pl.concat([earlier.head(1), stale]).write_csv(docs / "benchmarks" / "results.csv")
    again = home("bench", "models", "--no-run", "--into", str(docs))
    assert again.code == 0, again.err
    kept = pl.read_csv(docs / "benchmarks" / "results.csv")
    assert dict(kept.select("model", "recall@20").iter_rows()) == {
        "ease": 0.75,
        **dict(runs.select("model", "recall@20").iter_rows()),
    }


def test_a_benchmark_that_there_is_not(home: Mrs) -> None:
    told = home("bench", "models", "cinema")
    assert told.code == 1
    assert told.sentence.startswith("cinema is no benchmark; there are tiktok, baby, movielens")


def test_costs_of_some_models_leave_those_of_the_others(tmp_path: Path) -> None:
    def costs(**seconds: float) -> pl.DataFrame:
        peers = {
            "peer_seconds_per_epoch": 1.0,
            "peer_seconds_per_evaluation": 1.0,
            "peer_peak_memory_mb": 700.0,
        }
        own = {"seconds_per_evaluation": 0.1, "peak_memory_mb": 500.0}
        return pl.DataFrame(
            [
                {"dataset": "tiktok", "model": name, "seconds_per_epoch": value, **own, **peers}
                for name, value in seconds.items()
            ]
        )

    kept, benches = tmp_path / COSTS, tmp_path / "reports"
    kept.parent.mkdir()
    benches.mkdir()
    costs(vbpr=0.4, lightgcn=0.2).write_csv(kept)
    costs(vbpr=0.3).write_csv(benches / "bench_train.csv")
    page = write_benchmark_page(tmp_path, benches).read_text(encoding="utf-8")
    assert "| `lightgcn` | 0.200 |" in page and "| `vbpr` | 0.300 |" in page
    assert "0.400" not in page
