"""The report's tables as plain rows of text, ready for a template. Numbers come from `leaderboard`.

Not here: HTML (`templates/`), figures (`plots`), sentences (`narrative`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from mrs_pipeline.metrics.base import parse_label
from mrs_pipeline.metrics.registry import METRICS
from mrs_pipeline.reporting.inputs import (
    CHECK_FRAME,
    QUARANTINE_FRAME,
    RUN_FRAME,
    DataStatistics,
    ModelCost,
    conform,
)
from mrs_pipeline.reporting.leaderboard import GROUP_COLUMNS, ONE_SEED, metric_columns
from mrs_pipeline.reporting.narrative import (
    best_baseline,
    choice_for_known,
    choice_for_new,
    cost_text,
    gain,
    p_text,
    seconds_text,
)
from mrs_pipeline.reporting.taxonomy_matrix import AXIS_TITLES, as_cell, cell_title, taxonomy_matrix
from mrs_pipeline.statistics import ALPHA
from mrs_pipeline.taxonomy import Axis, Cell

DASH = "–"


@dataclass(frozen=True)
class Header:
    """A column's title, its explanation on hover, and whether its cells are numbers."""

    title: str
    hint: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class CellValue:
    """One table cell: text, its value for sorting, lines below, a bar (0..1), badges, a colour class."""

    text: str
    sort: float | str | None = None
    notes: tuple[str, ...] = ()
    bar: float | None = None
    badges: tuple[str, ...] = ()
    kind: str = ""


@dataclass(frozen=True)
class PageTable:
    """What the table macro draws."""

    headers: tuple[Header, ...]
    rows: tuple[tuple[CellValue, ...], ...]


def shown_number(value: float | None, digits: int = 4) -> CellValue:
    """A number as a cell, a dash where there is none."""
    return CellValue(DASH) if value is None else CellValue(f"{value:,.{digits}f}", value)


def leaderboard_section(group: pl.DataFrame, shown: Sequence[str], popularity: str) -> PageTable:
    """The ranking of one (protocol, dataset, window).

    Args:
        group: leaderboard rows, best first; stale ones are marked.
        shown: metrics with intervals.
        popularity: name of the reference model.
    """
    first, rows = shown[0], group.to_dicts()
    slices = [column for column in (f"warm_{first}",) if column in group.columns]
    cold = "cold_value" in group.columns
    headers = [
        Header("#", "rank by " + first),
        Header("Model", "coloured by the branch of the taxonomy it stands for", numeric=False),
        *(
            Header(
                name, "mean over users and seeds; below it its 95 % interval, which allows for chance in both"
            )
            for name in shown
        ),
        *(
            Header(name.replace("_", " "), "ranking, and looking for, items of this kind only")
            for name in slices
        ),
        *((Header(f"cold {_cold_metric(group)}", _COLD),) if cold else ()),
        Header(
            "vs. leader",
            "mean difference to the leader on the same users; below it interval and p, adjusted for how many there are",
        ),
        Header(
            f"vs. {popularity}", "multiple of what the most popular items reach; p adjusted in the same way"
        ),
    ]
    top = max((row[first] or 0 for row in rows), default=0) or 1
    reference = next((row[first] for row in rows if row["model"] == popularity and not row["stale"]), None)
    body = []
    for row in rows:
        cells = [CellValue(str(row["rank"] or DASH), row["rank"]), _model_cell(row)]
        cells += [_metric_cell(row, name, top if name == first else None) for name in shown]
        cells += [shown_number(row[name]) for name in slices]
        cells += [_cold_cell(row)] if cold else []
        cells += [_leader_cell(row), _popularity_cell(row, first, reference)]
        body.append(tuple(cells))
    return without_empty_columns(PageTable(tuple(headers), tuple(body)))


_COLD: Final = (
    "ranking, and looking for, items without an event in training only; below it its interval and what a random order "
    "finds. Models that see no content cannot rank them"
)


def _cold_metric(group: pl.DataFrame) -> str:
    known = group["cold_metric"].drop_nulls()
    return str(known[0]) if len(known) else ""


def _cold_cell(row: Mapping[str, Any]) -> CellValue:
    value = row["cold_value"]
    if value is None:
        return CellValue(DASH if row["stale"] else "cannot rank")
    notes = [] if row["cold_low"] is None else [f"{row['cold_low']:.4f} – {row['cold_high']:.4f}"]
    notes += [] if row["cold_chance"] is None else [f"chance {row['cold_chance']:.4f}"]
    return CellValue(f"{value:.4f}", value, tuple(notes))


