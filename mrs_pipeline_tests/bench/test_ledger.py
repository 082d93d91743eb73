"""The ledger: figures of others beside our runs of the same rows, judged by the spread of our seeds."""

from pathlib import Path

import polars as pl

from mrs_pipeline.bench.ledger import ledger_page
from mrs_pipeline.bench.models import RESULTS
from mrs_pipeline.bench.published import PUBLISHED, peer_recall
from mrs_pipeline.bench.tables import kept_rows

DOCS = Path(__file__).resolve().parents[2] / "docs"


def runs(model: str, *values: float, stale: bool = False) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "dataset": "tiktok",
            "window": "full",
            "model": model,
            "seed": range(len(values)),
            "recall@20": list(values),
            "stale": stale,
        }
    )


def row(page: str, model: str, by: str) -> list[str]:
    line = next(
        line for line in page.splitlines() if line.startswith(f"| `{model}` |") and f"| {by} |" in line
    )
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_says_what_its_rows_say() -> None:
    written = (DOCS / "ledger.md").read_text(encoding="utf-8")
    assert written == ledger_page(kept_rows(DOCS / RESULTS)), "run `mrs bench models --no-run --into docs`"


def test_a_difference_is_judged_by_our_seeds() -> None:
    page = ledger_page(
        pl.concat([runs("lightgcn", 0.0897, 0.0899, 0.0898), runs("slmrec", 0.09, 0.0901, 0.0902)])
    )
    level = row(page, "lightgcn", "DA-MRS, log")
    assert level[5] == ".0898 ± .0001, 3 seeds"
    assert level[6] == "+0.0000 (-0.0005 to +0.0005)"
    assert row(page, "lightgcn", "MMRec e775373, run by us on the same pack")[6].startswith(
        "-0.0024 (-0.0029"
    )
    assert "Below the published figure by more than our seeds allow: `slmrec` (DA-MRS, log .1009)" in page
    assert "The highest of ours is `slmrec`" in page


def test_one_seed_has_no_interval_and_stale_runs_do_not_count() -> None:
    page = ledger_page(pl.concat([runs("bm3", 0.1), runs("vbpr", 0.9, stale=True)]))
    assert row(page, "bm3", "DA-MRS, log")[5:] == [".1000, 1 seed", "-0.0014"]
    assert row(page, "vbpr", "DA-MRS, log")[5:] == ["", ""]
    assert "Below the published figure" not in page


def test_chance_and_popularity_stand_beside_the_figures() -> None:
    page = ledger_page(runs("most_pop", 0.05))
    assert "Chance finds .0030 (20 of 6,710 items); our `most_pop` finds .0500, 1 seed." in page
    assert "Chance finds .0028 (20 of 7,050 items)." in page


def test_rows_of_other_users_get_no_run_of_ours() -> None:
    page = ledger_page(runs("lightgcn", 0.09, 0.09, 0.09))
    apart = page.partition("## tiktok, 3,046 users")[2].partition("## baby")[0]
    assert "ours" not in apart.partition("| model |")[2].splitlines()[0]
    assert ".0916" in apart and ".0900" not in apart


def test_without_results_the_figures_stand_alone() -> None:
    page = ledger_page(pl.DataFrame())
    assert "The highest of ours" not in page
    assert all(f"{each.recall:.4f}".removeprefix("0") in page for each in PUBLISHED)


def test_a_figure_stands_once() -> None:
    keys = [(each.rows.title, each.model, each.by) for each in PUBLISHED]
    assert len(keys) == len(set(keys))
    assert peer_recall("tiktok")["mgcn"] == 0.1074 and peer_recall("xwines") == {}
