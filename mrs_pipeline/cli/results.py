"""Commands that only look: leaderboard, lists, SQL, datasets, models. Nothing is made here."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from mrs_pipeline.cli.terminal import AsJson, DatasetName, Window, enter_home, err, listed, out, show
from mrs_pipeline.storage.home import Home

if TYPE_CHECKING:
    import polars as pl


def leaderboard(
    dataset: DatasetName,
    *,
    window: Annotated[str | None, typer.Option("--window", "-w", help="Only this window.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the leaderboard: recall and ndcg with 95 % intervals, seconds and memory of training."""
    board = stored_leaderboard(enter_home(), dataset, [window] if window else None)
    if as_json:
        show(board, str, as_json=True)
    else:
        print_leaderboard(board, dataset)


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
    as_json: AsJson = False,
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
        recommend_to_history(dataset, listed(history), model, window, k, as_json=as_json)
        return
    lake = Lake(enter_home().lake)
    if into is not None:
        rows = lists_of_all(lake, dataset, model=model, window=window, k=k)
        save_table(rows, into)
        if (last := int(rows["rank"].max() or 0)) < k:  # type: ignore[arg-type]  # a number: the column is BIGINT
            err.print(f"notice: the longest list has {last} places, fewer than {k}")
        wrote = {"wrote": into, "places": len(rows), "users": rows["user_id"].n_unique()}
        show(wrote, lambda: f"wrote {into}: {len(rows)} places of {wrote['users']} users", as_json=as_json)
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
    show(
        {"window": found.window, "model": found.model, "rows": found.rows},
        lambda: frame_table(found.rows, escape(title), most=None),
        as_json=as_json,
    )


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
    as_json: AsJson = False,
) -> None:
    """Ask the DuckDB catalogue a question; works while runs go on and while notebooks have it open."""
    from mrs_pipeline.cli.tables import csv_text, frame_table
    from mrs_pipeline.storage.catalogue import query as ask

    if raw and not csv:
        raise typer.BadParameter("--raw goes with --csv", param_hint="--raw")
    if csv and as_json:
        raise typer.BadParameter("--csv and --json exclude each other", param_hint="--csv")
    frame = ask(enter_home(), sql)
    if csv:
        sys.stdout.write(csv_text(frame, raw=raw))
    else:
        show(frame, lambda: frame_table(frame), as_json=as_json)


def datasets(*, as_json: AsJson = False) -> None:
    """List the datasets of this home with their sources, windows, features and models."""
    import polars as pl

    from mrs_pipeline.cli.tables import frame_table
    from mrs_pipeline.orchestration.component import absence
    from mrs_pipeline.orchestration.project import load_project

    home = enter_home()
    configs = sorted(load_project(home).configs.items())
    absent = {name: why for name, config in configs if (why := absence(config, home.root))}
    rows = [
        {
            "dataset": name,
            "windows": f"{config.window.every} from {config.window.start}" if config.windowed else "none",
            "features": list(config.feature_names),
            "models": list(config.model_configs),
            "source": config.source.place,
        }
        for name, config in configs
    ]
    listing = pl.DataFrame(
        [{**row, **{key: ", ".join(row[key]) for key in ("features", "models")}} for row in rows],
        schema=["dataset", "windows", "features", "models", "source"],
    )
    show(
        [{**row, "absent": absent.get(str(row["dataset"]))} for row in rows],
        lambda: frame_table(listing, whole=("dataset",), most=None),
        as_json=as_json,
    )
    if absent:
        first = next(iter(absent.values()))
        err.print(f"data not here: {', '.join(absent)}; of the first, {first}", soft_wrap=True, markup=False)


def models(
    *,
    by_cell: Annotated[
        bool,
        typer.Option("--by-cell", help="Show the survey's taxonomy and which models stand in each cell."),
    ] = False,
    survey: Annotated[
        bool, typer.Option("--survey", help="Show every system of the survey's list and what is here for it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the models with their places in the survey's taxonomy, what they need and what they cost."""
    import polars as pl

    from mrs_pipeline.cli.tables import frame_table
    from mrs_pipeline.models.registry import MODELS
    from mrs_pipeline.reporting.taxonomy_matrix import matrix_text, taxonomy_matrix

    if survey:
        from mrs_pipeline.bench.survey_page import survey_frame

        systems = survey_frame()
        whole = ("system", "cells", "answer")
        show(systems, lambda: frame_table(systems, whole=whole, most=None), as_json=as_json)
        return
    if by_cell:
        cells = [(name, [str(cell) for cell in model.spec.cells]) for name, model in MODELS.items()]
        matrix = taxonomy_matrix(cells)
        show(matrix, lambda: matrix_text(matrix, width=out.width), as_json=as_json)
        return
    rows = [
        {
            "model": name,
            "taxonomy": "\n".join(sorted(model.spec.cells)),
            "item features": str(model.spec.features) + ("\nand knowledge" if model.spec.knowledge else ""),
            "time": model.spec.complexity,
            "memory": model.spec.memory,
            "paper": f"{model.spec.title}, {model.spec.paper}",
        }
        for name, model in MODELS.items()
    ]
    show(
        rows, lambda: frame_table(pl.DataFrame(rows), whole=("model", "taxonomy"), most=None), as_json=as_json
    )


def stored_leaderboard(home: Home, dataset: str, windows: list[str] | None) -> "pl.DataFrame":
    """The leaderboard of some windows, or of all."""
    from mrs_pipeline.storage.lake import Lake
    from mrs_pipeline.stored.results import read_leaderboard

    return read_leaderboard(Lake(home.lake), dataset, windows)


def print_leaderboard(board: "pl.DataFrame", dataset: str) -> None:
    """A leaderboard as a table on stdout, and below it what has to be known to read it."""
    from mrs_pipeline.cli.tables import leaderboard_notes, leaderboard_table

    out.print(leaderboard_table(board, dataset))
    for line in leaderboard_notes(board, dataset):
        out.print(line, markup=False)
