"""Commands that decide what is served: promote, rollback, and the record of both."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from mrs_pipeline.cli.terminal import AsJson, DatasetName, Window, enter_home, err, show

if TYPE_CHECKING:
    import polars as pl

    from mrs_pipeline.promotion.decisions import Champion, Decision
    from mrs_pipeline.tasks.task import Stage

DecisionReason = Annotated[str, typer.Option(help="Why, in words; it stands in the record.")]


def promote(
    dataset: DatasetName,
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Which model. Default: the leader of the window.")
    ] = None,
    *,
    window: Window = None,
    force: Annotated[
        bool, typer.Option("--force", help="Promote against the rules; needs a --reason.")
    ] = False,
    reason: DecisionReason = "",
    as_json: AsJson = False,
) -> None:
    """Make a model the champion, which `mrs serve` serves, if the rules allow it; either way it is recorded."""
    from mrs_pipeline.orchestration.champion import tell_dagster
    from mrs_pipeline.promotion.decisions import REFUSED
    from mrs_pipeline.promotion.decisions import promote as decide
    from mrs_pipeline.serving.bundle import leading_model, serving_window

    stage = serving_window(_stage(dataset), window)
    decision = decide(stage, model or leading_model(stage), force=force, reason=reason)
    tell_dagster(stage, decision)
    refused = decision.outcome == REFUSED
    told = f"champion  {decision.model} of window {decision.window}"
    if refused:
        told = f"refused: {decision.model} of window {decision.window} is not promoted, {decision.reason}"
    show(asdict(decision), lambda: Group(_rules(decision), escape(told)), as_json=as_json)
    if refused:
        raise typer.Exit(1)


def rollback(dataset: DatasetName, *, reason: DecisionReason = "", as_json: AsJson = False) -> None:
    """Give the champion's place back to the one before, with the weights that it was promoted with."""
    from mrs_pipeline.orchestration.champion import tell_dagster
    from mrs_pipeline.promotion.decisions import rollback as decide

    stage = _stage(dataset)
    decision = decide(stage, reason=reason)
    tell_dagster(stage, decision)
    told = f"champion  {decision.model} of window {decision.window}"
    show(asdict(decision), lambda: told, as_json=as_json)


def champions(
    dataset: DatasetName,
    *,
    into: Annotated[
        Path | None, typer.Option(help="Also draw the champions over the windows, as PNG.", dir_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show which models were promoted, refused and rolled back, and why."""
    from mrs_pipeline.promotion.decisions import champion, promotions

    stage = _stage(dataset)
    log, now = promotions(stage), champion(stage)
    facts = {"champion": now and asdict(now), "decisions": log}
    show(facts, lambda: _decisions(dataset, now, log), as_json=as_json)
    if into is not None:
        from mrs_pipeline.reporting.champion_plot import champion_history
        from mrs_pipeline.reporting.drawing import png
        from mrs_pipeline.stored.results import read_leaderboard

        into.write_bytes(png(champion_history(read_leaderboard(stage.lake, dataset), log)))
        err.print(f"wrote {into}", markup=False)


def _decisions(dataset: str, now: "Champion | None", log: "pl.DataFrame") -> Table:
    title = (
        f"{dataset}: {f'{now.model} of window {now.window} is the champion' if now else 'no champion yet'}"
    )
    table = Table(title=escape(title), title_justify="left")
    for name in ("when", "decision", "model", "window", "by", "why"):
        table.add_column(name, overflow="fold")
    for row in log.iter_rows(named=True):
        outcome = f"{row['outcome']}, forced" if row["forced"] else row["outcome"]
        when = f"{row['decided_at']:%Y-%m-%d %H:%M}"
        table.add_row(
            *map(escape, (when, outcome, row["model"], row["window"], row["decided_by"], row["reason"]))
        )
    return table


def _rules(decision: "Decision") -> Table:
    table = Table(title_justify="left")
    for name in ("rule", "holds", "found"):
        table.add_column(name, overflow="fold")
    for rule in decision.rules:
        holds = "-" if rule.holds is None else "yes" if rule.holds else "[red]no[/]"
        table.add_row(rule.rule, holds, escape(rule.sentence))
    return table


def _stage(dataset: str) -> "Stage":
    from mrs_pipeline.orchestration.project import load_project
    from mrs_pipeline.tasks.task import Stage

    home = enter_home()
    return Stage(load_project(home).config(dataset), home)
