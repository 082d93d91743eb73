"""`mrs`: the command line. Each command is a few lines over the rooms below; results on stdout, notices on stderr.

A mistake that a user can mend ends with one sentence and exit code 1; wrong usage with 2.
"""

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import polars as pl
import typer
from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler
from rich.markup import escape
from rich.table import Table as RichTable

from mrs_pipeline.errors import InputError, MrsError
from mrs_pipeline.storage.home import Home, find_home

if TYPE_CHECKING:
    from mrs_pipeline.orchestration.launch import Project

app = typer.Typer(
    help="Multimodal recommender systems as a pipeline: raw files to features, models, checks and reports.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
bench = typer.Typer(
    help="Measure speed and memory; nothing is asserted, a table is printed.", no_args_is_help=True
)
app.add_typer(bench, name="bench")

out = Console()
err = Console(stderr=True)

DatasetName = Annotated[str, typer.Argument(help="A dataset of this home, see `mrs datasets`.")]


def main() -> NoReturn:
    """Entry point: run the command line and turn known errors into one sentence."""
    code = 0
    try:
        app()
    except MrsError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        code = 1
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End the process without tearing modules down.

    Dagster keeps loaded modules alive to the last moment, and DuckDB's binding then prints pages about types that
    it believes leaked. All files are closed by then; what is buffered is flushed here.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@app.command()
def init(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="A folder with interactions, items, images/, audio/, *.npy. Without it, only the home is made."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the dataset; by default that of the folder.")
    ] = None,
    interactions: Annotated[
        str | None, typer.Option(help="The interactions file, if its name does not say so.")
    ] = None,
    items: Annotated[str | None, typer.Option(help="The items file, if its name does not say so.")] = None,
    user_column: Annotated[str | None, typer.Option(help="Column of the user.")] = None,
    item_column: Annotated[str | None, typer.Option(help="Column of the item.")] = None,
    time_column: Annotated[str | None, typer.Option(help="Column of the time.")] = None,
    rating_column: Annotated[str | None, typer.Option(help="Column of the rating.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the dataset's defs.yaml.")] = False,
) -> None:
    """Make this folder a home and write a defs.yaml for a folder of raw files, saying what was found."""
    from mrs_pipeline.ingest.inspection import Overrides, inspect_folder
    from mrs_pipeline.orchestration.home import add_dataset, is_home, make_home

    root = Path(os.environ.get("MRS_HOME") or Path.cwd()).resolve()
    overrides = Overrides(
        user_column=user_column,
        item_column=item_column,
        time_column=time_column,
        rating_column=rating_column,
        interactions=interactions,
        items=items,
        name=name,
    )
    inspection = inspect_folder(folder.resolve(), overrides) if folder else None
    for path in [] if is_home(root) else make_home(root):
        out.print(f"wrote {path.relative_to(root)}", highlight=False)
    if inspection is None:
        out.print("next: mrs run demo, or mrs init FOLDER for your own data", highlight=False)
        return
    for line in inspection.findings:
        out.print(f"found {line}", highlight=False, soft_wrap=True)
    path = add_dataset(root, inspection, overwrite)
    out.print(
        f"wrote {path.relative_to(root)}: look it over, then mrs run {inspection.settings['name']}",
        soft_wrap=True,
        highlight=False,
    )


@app.command()
def run(
    dataset: DatasetName,
    window: Annotated[
        list[str] | None,
        typer.Option(
            help="Window to train and score, e.g. 2021; repeat it, or give a range 2018..2021. Default: the last closed one."
        ),
    ] = None,
    models: Annotated[str | None, typer.Option(help="Only these models, separated by commas.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Run everything again, also what is current.")
    ] = False,
) -> None:
    """Run a dataset's pipeline through Dagster: whatever is missing or out of date, from raw files to the report."""
    from mrs_pipeline.orchestration.launch import default_windows, load_project, run_dataset

    home = _enter_home()
    _show_progress()
    project = load_project(home)
    config = project.config(dataset)
    windows = _windows(window, project, dataset) if window else default_windows(config)
    chosen = [name.strip() for name in models.split(",") if name.strip()] if models is not None else None
    for line in run_dataset(project, dataset, windows, chosen, force):
        err.print(line, highlight=False)
    _print_leaderboard(home, dataset, windows)
    out.print(f"report    {home.reports / dataset / 'report.html'}", soft_wrap=True, highlight=False)
    out.print(f"database  {home.catalogue}", soft_wrap=True, highlight=False)


@app.command()
def leaderboard(
    dataset: DatasetName,
    window: Annotated[str | None, typer.Option(help="Only this window.")] = None,
) -> None:
    """Print the leaderboard of a dataset: recall and ndcg with 95 % intervals over users, time and memory."""
    _print_leaderboard(_enter_home(), dataset, [window] if window else None)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help='A SELECT, e.g. "SELECT * FROM eval.leaderboard".')],
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """Ask the DuckDB catalogue a question; works while runs go on."""
    from mrs_pipeline.storage.catalogue import query as ask

    frame = ask(_enter_home(), sql)
    if csv:
        sys.stdout.write(frame.write_csv())
        return
    with pl.Config(
        tbl_rows=60, tbl_cols=40, fmt_str_lengths=60, tbl_hide_dataframe_shape=True, tbl_width_chars=200
    ):
        out.print(str(frame), soft_wrap=True, highlight=False, markup=False)


