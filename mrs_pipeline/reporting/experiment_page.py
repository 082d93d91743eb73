"""The page of one experiment: the question, what came out in words, a table, plots, and how to read them.

Rows come from `eval.experiments`; rendering is `html`, figures are `experiment_plots`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from mrs_pipeline.reporting import experiment_plots as plots
from mrs_pipeline.reporting.captions import EXPERIMENT_WORDS
from mrs_pipeline.reporting.html import Plot, inline_plot, render
from mrs_pipeline.reporting.inputs import PageLinks
from mrs_pipeline.reporting.narrative import p_text, p_value, seconds_text
from mrs_pipeline.reporting.sections import (
    DASH,
    CellValue,
    Header,
    PageTable,
    shown_number,
    without_empty_columns,
)
from mrs_pipeline.statistics import ALPHA


@dataclass(frozen=True)
class ExperimentPageInputs:
    """What the page shows.

    Attributes:
        dataset, window, experiment: what was run.
        title, question, reading: in words, see `experiments.base.Experiment`.
        generated: when, for people.
        rows: `eval.experiments` of this experiment, the control first.
        cost: whether time and memory are part of the question.
        facts: label -> value: seeds, budget, protocol, digests.
        links: to other pages.
    """

    dataset: str
    window: str
    experiment: str
    title: str
    question: str
    reading: str
    generated: str
    rows: pl.DataFrame
    cost: bool
    facts: Mapping[str, str]
    links: PageLinks = field(default_factory=PageLinks)


def experiment_page(inputs: ExperimentPageInputs) -> str:
    """The page as HTML text."""
    return render(
        "experiment_page.html.j2",
        inputs=inputs,
        answer=answer(inputs.rows),
        table=arms_table(inputs.rows),
        plots=_plots(inputs),
    )


def answer(rows: pl.DataFrame) -> list[str]:
    """What came out, in a few sentences that the numbers bear."""
    whole = rows.filter(part=plots.WHOLE_MODEL)
    arms = {row["arm"]: row for row in whole.to_dicts()}
    others = [row for row in arms.values() if row["difference"] is not None]
    if not others:
        return [f"Only {' and '.join(arms)} was measured, so there is nothing to compare."]
    if whole["removed"].max():
        sentences = [_loss_by_series(whole)]
    elif len({row["against"] for row in others}) == 1:
        best = max(others, key=lambda row: row["value"])
        sentences = [f"Best beside the control is {best['arm']}: {_compared(best, arms)}."]
    else:
        sentences = [f"{row['arm']}: {_compared(row, arms)}." for row in others]
    sentences += _dependence(whole)
    apart = [row for row in others if row["p"] is not None and row["p"] < ALPHA]
    better = [row["arm"] for row in apart if row["difference"] > 0]
    worse = [row["arm"] for row in apart if row["difference"] < 0]
    unclear = len(others) - len(apart)
    sentences.append(
        f"A paired test over these users {_over_seeds(whole)}, adjusted for the number of arms, finds {len(better)} of "
        f"{len(others)} arms better than their control and {len(worse)} worse; {unclear} cannot be told apart from it."
    )
    cheapest, dearest = (
        function(whole.to_dicts(), key=lambda row: row["seconds"]) for function in (min, max)
    )
    sentences.append(
        f"The cheapest is {cheapest['arm']} at {seconds_text(cheapest['seconds'])}, the dearest "
        f"{dearest['arm']} at {seconds_text(dearest['seconds'])}."
    )
    return sentences


def _dependence(whole: pl.DataFrame) -> list[str]:
    """How much the parts of each model's vectors say the same, the most independent first."""
    measured = whole.filter(pl.col("dependence").is_not_null()).sort("dependence")
    if measured.is_empty():
        return []
    told = (f"{arm} {value:.2f}" for arm, value in measured.select("arm", "dependence").iter_rows())
    return [f"Parts of item vectors depend on each other (0 not at all, 1 wholly): {', '.join(told)}."]


