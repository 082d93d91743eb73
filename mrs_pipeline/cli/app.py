"""`mrs`: the command line. Each command is a few lines over the rooms below; results on stdout, notices on stderr.

A mistake that a user can mend ends with one sentence and exit code 1; wrong usage with 2. Here are the commands that
make something; those that only look are in `results`, searching settings is in `tune`, measuring in
`bench`, how results look in `tables`. Heavy modules are imported by the command that needs them, so that
`--help` answers at once.
"""

import logging
import os
import socket
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from rich.markup import escape
from typer.core import TyperGroup

from mrs_pipeline.cli import currency, promotion, retention
from mrs_pipeline.cli import results as cli_results
from mrs_pipeline.cli import serving as cli_serving
from mrs_pipeline.cli.bench import bench
from mrs_pipeline.cli.interruption import before_the_end, hand_over_interrupts, watch_for_interrupts
from mrs_pipeline.cli.lineage import lineage
from mrs_pipeline.cli.reproduce import reproduce
from mrs_pipeline.cli.simulate import simulate
from mrs_pipeline.cli.terminal import (
    AsJson,
    Commands,
    DatasetName,
    ModelNames,
    Window,
    chosen_models,
    enter_home,
    err,
    listed,
    out,
    show,
    show_steps,
)
from mrs_pipeline.cli.tracking import track
from mrs_pipeline.cli.tune import tune
from mrs_pipeline.errors import InputError, MrsError
from mrs_pipeline.ingest.encodings import remove_copies
from mrs_pipeline.ingest.time_units import TimeUnit
from mrs_pipeline.machine import machine_fault
from mrs_pipeline.remote.media import remove_temporary
from mrs_pipeline.storage.home import HOME_VARIABLE
from mrs_pipeline.taxonomy import Modality
from mrs_pipeline.threads import yield_while_waiting

if TYPE_CHECKING:
    from mrs_pipeline.dataset import DatasetConfig


_LOCALHOST: Final = "127.0.0.1"


class _OneSentence(TyperGroup):
    """Turns the errors that people meet into one sentence on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            sentence = str(error) if isinstance(error, MrsError) else machine_fault(error)
            if sentence is None:  # usage, which Click says, or a fault of the program, said in full
                raise
            err.quiet = False
            err.print(f"[bold red]error:[/] {escape(sentence)}", soft_wrap=True)
            raise typer.Exit(1) from error


app = Commands(
    cls=_OneSentence,
    help="Multimodal recommender systems as a pipeline: raw files to features, models, checks and reports.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(asked: bool) -> None:
    if asked:
        from mrs_pipeline import __version__

        out.print(f"mrs_pipeline {__version__}")
        raise typer.Exit


@app.callback()
def _first_of_all(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Multimodal recommender systems as a pipeline: raw files to features, models, checks and reports."""