@app.command()
def datasets() -> None:
    """List the datasets of this home, their windows and models."""
    from mrs_pipeline.orchestration.launch import load_project

    project = load_project(_enter_home())
    table = RichTable("dataset", "source", "windows", "features", "models")
    for name, config in sorted(project.configs.items()):
        windows = f"{config.window.every} from {config.window.start}" if config.windowed else "none"
        features = ", ".join(sorted(f"{modality}" for modality in config.model_features)) or "none"
        table.add_row(
            name,
            config.source.path or config.source.reader,
            windows,
            features,
            ", ".join(config.model_configs),
        )
    out.print(table)


@app.command()
def models(
    by_cell: Annotated[
        bool,
        typer.Option("--by-cell", help="Show the survey's taxonomy and which models stand in each cell."),
    ] = False,
) -> None:
    """List the models with their places in the survey's taxonomy, what they need and what they cost."""
    from mrs_pipeline.models.registry import MODELS
    from mrs_pipeline.reporting.taxonomy_matrix import matrix_text, taxonomy_matrix

    if by_cell:
        matrix = taxonomy_matrix(
            [(name, [str(cell) for cell in model.spec.cells]) for name, model in MODELS.items()]
        )
        out.print(matrix_text(matrix, width=out.width), highlight=False, markup=False)
        return
    table = RichTable("model", "taxonomy", "item features", "time and memory", "paper")
    for name, model in MODELS.items():
        spec = model.spec
        table.add_row(
            name, "\n".join(sorted(spec.cells)), spec.features, spec.complexity, f"{spec.title}, {spec.paper}"
        )
    out.print(table)


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port on localhost.")] = 3000) -> None:
    """Open the Dagster UI with this home's runs, on localhost only."""
    home = _enter_home()
    arguments = [
        "dagster",
        "dev",
        "--workspace",
        str(home.root / "workspace.yaml"),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    program = Path(sys.executable).with_name("dagster")
    os.execv(str(program), arguments)  # noqa: S606 - hands the terminal over to Dagster


def _show_progress() -> None:
    """A line on stderr for each finished step."""
    handler = RichHandler(console=err, show_path=False, show_level=False, highlighter=NullHighlighter())
    log = logging.getLogger("mrs_pipeline")
    log.addHandler(handler)
    log.setLevel(logging.INFO)


def _enter_home() -> Home:
    """Work from the home's folder, so that relative paths in its settings hold, with its Dagster instance."""
    home = find_home()
    os.chdir(home.root)
    os.environ["MRS_HOME"] = str(home.root)
    os.environ["DAGSTER_HOME"] = str(home.root)
    if str(home.root) not in sys.path:
        sys.path.insert(0, str(home.root))
    return home


def _windows(asked: list[str], project: "Project", dataset: str) -> list[str]:
    """Single windows and ranges `first..last`, in order, each once."""
    from datetime import UTC, datetime

    from mrs_pipeline.windows import scored_keys

    keys = scored_keys(project.config(dataset).window, datetime.now(UTC))
    chosen: set[str] = set()
    for part in asked:
        first, dots, last = part.partition("..")
        chosen |= {key for key in keys if first <= key <= last} if dots else {part}
        if dots and not chosen:
            raise InputError(
                f"{dataset} has no window between {first} and {last}; its windows are {keys[0]} to {keys[-1]}."
            )
    return sorted(chosen)


def _print_leaderboard(home: Home, dataset: str, windows: list[str] | None) -> None:
    """The leaderboard of some windows as a table on stdout."""
    from mrs_pipeline.storage.lake import Lake, Table

    board = Lake(home.lake).read(Table.of("eval", "leaderboard", dataset=dataset))
    chosen = board.filter(pl.col("window").is_in(windows)) if windows else board
    table = RichTable(title=f"{dataset}: mean over seeds, 95 % interval over users", title_justify="left")
    for name in ("window", "rank", "model"):
        table.add_column(name)
    for name in ("recall@20", "interval", "ndcg@20", "cold recall@20", "seconds", "MB"):
        table.add_column(name, justify="right")
    for row in chosen.sort("window", "rank").iter_rows(named=True):
        cold = row.get("cold_recall@20")
        table.add_row(
            row["window"],
            str(row["rank"]),
            row["model"],
            f"{row['recall@20']:.4f}",
            f"{row['recall@20_ci_low']:.4f} to {row['recall@20_ci_high']:.4f}",
            f"{row['ndcg@20']:.4f}",
            "" if cold is None else f"{cold:.4f}",
            f"{row['seconds']:.1f}",
            f"{row['peak_memory_mb']:.0f}",
        )
    out.print(table)