def without_empty_columns(table: PageTable) -> PageTable:
    """The table without the columns that have nothing but dashes."""
    kept = [
        column for column in range(len(table.headers)) if any(row[column].text != DASH for row in table.rows)
    ]
    return PageTable(
        tuple(table.headers[column] for column in kept),
        tuple(tuple(row[column] for column in kept) for row in table.rows),
    )


def _model_cell(row: dict[str, Any]) -> CellValue:
    cells = [as_cell(cell) for cell in row["cells"] or ()]
    words = ", ".join(cell_title(cell) for cell in cells if cell is not Cell.BASELINE)
    tied = row["best_p"] is not None and row["best_p"] >= ALPHA
    badges = ("older data, not ranked",) if row["stale"] else ("tied with the leader",) if tied else ()
    return CellValue(
        row["model"], row["model"], (words,) if words else (), badges=badges, kind=row["axis"] or ""
    )


def _metric_cell(row: dict[str, Any], name: str, top: float | None) -> CellValue:
    value, low, high, spread = (row[name + part] for part in ("", "_ci_low", "_ci_high", "_spread"))
    if value is None:
        return CellValue(DASH)
    notes = [f"{low:.4f}–{high:.4f}"] if low is not None and high is not None else []
    if spread is not None:
        notes.append(f"± {spread:.4f}, {row['seeds']} seeds")
    elif row["interval_over"] == ONE_SEED and notes:
        notes.append("users alone, 1 seed")
    return CellValue(f"{value:.4f}", value, tuple(notes), bar=value / top if top else None)


def _leader_cell(row: dict[str, Any]) -> CellValue:
    if row["best_difference"] is None:
        return CellValue("leader" if row["rank"] == 1 else DASH, 0.0 if row["rank"] == 1 else None)
    text = signed(row["best_difference"])
    if row["best_p"] is None:
        return CellValue(text, row["best_difference"])
    ends = f"{signed(row['best_low'])} to {signed(row['best_high'])}"
    return CellValue(text, row["best_difference"], (ends, p_text(row["best_p"])))


def signed(value: float) -> str:
    """`+0.0123`, `−0.0123`."""
    return f"{value:+.4f}".replace("-", "−")


def _popularity_cell(row: dict[str, Any], metric: str, reference: float | None) -> CellValue:
    if not reference or row[metric] is None or row["stale"]:
        return CellValue(DASH)
    notes = (p_text(row["popularity_p"]),) if row["popularity_p"] is not None else ()
    return CellValue(f"{row[metric] / reference:.1f}×", row[metric] / reference, notes)


def costs_table(group: pl.DataFrame, metric: str, costs: Mapping[str, ModelCost]) -> PageTable:
    """What each model costs to train, to keep and to ask, one row a model in the order of the ranking.

    Args:
        group: leaderboard rows, best first.
        metric: the ranking metric, shown for comparison.
        costs: model -> what the leaderboard does not know of it.
    """
    headers = (
        Header("Model", numeric=False),
        Header(metric, "what the models are ranked by"),
        Header("Searched", "settings that were tried on validation rows before the ones it has"),
        Header("Training", "wall-clock time, mean over seeds"),
        Header("Memory", "the most held while training, above what the data take"),
        Header(
            "Features", "seconds that it takes to encode all items for the feature sets that the model reads"
        ),
        Header("Size", "what is kept of the model on disk; below it the number of trained parameters"),
        Header(
            "Serving",
            "milliseconds to rank the whole catalogue for one user, in batches of users on this machine",
        ),
    )
    body = [_cost_row(row, metric, costs.get(row["model"], ModelCost())) for row in group.to_dicts()]
    return without_empty_columns(PageTable(headers, tuple(body)))


def _cost_row(row: dict[str, Any], metric: str, cost: ModelCost) -> tuple[CellValue, ...]:
    seconds, memory, ranking, users = (
        row[name] for name in ("seconds", "peak_memory_mb", "seconds_evaluation", "n_users")
    )
    epochs = row["epochs"]
    lasted = (f"{epochs:.0f} epoch{'' if epochs == 1 else 's'}",) if epochs else ()
    parameters = (f"{row['n_parameters']:,.0f} parameters",) if row["n_parameters"] else ()
    each = 1000 * ranking / users if ranking is not None and users else None
    return (
        CellValue(row["model"], row["model"], kind=row["axis"] or ""),
        shown_number(row[metric]),
        shown_number(row["trials"], 0),
        CellValue(DASH) if seconds is None else CellValue(seconds_text(seconds), seconds, lasted),
        CellValue(DASH) if memory is None else CellValue(f"{memory:,.0f} MB", memory),
        CellValue(DASH)
        if cost.extraction_seconds is None
        else CellValue(seconds_text(cost.extraction_seconds), cost.extraction_seconds),
        CellValue(DASH, notes=parameters)
        if cost.stored_mb is None
        else CellValue(f"{cost.stored_mb:,.1f} MB", cost.stored_mb, parameters),
        CellValue(DASH) if each is None else CellValue(f"{each:.2f} ms", each),
    )


