"""The page of a simulated year: what happened, what people were told, what the product did, and how it ended."""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from mrs_pipeline.evaluation.options import COMPARED
from mrs_pipeline.reporting.champion_plot import champion_history
from mrs_pipeline.reporting.html import Plot, inline_plot, render
from mrs_pipeline.reporting.narrative import seconds_text
from mrs_pipeline.reporting.sections import DASH, CellValue, Header, PageTable, shown_number
from mrs_pipeline.reporting.simulation_inputs import Happening, YearInputs
from mrs_pipeline.reporting.simulation_plots import months_by_stage, timeline

_DECISIONS: Final = frozenset({"promotion", "rollback"})
_KINDS: Final = {"promoted": "passed", "refused": "failed", "rolled back": "warned"}


def simulation_page(inputs: YearInputs) -> str:
    """The page as HTML text."""
    return render(
        "simulation.html.j2",
        inputs=inputs,
        headline=headline(inputs),
        summary=_summary(inputs),
        tiles=_tiles(inputs),
        timeline=_timeline(inputs),
        steps=_steps(inputs.happenings),
        champion=_champion(inputs),
        decisions=_decisions(inputs.decisions),
        matrix=_matrix(inputs),
        differences=_differences(inputs.compared),
        months=_months(inputs),
    )


def headline(inputs: YearInputs) -> str:
    """What the comparison found, in one sentence."""
    different = inputs.compared.remove("same").height
    if different:
        return f"{different} of {inputs.compared.height} outputs differ from those of the home without accidents."
    if inputs.restored is False:
        return "The rollback did not give back the weights that its champion was promoted with."
    return "The accidents left no trace: both homes end with the same content."


def _summary(inputs: YearInputs) -> list[str]:
    """How the year was run and compared, in a few sentences."""
    accidents = _accidents(inputs.happenings)
    fed = (
        f"{len(inputs.months)} windows of {inputs.dataset} landed one by one in a folder that the daemon's sensor "
        f"watches; {' and '.join(inputs.models) if len(inputs.models) < 3 else f'{len(inputs.models)} models'} were "
        f"trained and scored for each. On the way: {', '.join(accidents) or 'nothing'}."
    )
    compared = (
        "The same windows were then run in a second home by mrs run, with all files in place. Of "
        f"{inputs.compared.height} outputs (raw rows, core tables, splits, weights, metrics and lists of each window) "
        f"{inputs.compared['same'].sum()} have the same content in both."
    )
    restored = {
        None: [],
        True: ["The rollback gave back the weights that its champion had been promoted with, bit for bit."],
        False: ["The rollback gave back other weights than its champion had been promoted with."],
    }[inputs.restored]
    return [fed, compared, *restored]


def _accidents(happenings: Sequence[Happening]) -> list[str]:
    """Each accident once, with the first month that it happened in."""
    months: dict[str, str] = {}
    for each in happenings:
        if each.accident:
            months.setdefault(each.accident, each.month)
    return [f"{accident} ({month})" for accident, month in months.items()]


def _tiles(inputs: YearInputs) -> list[tuple[str, str, str]]:
    told = sum(len(each.told) for each in inputs.happenings)
    early = sum(run.outcome == "ended early" for run in inputs.runs)
    same = int(inputs.compared["same"].sum())
    return [
        ("Windows fed", str(len(inputs.months)), ""),
        (
            "Runs of the daemon",
            str(len(inputs.runs)),
            f"{early} ended early" if early else "all to their end",
        ),
        ("Messages to people", str(told), "through the home's notify.yaml"),
        ("Outputs equal", f"{same} of {inputs.compared.height}", "compared by content"),
        (
            "Time",
            seconds_text(inputs.seconds),
            f"{seconds_text(inputs.undisturbed_seconds)} without accidents",
        ),
    ]


def _timeline(inputs: YearInputs) -> Plot:
    caption = (
        "Each bar is one run of the daemon, in the row of the window that it made. A number marks a step of the table "
        "below, at the moment when it began. What a late file changes "
        "is made again, for its own window and for those after it."
    )
    return inline_plot(timeline(inputs.happenings, inputs.runs), "timeline", "Runs over time", caption)


