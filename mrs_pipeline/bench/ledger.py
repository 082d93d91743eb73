"""The page `docs/ledger.md`: what others published on the very rows that our models are tested on, beside our runs.

Figures are `bench.published`; our runs come from the CSV file of the benchmark. A difference is judged by the seeds of
ours (`statistics.against_figure`): one run of theirs says nothing of its own spread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from mrs_pipeline.bench.page import markdown_template
from mrs_pipeline.bench.published import PUBLISHED, PublishedFigure, Rows
from mrs_pipeline.bench.verdicts import against_published, places
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.schema import DATASET, FULL_WINDOW, MODEL, WINDOW

_METRIC: Final = "recall@20"
_CUT: Final = 20
_POPULARITY: Final = "most_pop"


@dataclass(frozen=True)
class LedgerTable:
    """The figures of one group of test rows.

    Attributes:
        title: of the group.
        remark: what to know before comparing.
        baselines: what chance finds, and our run of popularity.
        headers: of the table.
        rows: cells as text, best published figure first.
        sentences: what the numbers bear.
    """

    title: str
    remark: str
    baselines: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    sentences: Sequence[str]


def ledger_page(results: pl.DataFrame) -> str:
    """The page as Markdown.

    Args:
        results: one row a run, see `bench.models.results`; may be empty.
    """
    groups = list(dict.fromkeys(each.rows for each in PUBLISHED))
    return markdown_template("ledger.md.j2").render(
        tables=[_table(rows, runs_on(results, rows)) for rows in groups]
    )


def runs_on(results: pl.DataFrame, rows: Rows) -> pl.DataFrame:
    """Our runs on these test rows, without stale ones."""
    if results.is_empty() or not rows.ours:
        return pl.DataFrame(schema={MODEL: pl.String, _METRIC: pl.Float64, "protocol": pl.String})
    fresh = ~pl.col("stale").fill_null(value=False) if "stale" in results.columns else pl.lit(value=True)
    own = (pl.col(DATASET) == rows.dataset) & (pl.col(WINDOW) == FULL_WINDOW)
    return results.filter(own & fresh)


def _table(rows: Rows, runs: pl.DataFrame) -> LedgerTable:
    figures = sorted((each for each in PUBLISHED if each.rows == rows), key=lambda each: -each.recall)
    headers = ["model", "recall@20", "by", "content", "settings and epoch chosen on"]
    headers += ["ours (± over seeds)", "difference (95 %)"] if rows.ours else []
    return LedgerTable(
        rows.title,
        rows.remark,
        _baselines(rows, runs),
        headers,
        [_row(each, runs) for each in figures],
        _sentences(figures, runs),
    )


def _row(figure: PublishedFigure, runs: pl.DataFrame) -> list[str]:
    known = f"`{figure.model}`" if figure.model in MODELS else figure.model
    cells = [known, places(figure.recall), figure.by, figure.content, figure.chosen.value]
    if not figure.rows.ours:
        return cells
    own = runs.filter(model=figure.model)
    return [*cells, our_mean(own), _difference(own, figure.recall)]


def _baselines(rows: Rows, runs: pl.DataFrame) -> str:
    """What a ranking by lot finds of one item of a user's among all, and what popularity finds."""
    chance = f"Chance finds {places(_CUT / rows.items)} ({_CUT} of {rows.items:,} items)"
    popular = runs.filter(model=_POPULARITY)
    return f"{chance}; our `{_POPULARITY}` finds {our_mean(popular)}." if len(popular) else f"{chance}."


def our_mean(runs: pl.DataFrame) -> str:
    """Mean, spread and number of seeds of one model's runs."""
    if runs.is_empty():
        return ""
    spread = "" if len(runs) < 2 else f" ± {places(runs[_METRIC].std())}"  # type: ignore[arg-type]
    seeds = f"{len(runs)} seed{'s' if len(runs) > 1 else ''}"
    return f"{places(runs[_METRIC].mean())}{spread}, {seeds}"  # type: ignore[arg-type]


def _difference(runs: pl.DataFrame, figure: float) -> str:
    """Ours minus theirs, with the interval that our seeds allow."""
    if runs.is_empty():
        return ""
    difference, test = against_published(runs, figure)
    if test.p is None:
        return _signed(difference)
    return f"{_signed(difference)} ({test.low:+.4f} to {test.high:+.4f})"


def _signed(value: float) -> str:
    """Four places; a difference that rounds to nothing has no sign of its own."""
    return f"{round(value, 4) + 0.0:+.4f}"


def _sentences(figures: Sequence[PublishedFigure], runs: pl.DataFrame) -> list[str]:
    """Our best beside the best published, and which of our models stand clearly below a figure of their name."""
    if runs.is_empty():
        return []
    best, top = figures[0], runs.group_by(MODEL).agg(pl.col(_METRIC).mean()).sort(_METRIC, descending=True)
    name = str(top[MODEL][0])
    own = runs.filter(model=name)
    told = _difference(own, best.recall)
    sentences = [
        f"The highest published figure is {places(best.recall)} ({best.model}; {best.content}; chosen on: "
        f"{best.chosen.value}). The highest of ours is `{name}`, {our_mean(own)}, chosen on validation: {told}."
    ]
    below = [each for each in figures if _is_below(runs.filter(model=each.model), each.recall)]
    if below:
        listed = ", ".join(f"`{each.model}` ({each.by} {places(each.recall)})" for each in below)
        sentences.append(f"Below the published figure by more than our seeds allow: {listed}.")
    return sentences


def _is_below(runs: pl.DataFrame, figure: float) -> bool:
    if runs.is_empty():
        return False
    _, test = against_published(runs, figure)
    return test.high is not None and test.high < 0