def deploy_cards(group: pl.DataFrame, metric: str) -> list[tuple[str, str, str, str]]:
    """The headline as (for which items, model, why, cost); empty where there is but one model, or none."""
    rows = group.filter(pl.col(metric).is_not_null()).to_dicts()
    if len(rows) < 2:
        return []
    known = choice_for_known(rows, metric)
    found = [("Items with a history", str(known.row["model"]), known.why, cost_text(known.row))]
    if any(row.get("cold_value") is not None for row in rows):
        new = choice_for_new(rows)
        found.append(
            ("New items", "none", "no model is shown to be better than chance", "")
            if new is None
            else ("New items", str(new.row["model"]), new.why, cost_text(new.row))
        )
    return found


def tiles(group: pl.DataFrame, metric: str, popularity: str) -> list[tuple[str, str, str]]:
    """Key figures as (label, value, note)."""
    rows = group.filter(pl.col(metric).is_not_null()).to_dicts()
    if not rows:
        return []
    leader = rows[0]
    found = [
        (
            "Leading model" if len(rows) > 1 else "Model",
            leader["model"],
            AXIS_TITLES[Axis(leader["axis"])] if leader["axis"] else "",
        )
    ]
    found.append((metric, f"{leader[metric]:.4f}", " · ".join(_metric_cell(leader, metric, None).notes)))
    baseline = best_baseline(rows, popularity)
    if baseline is not None and baseline is not leader:
        found.append(
            (f"Against {baseline['model']}", gain(leader[metric], baseline[metric]), "best without content")
        )
    reference = next((row for row in rows if row["model"] == popularity), None)
    if reference is not None and reference is not leader:
        found.append(
            ("Against popularity", gain(leader[metric], reference[metric]), "same list for everybody")
        )
    found.append(("Models compared", str(len(rows)), f"{leader['n_users'] or 0:,} users measured"))
    return found


def beyond_accuracy_table(group: pl.DataFrame, ranking: str) -> PageTable | None:
    """What lists are worth beside accuracy, one row a model; None where nothing of it was measured.

    Args:
        group: leaderboard rows, best first.
        ranking: the ranking metric, shown for comparison; its cut-off is that of the others.
    """
    k = parse_label(ranking)[1] or 0
    chosen = [
        metric for metric in METRICS.values() if not metric.accuracy and metric.label(k) in group.columns
    ]
    if not chosen:
        return None
    arrows = {"higher": " ↑", "lower": " ↓", "neither": ""}
    headers = (
        Header("Model", numeric=False),
        Header(ranking, "what the models are ranked by"),
        *(
            Header(
                metric.label(k) + arrows[metric.better], f"{metric.title}: {metric.formula}; {metric.bounds}"
            )
            for metric in chosen
        ),
    )
    names = [ranking, *(metric.label(k) for metric in chosen)]
    rows = [
        (
            CellValue(row["model"], row["model"], kind=row["axis"] or ""),
            *(shown_number(row[name], 4 if abs(row[name] or 0) < 10 else 1) for name in names),
        )
        for row in group.to_dicts()
    ]
    return without_empty_columns(PageTable(headers, tuple(rows)))


def all_metrics_table(group: pl.DataFrame) -> PageTable:
    """Every metric and cut-off, one row a model."""
    columns = metric_columns(group)
    headers = (Header("Model", numeric=False), *(Header(name.replace("_", " ")) for name in columns))
    rows = [
        (
            CellValue(row["model"], row["model"], kind=row["axis"] or ""),
            *(shown_number(row[name]) for name in columns),
        )
        for row in group.to_dicts()
    ]
    return PageTable(headers, tuple(rows))