def _steps(happenings: Sequence[Happening]) -> PageTable:
    headers = (
        Header("#"),
        Header("Window", numeric=False),
        Header("", numeric=False),
        Header("What happened", numeric=False),
        Header("What people were told", numeric=False),
        Header("What the product did", numeric=False),
        Header("Took"),
    )
    rows = []
    for number, each in enumerate(happenings, 1):
        kind = ("passed" if each.accident in _DECISIONS else "warned") if each.accident else ""
        rows.append(
            (
                shown_number(number, 0),
                CellValue(each.month),
                CellValue(each.accident, kind=kind),
                CellValue(each.what),
                CellValue(DASH) if not each.told else CellValue(each.told[0], notes=tuple(each.told[1:])),
                CellValue(each.did),
                CellValue(seconds_text(each.seconds), each.seconds),
            )
        )
    return PageTable(headers, tuple(rows))


def _champion(inputs: YearInputs) -> Plot | None:
    if inputs.decisions.is_empty() or inputs.board.is_empty():
        return None
    caption = (
        "Accuracy of the champion in each window between that of its best model and that of popularity, "
        "with the decisions. A champion keeps the weights that it was promoted with, whatever later runs make."
    )
    return inline_plot(
        champion_history(inputs.board, inputs.decisions), "champion", "The champion over the windows", caption
    )


def _decisions(decisions: pl.DataFrame) -> PageTable:
    titles = ("Decision", "Model", "Window", "Why")
    rows = []
    for row in decisions.sort("decision").iter_rows(named=True):
        outcome = f"{row['outcome']}, forced" if row["forced"] else row["outcome"]
        cells = (row["model"], row["window"], row["reason"])
        rows.append((CellValue(outcome, kind=_KINDS[row["outcome"]]), *map(CellValue, cells)))
    return PageTable(tuple(Header(title, numeric=False) for title in titles), tuple(rows))


def _matrix(inputs: YearInputs) -> Plot:
    caption = (
        "How many runs made each stage of a window; green where it ends with the same content as in the home "
        "without accidents. More than one: a file that came late changed it. A run that goes on after it was killed "
        "does not make again what was there."
    )
    figure = months_by_stage(inputs.made, inputs.compared, inputs.months)
    return inline_plot(figure, "matrix", "How often each stage was made, and whether it is the same", caption)


def _differences(compared: pl.DataFrame) -> PageTable:
    headers = tuple(Header(title, numeric=False) for title in ("Window", "Output", "Difference"))
    rows = [
        (CellValue(row["month"]), CellValue(row["asset"], kind="code"), CellValue(row["difference"]))
        for row in compared.remove("same").iter_rows(named=True)
    ]
    return PageTable(headers, tuple(rows))


def _months(inputs: YearInputs) -> PageTable:
    metric = COMPARED[0]
    headers = (
        Header("Window", numeric=False),
        Header("Rows of its file", "as read"),
        Header("In quarantine", "rows of the window and of its history that core tables leave out"),
        Header("Leads", numeric=False),
        Header(metric),
        Header("Users"),
    )
    leaders: dict[str, dict[str, Any]] = {
        row["window"]: row
        for row in inputs.board.filter(pl.col("rank").is_not_null())
        .sort("rank", descending=True)
        .iter_rows(named=True)
    }
    counts = {row["window"]: row for row in inputs.rows.iter_rows(named=True)}
    rows = []
    for month in inputs.months:
        leader, count = leaders.get(month, {}), counts.get(month, {})
        rows.append(
            (
                CellValue(month),
                shown_number(count.get("landed"), 0),
                shown_number(count.get("quarantined"), 0),
                CellValue(str(leader.get("model", DASH))),
                shown_number(leader.get(metric)),
                shown_number(leader.get("n_users"), 0),
            )
        )
    return PageTable(headers, tuple(rows))
