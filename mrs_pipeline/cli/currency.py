"""`mrs status` and `mrs verify`: what is current and why not; what is stored and no longer what was written."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mrs_pipeline.cli.terminal import AsJson, DatasetName, Window, enter_home, err, show
from mrs_pipeline.errors import did_you_mean

if TYPE_CHECKING:
    from mrs_pipeline.orchestration.project import Project
    from mrs_pipeline.tasks.verifying import Verified


def status(
    dataset: DatasetName,
    *,
    window: Window = None,
    why: Annotated[
        bool, typer.Option("--why", help="Say of each asset that is due which change made it so.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show which assets are current and which are due; with --why the function, setting or input that changed."""
    from mrs_pipeline.orchestration.project import load_project

    project = load_project(enter_home())
    rows = _standings(project, dataset, window)
    due = [row for row in rows if row[2]]
    found = [
        {"asset": asset, "window": key, "due": bool(reasons), "why": list(reasons)}
        for asset, key, reasons in rows
    ]
    title = f"{dataset}: {len(due)} of {len(rows)} assets are due"
    show(found, lambda: _standings_table(rows, title, why=why), as_json=as_json)
    if due and not why and not as_json:
        err.print(
            f"`mrs status {escape(dataset)} --why` names the changes; `mrs run {escape(dataset)}` makes what is due"
        )


def verify(
    dataset: Annotated[
        str | None, typer.Argument(metavar="[DATASET]", help="Only this dataset. Default: all of this home.")
    ] = None,
    *,
    discard: Annotated[
        bool, typer.Option("--discard", help="Remove what is damaged, so that the next run makes it again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Recompute the digests of everything kept, and name what differs, is cut short or is gone."""
    from mrs_pipeline.orchestration.project import load_project
    from mrs_pipeline.tasks.verifying import verify as recompute

    home = enter_home()
    project = load_project(home)
    if dataset is not None:
        project.config(dataset)
    found = recompute(home, project.configs, dataset, discard=discard)
    faults = [asdict(fault) | {"remedy": fault.remedy} for fault in found.faults]
    show({"looked_at": found.looked_at, "faults": faults}, lambda: _faults_shown(found), as_json=as_json)
    if not faults:
        return
    if discard:
        err.print(
            "what runs make has been removed where it was damaged; the last column says what to do next"
        )
        if any(fault.kept for fault in found.faults):
            raise typer.Exit(1)
    else:
        err.print(
            "`mrs verify --discard` removes what is damaged of what runs make; the last column says what to do next"
        )
        raise typer.Exit(1)


def _standings_table(rows: Sequence[tuple[str, str, tuple[str, ...]]], title: str, *, why: bool) -> Table:
    table = Table(title=escape(title), title_justify="left")
    for name in ("asset", "window", "state", *(("why",) if why else ())):
        table.add_column(name, overflow="fold")
    for asset, key, reasons in rows:
        told = (escape("; ".join(reasons)),) if why else ()
        table.add_row(asset, key, "[yellow]due[/]" if reasons else "current", *told)
    return table


def _faults_shown(found: "Verified") -> Table | str:
    if not found.faults:
        return f"{found.looked_at} tables, arrays, checkpoints, pages and copies of champions are what was written"
    table = Table(
        title=f"{len(found.faults)} of {found.looked_at} are not what was written", title_justify="left"
    )
    for name in ("what", "dataset", "window", "what is wrong", "remedy"):
        table.add_column(name, overflow="fold")
    for fault in found.faults:
        table.add_row(*map(escape, (fault.what, fault.dataset, fault.window, fault.reason, fault.remedy)))
    return table


def _standings(
    project: "Project", dataset: str, window: str | None
) -> list[tuple[str, str, tuple[str, ...]]]:
    """(asset, window, reasons) of every asset, in the order of the pipeline."""
    from mrs_pipeline.code import keep_closures, one_moment
    from mrs_pipeline.orchestration.launch import default_windows
    from mrs_pipeline.plan import plan
    from mrs_pipeline.schema import FULL_WINDOW
    from mrs_pipeline.tasks.node import RAW_INTERACTIONS
    from mrs_pipeline.tasks.places import windows
    from mrs_pipeline.tasks.standing import standing
    from mrs_pipeline.tasks.task import Stage
    from mrs_pipeline.windows import window_keys

    config = project.config(dataset)
    chosen = window or default_windows(project, dataset)[-1]
    known = window_keys(config.window, datetime.now(UTC)) if config.windowed else [FULL_WINDOW]
    if chosen not in known:
        raise typer.BadParameter(
            f"{dataset} has no window {chosen}{did_you_mean(chosen, known)}; its windows are {known[0]} to {known[-1]}"
        )
    rows = []
    with one_moment():
        for task in plan(config):
            history = RAW_INTERACTIONS in task.outputs and config.windowed
            keys = [key for key in windows(config) if key <= chosen] if history else [chosen]
            for key in keys if task.windowed else [FULL_WINDOW]:
                found = standing(Stage(config, project.home, key), task)
                rows += [(str(output), key, found.reasons) for output in task.outputs]
    keep_closures()
    return rows