def main() -> NoReturn:
    """Entry point: run the command line and leave with its exit code."""
    yield_while_waiting()  # before a command loads torch
    watch_for_interrupts(sys.argv[1:], remove_copies)
    code = 0
    try:
        app()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except Exception:  # a fault of the program: said in full, and the exit below must still be taken
        traceback.print_exc()
        code = 1
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End the process without tearing modules down.

    Dagster keeps loaded modules alive to the last moment, and DuckDB's binding then prints pages about types that
    it believes leaked. All files are closed by then; what is buffered is flushed here.
    """
    logging.shutdown()
    remove_copies()
    remove_temporary()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@app.command()
def init(
    folder: Annotated[
        str | None,
        typer.Argument(
            help="A folder with interactions, items, images/, audio/, *.npy; a .zip; or an address such as "
            "s3://bucket/folder or https://host/file.csv.gz. Without it, only a home is made."
        ),
    ] = None,
    *,
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
    item_field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COLUMN",
            help="A column of the items file: item_id, title, description, image, audio, video or first_seen (since "
            "when it can be recommended); may be repeated.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Names for the columns of interactions without a header, e.g. user,item,rating; - for one not used.",
        ),
    ] = None,
    items_header: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="The same for items without a header, e.g. item_id,title."),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of text that is not UTF-8, e.g. latin-1 or shift_jis.")
    ] = None,
    ids: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS",
            help="What makes two ids one: strip (blanks), integers (12.0 is 12), zeros (012 is 12), lower, unicode; "
            "literal: texts such as nan and null are ids.",
        ),
    ] = None,
    time_unit: Annotated[TimeUnit | None, typer.Option(help="What numbers in the time column count.")] = None,
    min_rating: Annotated[float | None, typer.Option(help="Lowest rating that counts as liking.")] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE=MODALITY", help="Ready features and what they describe; may be repeated."),
    ] = None,
    no_modality: Annotated[
        list[Modality] | None, typer.Option(help="Content that is not to be used; may be repeated.")
    ] = None,
    reader: Annotated[
        str | None,
        typer.Option(help="folder, mmrec, or an official layout (ml-1m, hm, ...); by default the one found."),
    ] = None,
    choose: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="What an official layout leaves open; may be repeated."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the dataset's defs.yaml.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make this directory a home, and write the defs.yaml of a folder of raw files, saying what was found."""
    from mrs_pipeline.encoders.automatic import preferred_encoder
    from mrs_pipeline.ingest.inspection import PLAIN_ENCODERS, Overrides, inspect_folder
    from mrs_pipeline.orchestration.home import add_dataset, make_home

    root = Path(os.environ.get(HOME_VARIABLE) or Path.cwd()).resolve()
    overrides = Overrides(
        user_column=user_column,
        item_column=item_column,
        time_column=time_column,
        rating_column=rating_column,
        interactions=interactions,
        items=items,
        name=name,
        item_fields=_pairs(item_field or [], "--item-field NAME=COLUMN, e.g. --item-field image=photo"),
        columns=listed(columns) if columns else None,
        items_header=listed(items_header) if items_header else None,
        encoding=encoding,
        ids=listed(ids) if ids else (),
        time_unit=time_unit,
        min_rating=min_rating,
        features=_features(features or []),
        without=[str(modality) for modality in no_modality or []],
        reader=reader,
        choices=_pairs(choose or [], "--choose NAME=VALUE, e.g. --choose item=track"),
    )
    encoders = {modality: preferred_encoder(modality) for modality in PLAIN_ENCODERS}
    inspection = inspect_folder(folder, overrides, root, encoders) if folder else None
    wrote = [path.relative_to(root) for path in make_home(root)]
    found = list(inspection.findings) if inspection else []
    dataset = str(inspection.settings["name"]) if inspection else None
    lines = [*(f"wrote {path}" for path in wrote), *(f"found {line}" for line in found)]
    try:
        if inspection is None:
            lines.append("next: `mrs run demo`, or `mrs init FOLDER` for your own data")
        else:
            wrote.append(add_dataset(root, inspection, overwrite).relative_to(root))
            lines.append(f"wrote {wrote[-1]}: look it over, then `mrs run {dataset}`")
    finally:  # what was found is said also where it cannot be written
        show({"dataset": dataset, "found": found, "wrote": wrote}, lambda: "\n".join(lines), as_json=as_json)


