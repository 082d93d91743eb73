"""The page of the public benchmark, `docs/benchmarks.md`: tables, and the sentences that their numbers bear.

Rows come from the CSV files beside the page; how they are made is `bench.models`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from mrs_pipeline.bench.published import peer_recall
from mrs_pipeline.bench.verdicts import (
    against_peer,
    cold_against_neighbours,
    content_against_none,
    listed_models,
    places,
    tests_of,
)
from mrs_pipeline.reporting.narrative import p_value, tuning_told

if TYPE_CHECKING:
    from jinja2 import Template

_SHOWN: Final = ("recall@10", "ndcg@10", "recall@20", "ndcg@20")
_MEANS: Final = (
    *_SHOWN,
    "warm_recall@20",
    "cold_recall@20",
    "epochs",
    "seconds_per_epoch",
    "peak_memory_mb",
    "energy_joules",
    "best_score",
)


@dataclass(frozen=True)
class BenchmarkTable:
    """One dataset at one window.

    Attributes:
        dataset, window, protocol, users: what the numbers are about.
        standard_error: of recall@20 over users, the median over runs.
        rows: one a model, best recall@20 first: cells of the table, as text.
        headers: of the table.
        sentences: what the numbers say of content against none, and of the peer.
    """

    dataset: str
    window: str
    protocol: str
    users: int
    standard_error: float
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    sentences: Sequence[str]


def benchmarks_page(
    results: pl.DataFrame,
    experiments: pl.DataFrame,
    costs: pl.DataFrame,
    extraction: pl.DataFrame,
    ingestion: pl.DataFrame,
    *,
    comparisons: pl.DataFrame | None = None,
) -> str:
    """The page as Markdown.

    Args:
        results: one row a run, see `bench.models.results`.
        experiments: `eval.experiments` rows with dataset, window and experiment.
        costs: what `mrs bench train` wrote; may be empty.
        extraction: what `mrs bench extract` wrote; may be empty.
        ingestion: what `mrs bench ingest` wrote; may be empty.
        comparisons: the paired tests of these runs, see `bench.models.comparisons`; may be empty.
    """
    return markdown_template("benchmarks.md.j2").render(
        machines=[] if results.is_empty() else _machines(results),
        tables=[] if results.is_empty() else _tables(results, comparisons),
        experiments=_experiments(experiments),
        costs=[_cost_row(row) for row in costs.to_dicts()],
        cost_sentences=_cost_sentences(costs),
        extraction=[_extraction_row(row) for row in extraction.to_dicts()],
        ingestion=[_ingestion_row(row) for row in ingestion.to_dicts()],
    )


def _machines(results: pl.DataFrame) -> list[str]:
    kinds = results.select("machine", "threads").unique(maintain_order=True)
    return [
        f"{machine}, {threads} thread{'s' if threads > 1 else ''} a run"
        for machine, threads in kinds.iter_rows()
    ]


def _tables(results: pl.DataFrame, comparisons: pl.DataFrame | None) -> list[BenchmarkTable]:
    """One table a dataset, window and version of the data, without stale runs."""
    keys = ["dataset", "window", "data_digest"]
    fresh, left_out = _without_stale(results)
    tables = []
    for _, part in fresh.group_by(keys, maintain_order=True):
        gone = left_out.join(part.select(keys[:2]).unique(), on=keys[:2], how="semi")
        tables.append(benchmark_table(part, comparisons, gone["model"].unique(maintain_order=True).to_list()))
    return tables


def _without_stale(results: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The runs on their dataset's data of today, and the others."""
    if "stale" not in results.columns:
        return results, results.clear()
    stale = pl.col("stale").fill_null(value=False)
    return results.filter(~stale), results.filter(stale)


def benchmark_table(
    runs: pl.DataFrame, comparisons: pl.DataFrame | None = None, left_out: Sequence[str] = ()
) -> BenchmarkTable:
    """The table of one dataset and window: means over seeds, the spread of recall@20, costs.

    Args:
        runs: one row a run.
        comparisons: paired tests, of these runs and perhaps of others.
        left_out: models that were measured on other data.
    """
    present = [name for name in _MEANS if name in runs.columns]
    searched = [pl.col("trials").first()] if "trials" in runs.columns else []
    board = (
        runs.group_by("model", maintain_order=True)
        .agg(
            pl.len().alias("seeds"),
            pl.col(present).mean(),
            pl.col("recall@20").std().alias("spread"),
            *searched,
        )
        .sort("recall@20", "model", descending=[True, False])
    )
    cold = "cold_recall@20" in board.columns and board["cold_recall@20"].null_count() < len(board)
    error = float(((runs["high"] - runs["low"]) / 2 / 1.96).median() or 0.0)  # type: ignore[arg-type]
    dataset = str(runs["dataset"][0])
    peers = peer_recall(dataset)
    tests = tests_of(runs, comparisons)
    return BenchmarkTable(
        dataset=dataset,
        window=str(runs["window"][0]),
        protocol=str(runs["protocol"][0]),
        users=int(runs["users"].max()),  # type: ignore[arg-type]
        standard_error=error,
        headers=_headers(cold=cold, peers=bool(peers), searched=bool(searched)),
        rows=[_row(row, cold=cold, peers=peers, searched=bool(searched)) for row in board.to_dicts()],
        sentences=[
            *content_against_none(board, tests),
            *cold_against_neighbours(runs, board, tests),
            *against_peer(runs, board["model"].to_list(), peers),
            *([tuning_told(board.to_dicts())] if searched else []),
            *([f"Left out, since measured on other data: {listed_models(left_out)}."] if left_out else []),
        ],
    )


