"""The sentences of the benchmark's page that compare: content against none, cold items, the peer's figures.

Each says no more than a test of `statistics` bears. Tables and layout are `bench.page`.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.reporting.taxonomy_matrix import axis_of
from mrs_pipeline.statistics import ALPHA, Comparison, against_figure, judged
from mrs_pipeline.taxonomy import Axis

_LINEAR: Final = "ease"
_NEIGHBOURS: Final = "item_knn"
COMPARED_WITH: Final[Mapping[str, str]] = {"recall@20": _LINEAR, "cold_recall@20": _NEIGHBOURS}
"""What is compared -> the model that all others are compared with."""
_BY_CONTENT: Final = r'"source":\s*"content"'

_TESTS: Final = {
    "model": pl.String(),
    "column": pl.String(),
    "difference": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "p": pl.Float64(),
}

_AGAINST_PEER: Final = (
    _ABOVE := "Above the peer",
    _BELOW := "Below the peer",
    _LEVEL := "Not to be told apart from the peer",
    _ONE_SEED := "With one seed of ours, so that chance cannot be told",
)


def tests_of(runs: pl.DataFrame, comparisons: pl.DataFrame | None) -> pl.DataFrame:
    """The paired tests that were made of exactly these runs."""
    if comparisons is None or comparisons.is_empty():
        return pl.DataFrame(schema=_TESTS)
    keys = ["dataset", "window", "model", "version"]
    own = runs.select(keys).unique()
    theirs = own.rename({"model": "reference", "version": "reference_version"})
    return (
        comparisons.join(own, on=keys, how="semi")
        .join(theirs, on=["dataset", "window", "reference", "reference_version"], how="semi")
        .select(pl.col(name).cast(dtype) for name, dtype in _TESTS.items())
    )


def content_against_none(board: pl.DataFrame, tests: pl.DataFrame) -> list[str]:
    """Where the linear baseline stands among the models that see content."""
    linear = board.filter(model=_LINEAR)
    baselines = [name for name, entry in MODELS.items() if axis_of(entry.spec.cells) is Axis.BASELINE]
    content = board.filter(~pl.col("model").is_in(baselines))
    if linear.is_empty() or content.is_empty():
        return []
    baseline = float(linear["recall@20"][0])
    below = content.filter(pl.col("recall@20") < baseline)["model"].to_list()
    return [
        f"EASE, which sees no content and is solved in closed form, reaches {places(baseline)}, more than "
        f"{len(below)} of the {len(content)} models that see content. {_told(tests, 'recall@20', content)}"
    ]


def cold_against_neighbours(runs: pl.DataFrame, board: pl.DataFrame, tests: pl.DataFrame) -> list[str]:
    """Who ranks cold items better than nearest neighbours by content, which learn nothing, and who worse."""
    if "cold_recall@20" not in board.columns:
        return []
    baselines = runs.filter((pl.col("model") == _NEIGHBOURS) & pl.col("config").str.contains(_BY_CONTENT))
    others = board.filter(pl.col("model") != _NEIGHBOURS).drop_nulls("cold_recall@20")
    if baselines.is_empty() or others.is_empty():
        return []
    baseline = float(baselines["cold_recall@20"].mean())  # type: ignore[arg-type]  # a number: the column is a float
    ranked = others.sort("cold_recall@20", descending=True)
    told = _told(tests, "cold_recall@20", ranked)
    return [f"Among cold items the baseline, `{_NEIGHBOURS}` by content, finds {places(baseline)}. {told}"]


def against_peer(runs: pl.DataFrame, models: Sequence[str], peers: Mapping[str, float]) -> list[str]:
    """How our runs stand to the peer's one run on the same users, as far as the spread of seeds lets that be said.

    Each model is tested by itself: an adjustment would widen the intervals and make it easy to find none below.
    """
    kinds: dict[str, list[str]] = {kind: [] for kind in _AGAINST_PEER}
    for model in (name for name in models if name in peers):
        difference, test = against_published(runs.filter(model=model), peers[model])
        told = f"`{model}` {difference:+.4f} ({difference / peers[model]:+.1%}"
        if test.p is None:
            kinds[_ONE_SEED].append(f"{told})")
            continue
        kind = _LEVEL if test.p >= ALPHA else _ABOVE if difference > 0 else _BELOW
        kinds[kind].append(f"{told}; {test.low:+.4f} to {test.high:+.4f})")
    return [f"{kind}: {', '.join(told)}." for kind, told in kinds.items() if told]


def against_published(runs: pl.DataFrame, figure: float) -> tuple[float, Comparison]:
    """One model's runs, at least one, less a published recall@20, and the test of that; one seed has no interval."""
    (test,) = judged([against_figure(runs["recall@20"].to_numpy(), figure)])
    assert test is not None and test.difference is not None
    return test.difference, test


def _told(tests: pl.DataFrame, column: str, models: pl.DataFrame) -> str:
    """What the paired test says of models against the one that they are compared with."""
    found = tests.filter(pl.col("column") == column).join(
        models.select("model"), on="model", maintain_order="right"
    )
    if found.is_empty():
        return "Which of these differences are more than chance is not known: no paired test of these runs is kept."
    sure = pl.col("p") < ALPHA
    parts = [
        f"{words} {listed_models(found.filter(chosen)['model'].to_list())}"
        for words, chosen in (
            ("above it are", sure & (pl.col("difference") > 0)),
            ("below it are", sure & (pl.col("difference") < 0)),
            ("not to be told apart from it are", ~sure),
        )
        if found.select(chosen).to_series().any()
    ]
    return f"By the paired test over users and seeds, {'; '.join(parts)}."


def places(value: float | None) -> str:
    """Four places without the zero before the point."""
    return "" if value is None else f"{value:.4f}".removeprefix("0")


def listed_models(models: Sequence[str]) -> str:
    """Names as Markdown."""
    return ", ".join(f"`{model}`" for model in models)
