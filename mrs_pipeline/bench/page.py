"""The page of the public benchmark, `docs/benchmarks.md`: tables, and the sentences that their numbers bear.

Rows come from the CSV files beside the page; how they are made is `bench.models`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from mrs_pipeline.reporting.narrative import p_value

if TYPE_CHECKING:
    from jinja2 import Template

CONTENT_FREE: Final = (
    *(
        "most_pop",
        "item_knn",
        "user_knn",
        "slim",
        "ease",
        "edlae",
        "rlae",
        "ials",
        "bpr_mf",
        "lightgcn",
        "lightgode",
    ),
    *("sgl", "simgcl", "sasrec"),
)
"""Models that see identifiers alone, the baselines of every table."""
_LINEAR: Final = "ease"
_SHOWN: Final = ("recall@10", "ndcg@10", "recall@20", "ndcg@20")
_MEANS: Final = (
    *_SHOWN,
    "warm_recall@20",
    "cold_recall@20",
    "epochs",
    "seconds_per_epoch",
    "peak_memory_mb",
    "best_score",
)

_NEIGHBOURS: Final = "item_knn"
_BY_CONTENT: Final = r'"source":\s*"content"'

PEER_RECALL: Final[Mapping[tuple[str, str], float]] = {
    ("tiktok", "lightgcn"): 0.0922,
    ("tiktok", "vbpr"): 0.0224,
    ("tiktok", "bm3"): 0.0918,
    ("tiktok", "freedom"): 0.0885,
    ("tiktok", "mgcn"): 0.1074,
    ("tiktok", "mmgcn"): 0.0846,
    ("baby", "lightgcn"): 0.0750,
}
"""recall@20 on test of MMRec e775373, measured once (one seed) on the same packs and splits."""


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
) -> str:
    """The page as Markdown.

    Args:
        results: one row a run, see `bench.models.results`.
        experiments: `eval.experiments` rows with dataset, window and experiment.
        costs: what `mrs bench train` wrote; may be empty.
        extraction: what `mrs bench extract` wrote; may be empty.
        ingestion: what `mrs bench ingest` wrote; may be empty.
    """
    return _template().render(
        machines=[] if results.is_empty() else _machines(results),
        tables=[] if results.is_empty() else _tables(results),
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


def _tables(results: pl.DataFrame) -> list[BenchmarkTable]:
    return [benchmark_table(part) for _, part in results.group_by("dataset", "window", maintain_order=True)]


def benchmark_table(runs: pl.DataFrame) -> BenchmarkTable:
    """The table of one dataset and window: means over seeds, the spread of recall@20, costs."""
    present = [name for name in _MEANS if name in runs.columns]
    board = (
        runs.group_by("model", maintain_order=True)
        .agg(
            pl.len().alias("seeds"),
            pl.col(present).mean(),
            pl.col("recall@20").std().alias("spread"),
        )
        .sort("recall@20", "model", descending=[True, False])
    )
    cold = "cold_recall@20" in board.columns and board["cold_recall@20"].null_count() < len(board)
    error = float(((runs["high"] - runs["low"]) / 2 / 1.96).median() or 0.0)  # type: ignore[arg-type]
    dataset = str(runs["dataset"][0])
    peers = {model: value for (own, model), value in PEER_RECALL.items() if own == dataset}
    return BenchmarkTable(
        dataset=dataset,
        window=str(runs["window"][0]),
        protocol=str(runs["protocol"][0]),
        users=int(runs["users"].max()),  # type: ignore[arg-type]
        standard_error=error,
        headers=_headers(cold=cold, peers=bool(peers)),
        rows=[_row(row, cold=cold, peers=peers) for row in board.to_dicts()],
        sentences=[
            *_content_against_none(board, error),
            *_cold_against_floor(runs, board),
            *_against_peer(board, peers, error),
        ],
    )


def _headers(*, cold: bool, peers: bool) -> list[str]:
    names = ["model", *_SHOWN[:2], "recall@20 (± over seeds)", "ndcg@20"]
    names += ["warm recall@20", "cold recall@20"] if cold else []
    names += ["peer recall@20"] if peers else []
    return [*names, "validation", "seeds", "epochs", "s / epoch", "MB"]


def _row(row: Mapping[str, Any], *, cold: bool, peers: Mapping[str, float]) -> list[str]:
    spread = "" if row["spread"] is None else f" ± {_places(row['spread'])}"
    cells = [f"`{row['model']}`", *(_places(row[name]) for name in _SHOWN[:2])]
    cells += [f"**{_places(row['recall@20'])}**{spread}", _places(row["ndcg@20"])]
    cells += [_places(row[f"{part}_recall@20"]) for part in ("warm", "cold")] if cold else []
    cells += [_places(peers.get(row["model"]))] if peers else []
    cells += [_places(row["best_score"]), str(row["seeds"]), f"{row['epochs']:.0f}"]
    return [*cells, f"{row['seconds_per_epoch']:.2f}", f"{row['peak_memory_mb']:.0f}"]


def _content_against_none(board: pl.DataFrame, error: float) -> list[str]:
    """Where the linear baseline stands among the models that see content."""
    linear = board.filter(model=_LINEAR)
    content = board.filter(~pl.col("model").is_in(CONTENT_FREE))
    if linear.is_empty() or content.is_empty():
        return []
    baseline = float(linear["recall@20"][0])
    above = content.filter(pl.col("recall@20") > baseline + 2 * error)["model"].to_list()
    below = content.filter(pl.col("recall@20") < baseline)["model"].to_list()
    sentence = (
        f"EASE, which sees no content and is solved in closed form, reaches {_places(baseline)}: it is ahead of "
        f"{len(below)} of the {len(content)} models that see content"
    )
    if above:
        return [f"{sentence}; more than two standard errors above it are {_listed(above)}."]
    return [f"{sentence}; none of them is more than two standard errors above it."]


def _cold_against_floor(runs: pl.DataFrame, board: pl.DataFrame) -> list[str]:
    """Who ranks cold items better than nearest neighbours by content, which learn nothing, and who worse."""
    if "cold_recall@20" not in board.columns:
        return []
    baselines = runs.filter((pl.col("model") == _NEIGHBOURS) & pl.col("config").str.contains(_BY_CONTENT))
    others = board.filter(pl.col("model") != _NEIGHBOURS).drop_nulls("cold_recall@20")
    if baselines.is_empty() or others.is_empty():
        return []
    baseline = float(baselines["cold_recall@20"].mean())  # type: ignore[arg-type]  # a number: the column is a float
    ranked = others.sort("cold_recall@20", descending=True)
    above = ranked.filter(pl.col("cold_recall@20") > baseline)["model"].to_list()
    below = ranked.filter(pl.col("cold_recall@20") <= baseline)["model"].to_list()
    sentence = f"Among cold items the baseline, `{_NEIGHBOURS}` by content, finds {_places(baseline)}"
    parts = [
        f"{name}: {_listed(models)}"
        for name, models in (("above it", above), ("not above it", below))
        if models
    ]
    return [f"{sentence}; {'; '.join(parts)}."]


def _against_peer(board: pl.DataFrame, peers: Mapping[str, float], error: float) -> list[str]:
    """Who falls short of the peer by more than chance.

    The peer's figures are of one seed. With a spread s over our n seeds, and the peer's taken to spread alike, the
    difference has the standard error s sqrt(1 + 1/n); where we have one seed too, that over users stands in.
    """
    theirs = pl.DataFrame(list(peers.items()), schema={"model": pl.String, "peer": pl.Float64}, orient="row")
    measured = board.join(theirs, on="model", maintain_order="left").select(
        "model",
        gap=pl.col("peer") - pl.col("recall@20"),
        error=(pl.col("spread") * (1 + 1 / pl.col("seeds")).sqrt()).fill_null(error),
    )
    short = measured.filter(pl.col("gap") > pl.col("error"))
    level = _listed(measured.filter(pl.col("gap") <= pl.col("error"))["model"].to_list())
    sentences = (
        [f"At or above the peer within the standard error of the difference: {level}."] if level else []
    )
    sentences += [
        f"Below the peer by more than that error: `{model}`, by {_places(gap)} (error {_places(own)})."
        for model, gap, own in short.iter_rows()
    ]
    return sentences


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
        "headers": ["arm", value, *(["cold"] if cold else []), "against control", "p", "s", "MB"],
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
    cost = [f"{row['seconds']:.1f}", f"{row['peak_memory_mb']:.0f}"] if whole else ["", ""]
    return [
        row["arm"] if whole else f"{row['arm']}: {row['part']} alone",
        _places(row["value"]) + ("" if row["spread"] is None else f" ± {_places(row['spread'])}"),
        *([_places(row["cold"])] if cold else []),
        effect,
        "" if row["p"] is None else p_value(row["p"]),
        *cost,
    ]


def _cost_row(row: Mapping[str, Any]) -> list[str]:
    cells = [row["dataset"], f"`{row['model']}`"]
    for name, digits in (("seconds_per_epoch", 3), ("seconds_per_evaluation", 3)):
        own, peer = row[name], row[f"peer_{name}"]
        cells += [f"{own:.{digits}f}", *(["", ""] if peer is None else [f"{peer:g}", f"{own / peer:.0%}"])]
    peer = row["peer_peak_memory_mb"]
    return [*cells, f"{row['peak_memory_mb']:.0f}", "" if peer is None else f"{peer:.0f}"]


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


def _places(value: float | None) -> str:
    """Four places without the zero before the point."""
    return "" if value is None else f"{value:.4f}".removeprefix("0")


def _listed(models: Sequence[str]) -> str:
    return ", ".join(f"`{model}`" for model in models)


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mrs_pipeline.reporting"),
        autoescape=False,  # noqa: S701 - Markdown of our own names and numbers
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("benchmarks.md.j2")
