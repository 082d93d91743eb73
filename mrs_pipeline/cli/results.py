"""Commands that only look: leaderboard, lists, lineage, SQL, datasets, models. Nothing is made here."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from mrs_pipeline.cli.terminal import DatasetName, Window, enter_home, err, listed, out
from mrs_pipeline.storage.home import Home


def leaderboard(
    dataset: DatasetName,
    *,
    window: Annotated[str | None, typer.Option("--window", "-w", help="Only this window.")] = None,
) -> None:
    """Print the leaderboard: recall and ndcg with 95 % intervals, seconds and memory of training."""
    print_leaderboard(enter_home(), dataset, [window] if window else None)


def recommend(
    dataset: DatasetName,
    user_id: Annotated[
        str | None, typer.Argument(metavar="[USER_ID]", help="The user, as the raw files call them.")
    ] = None,
    *,
    item: Annotated[
        str | None,
        typer.Option(
            metavar="ITEM_ID", help="Instead of a user: the users in whose lists this item stands highest."
        ),
    ] = None,
    history: Annotated[
        str | None,
        typer.Option(
            metavar="ITEM_IDS",
            help="Instead of a user: what somebody took, oldest first, separated by commas; ranked for at once.",
        ),
    ] = None,
    everybody: Annotated[
        bool, typer.Option("--all", help="Instead of a user: the stored lists of all, into a file.")
    ] = False,
    into: Annotated[
        Path | None, typer.Option(help="With --all: the file, .parquet or .csv.", dir_okay=False)
    ] = None,
    model: Annotated[str | None, typer.Option(help="Whose list. Default: the leader of the window.")] = None,
    window: Window = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many places.")] = 10,
) -> None:
    """Print the items that a trained model recommends to a user, from the stored lists, or the users of an item.

    Users without a history are shown what is popular; the answer says so. With --history the final model is loaded and
    ranks for somebody that it was not trained on.
    """
    from mrs_pipeline.cli.serving import recommend_to_history
    from mrs_pipeline.cli.tables import frame_table, save_table
    from mrs_pipeline.errors import InputError
    from mrs_pipeline.storage.lake import Lake
    from mrs_pipeline.stored.lists import list_of_user, lists_of_all, users_of_item

    if [user_id is not None, item is not None, history is not None, everybody].count(True) != 1:
        raise InputError(
            f"name a user (`mrs recommend {dataset} USER_ID`), an item (`--item ITEM_ID`), a history (`--history "
            "ITEM_ID,ITEM_ID`) or all users (`--all --into FILE`)."
        )
    if everybody != (into is not None):
        raise InputError("--all and --into FILE go together")
    if history is not None:
        recommend_to_history(dataset, listed(history), model, window, k)
        return
    lake = Lake(enter_home().lake)
    if into is not None:
        rows = lists_of_all(lake, dataset, model=model, window=window, k=k)
        save_table(rows, into)
        out.print(f"wrote {into}: {len(rows)} places of {rows['user_id'].n_unique()} users", markup=False)
        return
    if user_id is not None:
        found = list_of_user(lake, dataset, user_id, model=model, window=window, k=k)
        subject = f"user {user_id}"
    else:
        assert item is not None
        found = users_of_item(lake, dataset, item, model=model, window=window, k=k)
        subject = f"item {item}"
    if found.notice:
        err.print(f"notice: {found.notice}", markup=False, soft_wrap=True)
    title = f"{dataset}, {subject}: {found.model}, window {found.window}"
    out.print(frame_table(found.rows, escape(title), most=None))


def lineage(
    dataset: DatasetName,
    asset: Annotated[
        str, typer.Argument(metavar="ASSET", help="E.g. core/items, metrics/lightgcn or eval/report.")
    ],
    *,
    window: Window = None,
) -> None:
    """Show what made an asset and from what, with digests, up the chain to the raw files."""
    from mrs_pipeline.cli.tables import origin_tree
    from mrs_pipeline.storage.lake import Lake
    from mrs_pipeline.tasks.tracing import trace

    out.print(origin_tree(trace(Lake(enter_home().lake), dataset, asset, window)), soft_wrap=True)


def query(
    sql: Annotated[
        str, typer.Argument(metavar="SQL", help='A SELECT, e.g. "SELECT * FROM eval.leaderboard".')
    ],
    *,
    csv: Annotated[
        bool,
        typer.Option(
            "--csv",
            help="Print all rows as CSV instead of a table. A text that a spreadsheet would take for a formula gets an "
            "apostrophe before it.",
        ),
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="With --csv: texts as they are, for programs.")] = False,
) -> None:
    """Ask the DuckDB catalogue a question; works while runs go on and while notebooks have it open."""
    from mrs_pipeline.cli.tables import csv_text, frame_table
    from mrs_pipeline.storage.catalogue import query as ask

    if raw and not csv:
        raise typer.BadParameter("--raw goes with --csv", param_hint="--raw")
    frame = ask(enter_home(), sql)
    if csv:
        sys.stdout.write(csv_text(frame, raw=raw))
    else:
        out.print(frame_table(frame))


def datasets() -> None:
    """List the datasets of this home with their sources, windows, features and models."""
    import polars as pl

    from mrs_pipeline.cli.tables import frame_table
    from mrs_pipeline.orchestration.launch import load_project

    rows = [
        {
            "dataset": name,
            "source": config.source.place,
            "windows": f"{config.window.every} from {config.window.start}" if config.windowed else "none",
            "features": ", ".join(config.feature_names),
            "models": ", ".join(config.model_configs),
        }
        for name, config in sorted(load_project(enter_home()).configs.items())
    ]
    out.print(
        frame_table(
            pl.DataFrame(rows, schema=["dataset", "source", "windows", "features", "models"]), most=None
        )
    )


def models(
    *,
    by_cell: Annotated[
        bool,
        typer.Option("--by-cell", help="Show the survey's taxonomy and which models stand in each cell."),
    ] = False,
    survey: Annotated[
        bool, typer.Option("--survey", help="Show every system of the survey's list and what is here for it.")
    ] = False,
) -> None:
    """List the models with their places in the survey's taxonomy, what they need and what they cost."""
    import polars as pl

    from mrs_pipeline.cli.tables import frame_table
    from mrs_pipeline.models.registry import MODELS
    from mrs_pipeline.reporting.taxonomy_matrix import matrix_text, taxonomy_matrix

    if survey:
        from mrs_pipeline.bench.survey_page import survey_frame

        out.print(frame_table(survey_frame(), whole=("system", "cells", "answer"), most=None))
        return
    if by_cell:
        cells = [(name, [str(cell) for cell in model.spec.cells]) for name, model in MODELS.items()]
        out.print(matrix_text(taxonomy_matrix(cells), width=out.width), markup=False)
        return
    rows = [
        {
            "model": name,
            "taxonomy": "\n".join(sorted(model.spec.cells)),
            "item features": str(model.spec.features) + ("\nand knowledge" if model.spec.knowledge else ""),
            "time and memory": model.spec.complexity,
            "paper": f"{model.spec.title}, {model.spec.paper}",
        }
        for name, model in MODELS.items()
    ]
    out.print(frame_table(pl.DataFrame(rows), whole=("model", "taxonomy"), most=None))


def print_leaderboard(home: Home, dataset: str, windows: list[str] | None) -> None:
    """The leaderboard of some windows, or of all, as a table on stdout."""
    from mrs_pipeline.cli.tables import leaderboard_notes, leaderboard_table
    from mrs_pipeline.storage.lake import Lake
    from mrs_pipeline.stored.results import read_leaderboard

    board = read_leaderboard(Lake(home.lake), dataset, windows)
    out.print(leaderboard_table(board, f"{dataset}: means over seeds, 95 % intervals"))
    for line in leaderboard_notes(board, dataset):
        out.print(line, markup=False)