def _loss_by_series(whole: pl.DataFrame) -> str:
    """What each series of arms loses between nothing taken away and the most."""
    most = float(whole["removed"].max())  # type: ignore[arg-type]  # a number: the column is DOUBLE
    ends = whole.filter(removed=0.0).join(whole.filter(removed=most), on="series", suffix="_most")
    parts = [
        f"{row['series']} {row['value']:.4f} to {row['value_most']:.4f} ({row['value_most'] / row['value'] - 1:+.0%})"
        for row in ends.to_dicts()
    ]
    return f"{whole['metric'][0]} from all rows to {most:.0%} of them missing: {', '.join(parts)}."


def _over_seeds(whole: pl.DataFrame) -> str:
    """What the test allows for beside the draw of users."""
    seeds = int(whole["seeds"].min())  # type: ignore[arg-type]  # a number: the column is BIGINT
    return f"and {seeds} seeds" if seeds > 1 else "(one seed: luck in training is not covered)"


def _compared(row: Mapping[str, Any], arms: Mapping[str, Mapping[str, Any]]) -> str:
    control = arms[row["against"]]
    return f"{row['metric']} {row['value']:.4f} against {control['value']:.4f} of {control['arm']} ({_verdict(row)})"


def _verdict(row: Mapping[str, float]) -> str:
    interval = (
        f"difference {row['difference']:+.4f}, {row['difference_low']:+.4f} to {row['difference_high']:+.4f}"
    )
    return f"{interval}, {p_text(row['p'])}"


def arms_table(rows: pl.DataFrame) -> PageTable:
    """One row an arm or part, in the order of the experiment."""
    metric = rows["metric"][0]
    headers = (
        Header("Arm", numeric=False),
        Header(metric),
        Header("± seeds", hint="standard deviation over seeds"),
        Header("warm"),
        Header("cold"),
        Header(
            "against control", hint="mean difference over the same users; intervals hold together with 95 %"
        ),
        Header("p", hint="paired test over users and seeds, adjusted for the number of arms"),
        Header("seconds", hint="training, validation and preparation, mean over seeds"),
        Header("s / epoch"),
        Header("epochs"),
        Header("MB above data", hint="the most memory held while training, above what the data take"),
    )
    return without_empty_columns(PageTable(headers, tuple(_row(row) for row in rows.to_dicts())))


def _row(row: dict[str, object]) -> tuple[CellValue, ...]:
    whole = row["part"] == plots.WHOLE_MODEL
    name = CellValue(str(row["arm"]) if whole else f"{row['arm']}: {row['part']} alone")
    p = _float(row["p"])
    digits = {"seconds": 1, "seconds_per_epoch": 3, "epochs": 0, "peak_memory_mb": 0}
    cost = (shown_number(_float(row[column]) if whole else None, places) for column, places in digits.items())
    return (
        name,
        shown_number(_float(row["value"])),
        shown_number(_float(row["spread"])),
        shown_number(_float(row["warm"])),
        shown_number(_float(row["cold"])),
        _difference(row),
        CellValue(DASH) if p is None else CellValue(p_value(p), p),
        *cost,
    )


def _difference(row: dict[str, object]) -> CellValue:
    difference, low, high = (
        _float(row[name]) for name in ("difference", "difference_low", "difference_high")
    )
    if difference is None or low is None or high is None:
        return CellValue("control")
    return CellValue(f"{difference:+.4f}", difference, notes=(f"{low:+.4f} to {high:+.4f}",))


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _plots(inputs: ExperimentPageInputs) -> list[Plot]:
    rows = inputs.rows
    figures = {"arms": plots.accuracy_by_arm(rows)}
    if inputs.cost:
        figures["seconds"] = plots.accuracy_against_cost(rows, "seconds", "seconds, preparation included")
        figures["memory"] = plots.accuracy_against_cost(rows, "peak_memory_mb", "memory above data, MB")
    if rows["removed"].max():
        figures = {"removed": plots.accuracy_by_share_removed(rows)}
    if (rows["part"] != plots.WHOLE_MODEL).any():
        figures = {"parts": plots.accuracy_by_part(rows), "dependence": plots.dependence_by_arm(rows)}
    return [inline_plot(figure, name, *EXPERIMENT_WORDS[name]) for name, figure in figures.items()]
