"""`mrs reproduce`: a recorded model made again in a temporary home, and whether it comes out the same."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from mrs_pipeline.cli.terminal import AsJson, DatasetName, Window, enter_home, err, show, show_steps

if TYPE_CHECKING:
    from mrs_pipeline.dataset import DatasetConfig
    from mrs_pipeline.storage.lake import Lake

_SHOWN_DIGITS = 16


def reproduce(
    dataset: DatasetName,
    model: Annotated[
        str, typer.Argument(metavar="MODEL|RUN", help="A model of the dataset, or a run that trained one.")
    ],
    *,
    window: Window = None,
    as_json: AsJson = False,
) -> None:
    """Make a recorded model again from the raw files, elsewhere, and compare digests and metrics.

    Exit code 1 where anything differs. The home stays as it is; the temporary folder needs as much room as the data,
    the features and the weights that are compared, and is removed.
    """
    import polars as pl

    from mrs_pipeline.cli.tables import frame_table
    from mrs_pipeline.orchestration.launch import default_windows
    from mrs_pipeline.orchestration.project import load_project
    from mrs_pipeline.orchestration.reproducing import changed_since
    from mrs_pipeline.orchestration.reproducing import reproduce as make_again
    from mrs_pipeline.storage.lake import Lake
    from mrs_pipeline.tasks.task import Stage

    home = enter_home()
    project = load_project(home)
    config = project.config(dataset)
    name, key = _model_and_window(Lake(home.lake), config, model, window)
    stage = Stage(config, home, key or default_windows(project, dataset)[-1])
    for reason in changed_since(stage, name):
        err.print(f"notice: since it was made, {reason}", markup=False, soft_wrap=True)
    show_steps()
    with tempfile.TemporaryDirectory(prefix="mrs-reproduce-") as folder:
        found = make_again(stage, name, Path(folder))
    rows = [
        {
            "asset": str(each.node),
            "recorded": each.recorded[:_SHOWN_DIGITS],
            "made again": each.again[:_SHOWN_DIGITS],
            "same": ("yes" if each.same else "NO")
            + ("" if each.difference is None else f", largest difference {each.difference:g}"),
        }
        for each in found
    ]
    same = sum(each.same for each in found)
    title = f"{name} of {dataset}, window {stage.window}: {same} of {len(found)} come out as recorded"
    frame = pl.DataFrame(rows)
    show(frame, lambda: frame_table(frame, escape(title), whole=("asset",), most=None), as_json=as_json)
    if same < len(found):
        raise typer.Exit(1)


def _model_and_window(
    lake: "Lake", config: "DatasetConfig", asked: str, window: str | None
) -> tuple[str, str | None]:
    """The model that is meant, and the window that the run was for, if it is a run that was named."""
    from mrs_pipeline.errors import InputError
    from mrs_pipeline.orchestration.reproducing import recorded_models

    if asked in config.model_configs:
        return asked, window
    trained = [each for each in recorded_models(lake, config.name, asked) if window in (None, each[1])]
    if not trained:
        raise InputError(
            f"{asked} is neither a model of {config.name} ({', '.join(config.model_configs)}) nor a run that "
            "trained one."
        )
    if len(trained) > 1:
        told = ", ".join(f"{model} at {key}" for model, key in trained)
        raise InputError(f"run {asked} trained {told}: name one of the models, and --window.")
    return trained[0]