@app.command()
def run(
    dataset: DatasetName,
    *,
    window: Annotated[
        list[str] | None,
        typer.Option(
            "--window",
            "-w",
            help="Window to train and score, e.g. 2021; may be repeated, or a range 2018..2021. "
            "Default: the last closed one.",
        ),
    ] = None,
    models: ModelNames = None,
    force: Annotated[
        bool, typer.Option("--force", help="Run everything again, also what is current.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a dataset's pipeline through Dagster: what is missing or out of date, from raw files to the report."""
    from mrs_pipeline.orchestration.executing import cancel_run
    from mrs_pipeline.orchestration.launch import default_windows, run_dataset
    from mrs_pipeline.orchestration.project import load_project

    chosen = chosen_models(models)
    before_the_end(cancel_run)
    home = enter_home()
    project = load_project(home)
    config = project.config(dataset)
    show_steps()
    windows = _windows(window, config) if window else default_windows(project, dataset)
    for line in run_dataset(project, dataset, windows, chosen, force):
        err.print(line, markup=False)
    board = cli_results.stored_leaderboard(home, dataset, windows) if config.model_configs else None
    page = home.reports / dataset / "report.html" if config.model_configs else None
    if as_json:
        show({"leaderboard": board, "report": page, "database": home.catalogue}, str, as_json=True)
        return
    if board is not None:
        cli_results.print_leaderboard(board, dataset)
        out.print(f"report    {page}", soft_wrap=True, markup=False)
    else:
        err.print(
            f"notice: {dataset} lists no models, so there is no leaderboard and no report", markup=False
        )
    out.print(f"database  {home.catalogue}", soft_wrap=True, markup=False)


@app.command()
def experiment(
    name: Annotated[
        str, typer.Argument(help="modality, fusion, enhancement, disentangled, training, missing or mirror.")
    ],
    dataset: DatasetName,
    *,
    window: Window = None,
    force: Annotated[bool, typer.Option("--force", help="Run it again, also if it is current.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run one of the experiments on your data; one that was interrupted goes on where it stopped."""
    from mrs_pipeline.cli.tables import experiment_table
    from mrs_pipeline.orchestration.executing import cancel_run
    from mrs_pipeline.orchestration.launch import default_windows, run_on_request
    from mrs_pipeline.orchestration.project import load_project
    from mrs_pipeline.stages.study import page_path
    from mrs_pipeline.studies.registry import experiment as find
    from mrs_pipeline.tasks.node import Kind, Node
    from mrs_pipeline.tasks.task import Stage

    asked = find(name)
    before_the_end(cancel_run)
    home = enter_home()
    project = load_project(home)
    config = project.config(dataset)
    show_steps()
    chosen = window or default_windows(project, dataset)[-1]
    for line in run_on_request(project, dataset, Node(Kind.EXPERIMENTS, name), chosen, force):
        err.print(line, markup=False)
    stage = Stage(config, home, chosen)
    rows = stage.lake.read(stage.table("eval", "experiments", experiment=name))
    page = page_path(stage, name)
    if as_json:
        show({"question": asked.question, "arms": rows, "page": page}, str, as_json=True)
        return
    out.print(asked.question, markup=False)
    out.print(experiment_table(rows, f"{asked.title}: {dataset}, window {chosen}"))
    out.print(f"page      {page}", soft_wrap=True, markup=False)


@app.command()
def ui(*, port: Annotated[int, typer.Option(min=1, max=65535, help="Port on localhost.")] = 3000) -> None:
    """Open the Dagster UI with this home's assets and runs, on localhost only."""
    from mrs_pipeline.orchestration.accelerators import guard_accelerators
    from mrs_pipeline.orchestration.dead_runs import close_dead_runs
    from mrs_pipeline.orchestration.instance import open_instance

    home = enter_home()
    workspace = home.root / "workspace.yaml"
    if not workspace.is_file():
        raise InputError(f"{workspace} is not there; run `mrs init` to have it written again.")
    if not _free(port):
        raise InputError(f"port {port} is taken, perhaps by another `mrs ui`; give --port another number.")
    with open_instance(home.root) as instance:
        close_dead_runs(instance)
        guard_accelerators(instance)
    out.print(f"the UI opens on http://{_LOCALHOST}:{port} in some seconds; Ctrl-C ends it", markup=False)
    sys.stdout.flush()
    where = ["--workspace", str(workspace), "--host", _LOCALHOST, "--port", str(port)]
    quiet = ["--log-level", "warning", "--code-server-log-level", "warning"]
    os.environ["PYTHONWARNINGS"] = (
        "ignore"  # of Dagster about itself, here and in the processes that it starts
    )
    hand_over_interrupts()
    os.execv(  # noqa: S606 - Dagster gets the terminal
        sys.executable, [sys.executable, "-m", "mrs_pipeline.orchestration.web", "dev", *where, *quiet]
    )


for command in (
    tune,
    currency.status,
    currency.verify,
    promotion.promote,
    promotion.rollback,
    promotion.champions,
    retention.gc,
    cli_results.leaderboard,
    cli_results.recommend,
    cli_serving.export,
    cli_serving.graph,
    cli_serving.serve,
    lineage,
    reproduce,
    simulate,
    track,
    cli_results.query,
    cli_results.datasets,
    cli_results.models,
):
    app.command()(command)
app.command("explain")(cli_serving.why_recommended)
app.add_typer(bench, name="bench")


def _free(port: int) -> bool:
    """Whether nobody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex((_LOCALHOST, port)) != 0


def _pairs(texts: list[str], written: str) -> dict[str, str]:
    """`image=photo` as name and value; `written` says how it should be."""
    pairs = [text.partition("=")[::2] for text in texts]
    if not all(name and value for name, value in pairs):
        raise typer.BadParameter(f"write {written}")
    return dict(pairs)


def _features(texts: list[str]) -> dict[str, str]:
    """`clip.npy=image` as file and modality."""
    pairs = _pairs(texts, "--features FILE=MODALITY, e.g. --features clip.npy=image")
    wrong = [modality for modality in pairs.values() if modality not in tuple(Modality)]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]} is none of {', '.join(Modality)}")
    return pairs


def _windows(asked: list[str], config: "DatasetConfig") -> list[str]:
    """Single windows and ranges `first..last`, in order, each once; what is unknown is left to be refused."""
    from datetime import UTC, datetime

    from mrs_pipeline.windows import scored_keys

    keys = scored_keys(config.window, datetime.now(UTC))
    chosen: set[str] = set()
    for part in asked:
        first, dots, last = part.partition("..")
        chosen |= {key for key in keys if dots and first <= key <= last} or {part}
    return sorted(chosen)
