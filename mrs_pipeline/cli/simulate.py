"""`mrs simulate`: a year fed file by file to the daemon, with accidents, and the page that tells its story."""

import shutil
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from mrs_pipeline.cli.interruption import before_the_end
from mrs_pipeline.cli.terminal import (
    AsJson,
    DatasetName,
    ModelNames,
    chosen_models,
    enter_home,
    out,
    show,
    show_steps,
)

if TYPE_CHECKING:
    from mrs_pipeline.reporting.simulation_inputs import YearInputs


def simulate(
    dataset: DatasetName,
    *,
    models: ModelNames = None,
    months: Annotated[
        int | None,
        typer.Option(
            min=4, help="Feed only the first so many windows that have history. Default: all of them."
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Keep both homes in this new folder. Default: a temporary one.", file_okay=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Feed a dataset month by month to the daemon, with a late, a corrupt and a changed file and a killed run.

    The same months are then run without accidents; exit code 1 where the contents of the two homes differ. Nothing of
    this home is changed but the page, in data/reports/DATASET/simulation.html. Choose cheap --models: every month is
    trained three times at least.
    """
    from mrs_pipeline.errors import InputError
    from mrs_pipeline.orchestration.daemon import end_children
    from mrs_pipeline.orchestration.project import load_project
    from mrs_pipeline.reporting.simulation_page import simulation_page
    from mrs_pipeline.simulation.story import eventful
    from mrs_pipeline.simulation.year import fed_months
    from mrs_pipeline.simulation.year import simulate as play
    from mrs_pipeline.storage.pages import replace_text

    home = enter_home()
    config = load_project(home).config(dataset)
    story = eventful(fed_months(config, months))
    chosen = chosen_models(models) or list(config.model_configs)
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty: name a new folder.")
    show_steps()
    before_the_end(end_children)
    kept = nullcontext(folder) if folder else tempfile.TemporaryDirectory(prefix="mrs-simulate-")
    with kept as place:
        if folder is None:
            before_the_end(lambda: shutil.rmtree(place, ignore_errors=True))
        year = play(config, home, story, chosen, Path(place).resolve())
    page = home.reports / dataset / "simulation.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    replace_text(page, simulation_page(year))
    show(
        {"same": year.same, "compared": year.compared, "page": page},
        lambda: _told(year),
        as_json=as_json,
    )
    if not as_json:
        out.print(f"page      {page}", soft_wrap=True, markup=False)
    if not year.same:
        raise typer.Exit(1)


def _told(year: "YearInputs") -> str:
    different = year.compared.remove("same")
    lines = [f"{row['month']} {row['asset']} differs: {row['difference']}" for row in different.to_dicts()]
    if year.restored is False:
        lines.append("the rollback did not give back the weights that its champion was promoted with")
    same = year.compared.height - different.height
    lines.append(f"{escape(year.dataset)}: {same} of {year.compared.height} outputs of both homes are equal")
    return "\n".join(lines)
