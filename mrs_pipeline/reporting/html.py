"""The report and the feature page as one HTML file each: no network, no second file, pictures inline.

Here belong: gathering the sections, rendering the templates. Words and rows come from `narrative` and
`sections`. Text from the data is escaped by the template engine, and a content security policy forbids the
page to load or run anything but its own style and its one script.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.metrics.base import parse_label
from mrs_pipeline.metrics.coverage import COVERAGE as COVERAGE_METRIC
from mrs_pipeline.reporting import sections
from mrs_pipeline.reporting.captions import DATA_WORDS, FEATURE_WORDS, RESULT_WORDS
from mrs_pipeline.reporting.inputs import (
    CHECK_FRAME,
    COVERAGE_FRAME,
    FEATURE_FRAME,
    HISTORY_FRAME,
    METRIC_FRAME,
    OVER_TIME,
    QUARANTINE_FRAME,
    RUN_FRAME,
    SPLIT_ROWS,
    VALID_TERM,
    DataStatistics,
    FeaturePageInputs,
    ReportInputs,
    conform,
)
from mrs_pipeline.reporting.leaderboard import current, leaderboard, walk_forward
from mrs_pipeline.reporting.narrative import best_baseline, best_content, summary
from mrs_pipeline.reporting.taxonomy_matrix import AXIS_TITLES
from mrs_pipeline.schema import FULL_WINDOW, SPLIT_LABELS

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Plot:
    """An inline figure: SVG made by us, and a caption that says how to read it."""

    svg: str
    caption: str
    title: str


def report(inputs: ReportInputs) -> str:
    """The whole report as HTML text.

    Args:
        inputs: frames and facts; sections whose frames are empty are left out.

    Raises:
        InputError: there are no metrics, or a frame lacks a column (see `leaderboard`).
    """
    if inputs.metrics.is_empty():
        raise InputError(
            "There are no metrics to report on; materialise the metrics of at least one model first."
        )
    board = _ranked(inputs) if inputs.board is None else inputs.board
    metrics = conform(inputs.metrics, METRIC_FRAME, "metrics")
    parts = [
        part
        for part in board.partition_by("protocol", "dataset", maintain_order=True)
        if not part["stale"].all()
    ]
    checks = conform(inputs.checks, CHECK_FRAME, "checks")
    return render(
        "report.html.j2",
        inputs=inputs,
        boards=[_board(part, inputs, number) for number, part in enumerate(parts)],
        notices=_notices(board, checks),
        data=[_data(statistics, number) for number, statistics in enumerate(inputs.data)],
        failed=sections.checks_table(checks.filter(~pl.col("passed"))),
        passed=sections.checks_table(checks.filter("passed")),
        runs=sections.runs_table(inputs.runs, metrics),
        provenance={
            **inputs.provenance,
            "Seeds": ", ".join(map(str, sorted(metrics["seed"].unique()))),
            "Data digests": ", ".join(_short(metrics["data_digest"])),
        },
    )


def _ranked(inputs: ReportInputs) -> pl.DataFrame:
    return leaderboard(
        inputs.metrics,
        inputs.runs,
        inputs.user_metrics,
        shown=inputs.metrics_shown,
        popularity=inputs.popularity_model,
    )


def feature_page(inputs: FeaturePageInputs) -> str:
    """One feature set on a page: coverage, spectrum, norms, and the nearest neighbours of a dozen items.

    Args:
        inputs: numbers and cards; empty ones are left out.
    """
    from mrs_pipeline.reporting import plots

    drawn = []
    if len(inputs.spectrum):
        drawn.append(
            inline_plot(plots.spectrum_plot(inputs.spectrum), "spectrum", *FEATURE_WORDS["spectrum"])
        )
    if len(inputs.norms):
        drawn.append(inline_plot(plots.norms(inputs.norms), "norms", *FEATURE_WORDS["norms"]))
    if inputs.shuffled:
        drawn.append(
            inline_plot(plots.signal(inputs.shuffled, inputs.observed), "signal", *FEATURE_WORDS["signal"])
        )
    failures = conform(inputs.failures, QUARANTINE_FRAME, "failures")
    return render(
        "feature_page.html.j2",
        inputs=inputs,
        plots=drawn,
        failures=sections.plain_table(failures) if len(failures) else None,
    )


def _board(part: pl.DataFrame, inputs: ReportInputs, number: int) -> Mapping[str, Any]:
    """Everything shown of one (protocol, dataset): its leading window, and the walk over the others."""
    windows = current(part)["window"].unique().sort()
    timed = windows.filter(windows != FULL_WINDOW)
    lead = timed[-1] if len(timed) else FULL_WINDOW
    listed = part.filter(pl.col("window") == lead)
    part, group = current(part), current(listed)
    shown, popularity = inputs.metrics_shown, inputs.popularity_model
    models, matrix = sections.matrix_rows(group)
    several = len(timed) > 1
    return {
        "anchor": f"board{number}",
        "dataset": group["dataset"][0],
        "window": lead,
        "protocol": group["protocol"][0],
        "deploy": sections.deploy_cards(group, shown[0]),
        "summary": summary(listed, shown[0], popularity)[1 if len(group) > 1 else 0 :],
        "tiles": sections.tiles(group, shown[0], popularity),
        "table": sections.leaderboard_section(listed, shown, popularity),
        "costs": sections.costs_table(group, shown[0], inputs.costs),
        "beyond": sections.beyond_accuracy_table(group, shown[0]),
        "all_metrics": sections.all_metrics_table(group),
        "compared": len(group),
        "walk": sections.walk_forward_table(walk_forward(part, shown[0])) if several else None,
        "axes": {
            axis.value: title for axis, title in AXIS_TITLES.items() if axis.value in set(group["axis"])
        },
        "models": models,
        "matrix": matrix if group["cells"].is_not_null().any() else [],
        "plots": _result_plots(part, group, inputs, f"b{number}"),
    }


def _result_plots(
    part: pl.DataFrame, group: pl.DataFrame, inputs: ReportInputs, prefix: str
) -> Mapping[str, Plot]:
    """The figures of one board by name; those without data are absent."""
    from mrs_pipeline.reporting import plots

    metric, popularity = inputs.metrics_shown[0], inputs.popularity_model
    breadth = COVERAGE_METRIC.label(parse_label(metric)[1] or 0)
    measured = group.filter(pl.col(metric).is_not_null())
    here = (pl.col("dataset") == group["dataset"][0]) & (pl.col("window") == group["window"][0])
    history = conform(inputs.history, HISTORY_FRAME, "history").filter(here)
    runs = conform(inputs.runs, RUN_FRAME, "runs").filter(here)
    candidates: list[tuple[str, bool, Callable[[], Figure]]] = [
        ("accuracy", len(measured) > 0, lambda: plots.accuracy_by_model(measured, metric, popularity)),
        (
            "time",
            len(measured.filter(pl.col("seconds") > 0)) > 1,
            lambda: plots.accuracy_against_time(measured, metric),
        ),
        (
            "breadth",
            breadth in measured.columns and measured[breadth].is_not_null().sum() > 1,
            lambda: plots.accuracy_against_breadth(measured, metric, breadth),
        ),
        (
            "cold",
            any(
                name in part.columns and group[name].is_not_null().any()
                for name in (f"warm_{metric}", "cold_value")
            ),
            lambda: plots.warm_and_cold(group, metric),
        ),
        (
            "walk",
            part.filter(pl.col("window") != FULL_WINDOW)["window"].n_unique() > 1,
            lambda: plots.walk_forward_lines(
                part.filter(pl.col("window") != FULL_WINDOW), metric, _highlighted(group, popularity)
            ),
        ),
        (
            "training",
            bool(trained := _with_losses(history, group["model"].to_list())),
            lambda: plots.training_curves(history, runs, trained),
        ),
    ]
    return {
        name: inline_plot(draw(), f"{prefix}-{name}", *RESULT_WORDS[name])
        for name, wanted, draw in candidates
        if wanted
    }


def _with_losses(history: pl.DataFrame, models: Sequence[str]) -> list[str]:
    """The models that were trained by steps: closed forms have no curve."""
    stepped = set(history.filter(pl.col("term") != VALID_TERM)["model"])
    return [model for model in models if model in stepped]


def _highlighted(group: pl.DataFrame, popularity: str) -> list[str]:
    """The three leaders, the best model of each kind and popularity: at most six names."""
    rows = group.to_dicts()
    kinds = (best_content(rows), best_baseline(rows, popularity))
    names = [*group["model"].to_list()[:3], *(row["model"] for row in kinds if row is not None)]
    names += [popularity] if popularity in group["model"] else []
    return list(dict.fromkeys(names))


def _data(statistics: DataStatistics, number: int) -> Mapping[str, Any]:
    """Figures and tables of one dataset."""
    from mrs_pipeline.reporting import plots

    over_time = conform(statistics.over_time, OVER_TIME, "interactions over time")
    coverage = conform(statistics.coverage, COVERAGE_FRAME, "coverage")
    features = conform(statistics.features, FEATURE_FRAME, "features")
    splits = conform(statistics.splits, SPLIT_ROWS, "splits")
    total = max(int(splits["rows"].sum()), 1)
    candidates: list[tuple[str, int, Callable[[], Figure]]] = [
        ("over-time", len(over_time), lambda: plots.interactions_over_time(over_time)),
        ("coverage", len(coverage), lambda: plots.modality_coverage(coverage)),
        ("tail", int(statistics.item_counts.sum()), lambda: plots.long_tail(statistics.item_counts)),
        ("activity", int(statistics.user_counts.sum()), lambda: plots.user_activity(statistics.user_counts)),
    ]
    return {
        "statistics": statistics,
        "quarantine": sections.quarantine_table(statistics),
        "features": sections.plain_table(features) if len(features) else None,
        "splits": [(row["split"], row["rows"], row["rows"] / total) for row in _in_order(splits)],
        "plots": [
            inline_plot(draw(), f"d{number}-{name}", *DATA_WORDS[name])
            for name, wanted, draw in candidates
            if wanted
        ],
    }


def _in_order(splits: pl.DataFrame) -> list[dict[str, Any]]:
    """Train, validation, test, then whatever else there is."""
    place = {name: number for number, name in enumerate(SPLIT_LABELS)}
    return sorted(splits.to_dicts(), key=lambda row: (place.get(row["split"], len(place)), row["split"]))


def _notices(board: pl.DataFrame, checks: pl.DataFrame) -> list[str]:
    """What a reader must know before comparing numbers."""
    notices = []
    protocols = current(board)["protocol"].n_unique()
    if protocols > 1:
        notices.append(
            f"The numbers come from {protocols} evaluation protocols; each has a ranking of its own."
        )
    stale = board.filter("stale").group_by("dataset", "window", maintain_order=True)
    notices += [
        f"Measured on other data than today's window {row['window']} of {row['dataset']}, and therefore not ranked: "
        f"{', '.join(row['model'])}. `mrs run {row['dataset']} --window {row['window']}` measures them again."
        for row in stale.agg(pl.col("model").unique(maintain_order=True)).sort("dataset", "window").to_dicts()
    ]
    failed = checks.filter(~pl.col("passed"))
    if len(failed):
        notices.append(f"{len(failed)} of {len(checks)} checks did not pass: {', '.join(failed['name'])}.")
    return notices


def _short(digests: pl.Series) -> list[str]:
    return [digest[:12] for digest in digests.drop_nulls().unique().sort()]


def inline_plot(figure: "Figure", name: str, title: str, caption: str) -> Plot:
    """A figure as it stands on a page; ids within start with `name`."""
    from mrs_pipeline.reporting.drawing import svg

    return Plot(svg(figure, name), caption, title)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mrs_pipeline.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = environment.get_template("sort.js.j2").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    environment.globals.update(script=script, script_digest=digest)
    return environment


def render(template: str, **context: object) -> str:
    """A template of this package as HTML text."""
    return _environment().get_template(template).render(**context)