def walk_forward_table(table: pl.DataFrame) -> PageTable:
    """Models by windows, for the rows of one (protocol, dataset) of `leaderboard.walk_forward`."""
    windows = [
        name
        for name in table.columns
        if name not in {*GROUP_COLUMNS, "model", "mean"} and table[name].is_not_null().any()
    ]
    headers = (Header("Model", numeric=False), *(Header(name) for name in windows), Header("mean"))
    rows = [
        (CellValue(row["model"], row["model"]), *(shown_number(row[name]) for name in (*windows, "mean")))
        for row in table.to_dicts()
    ]
    return PageTable(headers, tuple(rows))


def runs_table(runs: pl.DataFrame, metrics: pl.DataFrame) -> PageTable:
    """What each number was made from: one row a run, with its settings and digests."""
    key = ["dataset", "window", "model", "seed"]
    digests = metrics.select(*key, "data_digest", "code_digest").unique(subset=key, maintain_order=True)
    joined = digests.join(conform(runs, RUN_FRAME, "runs"), on=key, how="left")
    headers = (
        *(Header(name.title(), numeric=False) for name in key),
        *(Header(title) for title in ("Epochs", "Best epoch", "Parameters")),
        *(Header(title, numeric=False) for title in ("Data", "Code", "Settings")),
    )
    rows = [
        (
            *(CellValue(str(row[name]), str(row[name])) for name in key),
            *(shown_number(row[name], 0) for name in ("epochs", "best_epoch", "n_parameters")),
            *(CellValue((row[name] or DASH)[:12], kind="code") for name in ("data_digest", "code_digest")),
            CellValue(row["config"] or DASH, kind="code"),
        )
        for row in joined.to_dicts()
    ]
    return PageTable(headers, tuple(rows))


def checks_table(checks: pl.DataFrame) -> PageTable:
    """Data-quality checks, failed ones first."""
    ordered = conform(checks, CHECK_FRAME, "checks").sort("passed", "severity", "asset", "name")
    headers = tuple(Header(name, numeric=False) for name in ("Result", "Check", "Asset", "What it asks"))
    rows = []
    for row in ordered.to_dicts():
        kind = "passed" if row["passed"] else "failed" if row["severity"].upper() == "ERROR" else "warned"
        rows.append(
            (
                CellValue(kind, kind, kind=kind),
                CellValue(row["name"], row["name"]),
                CellValue(row["asset"], row["asset"], kind="code"),
                CellValue(row["description"], row["description"]),
            )
        )
    return PageTable(headers, tuple(rows))


def quarantine_table(data: DataStatistics) -> PageTable:
    """Rejected rows by reason, most frequent first."""
    rows = conform(data.quarantine, QUARANTINE_FRAME, "quarantine").sort(
        "rows", "reason", descending=[True, False]
    )
    share = max(data.rows_read, 1)
    body = [
        (
            CellValue(row["reason"], row["reason"]),
            shown_number(row["rows"], 0),
            CellValue(f"{100 * row['rows'] / share:.2f} %", row["rows"]),
        )
        for row in rows.to_dicts()
    ]
    return PageTable((Header("Reason", numeric=False), Header("Rows"), Header("of those read")), tuple(body))


def plain_table(frame: pl.DataFrame, digits: int = 2) -> PageTable:
    """Any small frame as a table: whole numbers and text as they are, others with `digits`."""
    numeric = {name: dtype.is_numeric() for name, dtype in frame.schema.items()}
    headers = tuple(Header(name.replace("_", " "), numeric=numeric[name]) for name in frame.columns)
    rows = [
        tuple(
            shown_number(cell, digits if isinstance(cell, float) else 0)
            if numeric[name]
            else CellValue(str(cell), str(cell))
            for name, cell in row.items()
        )
        for row in frame.to_dicts()
    ]
    return PageTable(headers, tuple(rows))


@dataclass(frozen=True)
class MatrixRow:
    """One cell of the taxonomy: is it covered by each model, and which of them ranks best."""

    axis: str
    cell: str
    covered: tuple[bool, ...]
    best: str


def matrix_rows(group: pl.DataFrame) -> tuple[list[str], list[MatrixRow]]:
    """Models (best first) and the taxonomy's cells, for the coverage section."""
    cells = [list(value) if value is not None else [] for value in group["cells"].to_list()]
    models = group["model"].to_list()
    matrix = taxonomy_matrix(list(zip(models, cells, strict=True)))
    rows = [
        MatrixRow(
            row["axis"],
            cell_title(Cell(row["cell"])),
            tuple(model in row["models"] for model in models),
            row["models"][0] if row["models"] else "",
        )
        for row in matrix.to_dicts()
    ]
    return models, rows