def _headers(*, cold: bool, peers: bool, searched: bool) -> list[str]:
    names = ["model", *_SHOWN[:2], "recall@20 (± over seeds)", "ndcg@20"]
    names += ["warm recall@20", "cold recall@20"] if cold else []
    names += ["peer recall@20"] if peers else []
    names += ["validation", "seeds", *(["trials"] if searched else [])]
    return [*names, "epochs", "s / epoch", "MB above data", "kJ"]


def _row(row: Mapping[str, Any], *, cold: bool, peers: Mapping[str, float], searched: bool) -> list[str]:
    spread = "" if row["spread"] is None else f" ± {places(row['spread'])}"
    cells = [f"`{row['model']}`", *(places(row[name]) for name in _SHOWN[:2])]
    cells += [f"**{places(row['recall@20'])}**{spread}", places(row["ndcg@20"])]
    cells += [places(row[f"{part}_recall@20"]) for part in ("warm", "cold")] if cold else []
    cells += [places(peers.get(row["model"]))] if peers else []
    cells += [places(row["best_score"]), str(row["seeds"])]
    cells += ["" if row["trials"] is None else str(row["trials"])] if searched else []
    return [
        *cells,
        f"{row['epochs']:.0f}",
        f"{row['seconds_per_epoch']:.2f}",
        _megabytes(row, "peak"),
        _kilojoules(row),
    ]


def _kilojoules(row: Mapping[str, Any]) -> str:
    """Energy of a training; empty where it could not be read."""
    value = row.get("energy_joules")
    return "" if value is None else f"{value / 1e3:.2f}"


def _megabytes(row: Mapping[str, Any], which: str) -> str:
    """A figure of memory; empty where rows of earlier versions have only the size of the whole process."""
    value = row.get(f"{which}_memory_mb")
    return "" if value is None else f"{value:.0f}"


def _experiments(rows: pl.DataFrame) -> list[dict[str, Any]]:
    if rows.is_empty():
        return []
    return [
        {"dataset": dataset, "experiment": name, **_arms(own)}
        for (dataset, _, name), own in rows.group_by("dataset", "window", "experiment", maintain_order=True)
    ]


def _arms(own: pl.DataFrame) -> dict[str, Any]:
    cold = own["cold"].null_count() < len(own)
    value = f"{own['metric'][0]} (± over seeds)"
    return {
        "headers": ["arm", value, *(["cold"] if cold else []), "against control", "p", "s", "MB above data"],
        "seeds": int(own["seeds"].max()),  # type: ignore[arg-type]
        "rows": [_arm(row, cold=cold) for row in own.to_dicts()],
    }


def _arm(row: Mapping[str, Any], *, cold: bool) -> list[str]:
    whole = row["part"] == "whole"
    difference = row["difference"]
    effect = (
        "control"
        if difference is None
        else f"{difference:+.4f} ({row['difference_low']:+.4f} to {row['difference_high']:+.4f})"
    )
    cost = [f"{row['seconds']:.1f}", _megabytes(row, "peak")] if whole else ["", ""]
    return [
        row["arm"] if whole else f"{row['arm']}: {row['part']} alone",
        places(row["value"]) + ("" if row["spread"] is None else f" ± {places(row['spread'])}"),
        *([places(row["cold"])] if cold else []),
        effect,
        "" if row["p"] is None else p_value(row["p"]),
        *cost,
    ]


def _cost_row(row: Mapping[str, Any]) -> list[str]:
    cells = [row["dataset"], f"`{row['model']}`"]
    for name, digits in (("seconds_per_epoch", 3), ("seconds_per_evaluation", 3)):
        own, peer = row[name], row[f"peer_{name}"]
        cells += [f"{own:.{digits}f}", *(["", ""] if peer is None else [f"{peer:g}", f"{own / peer:.0%}"])]
    return [*cells, *(_megabytes(row, which) for which in ("peak", "process", "peer_peak"))]


def _cost_sentences(costs: pl.DataFrame) -> list[str]:
    """Whose epoch takes at most a third of the peer's, and whose takes more."""
    if costs.is_empty():
        return []
    share = pl.col("seconds_per_epoch") / pl.col("peer_seconds_per_epoch")
    measured = costs.with_columns(share=share).drop_nulls("share").sort("share").to_dicts()
    named = [(f"`{row['model']}` on {row['dataset']} ({row['share']:.0%})", row["share"]) for row in measured]
    few = ", ".join(name for name, share in named if share <= 1 / 3)
    more = ", ".join(name for name, share in named if share > 1 / 3)
    sentences = [f"An epoch takes at most a third of the peer's with {few}."] if few else []
    return sentences + ([f"An epoch takes more than a third of the peer's with {more}."] if more else [])


def _extraction_row(row: Mapping[str, Any]) -> list[str]:
    return [f"`{row['feature_set']}`", row["measure"], f"{row['items']:,}", f"{row['value']:.4g}"]


def _ingestion_row(row: Mapping[str, Any]) -> list[str]:
    checked = row["check_seconds"] > 0
    return [
        f"{row['interactions']:,}",
        f"`{row['stage']}`",
        str(row["windows"]),
        f"{row['rows']:,}" if row["rows"] else "",
        f"{row['seconds']:.0f}",
        f"{row['check_seconds']:.0f}" if checked else "",
        f"{row['cpu_seconds']:.0f}",
        f"{row['check_cpu_seconds']:.1f}" if checked else "",
        f"{row['check_cpu_seconds'] / row['cpu_seconds']:.0%}" if checked else "",
        f"{row['peak_memory_mb']:.0f}",
        f"{row['disk_mb']:.1f}" if row["disk_mb"] else "",
    ]


@cache
def markdown_template(name: str) -> "Template":
    """A template of `reporting/templates` that makes Markdown of our own names and numbers."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mrs_pipeline.reporting"),
        autoescape=False,  # noqa: S701 - Markdown of our own names and numbers
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)
