"""`mrs track`: a model told to an MLflow server."""

from typing import Annotated

import typer

from mrs_pipeline.cli.terminal import AsJson, DatasetName, Window, enter_home, show


def track(
    dataset: DatasetName,
    *,
    to: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="The server, http://host:5000, or a folder, file:///path.",
            envvar="MLFLOW_TRACKING_URI",
        ),
    ],
    model: Annotated[str | None, typer.Option(help="Only this model. Default: all of the dataset.")] = None,
    window: Window = None,
    as_json: AsJson = False,
) -> None:
    """Tell an MLflow server of the models of a window: settings, metrics, training curves, the card."""
    from mrs_pipeline.errors import InputError
    from mrs_pipeline.orchestration.launch import default_windows
    from mrs_pipeline.orchestration.project import load_project
    from mrs_pipeline.serving.tracking import track as tell
    from mrs_pipeline.tasks.node import Kind, Node
    from mrs_pipeline.tasks.places import exists
    from mrs_pipeline.tasks.task import Stage

    home = enter_home()
    project = load_project(home)
    config = project.config(dataset)
    stage = Stage(config, home, window or default_windows(project, dataset)[-1])
    kind = Kind.FINAL if config.serving.refit else Kind.TRAINED
    made = [name for name in config.model_configs if exists(stage, Node(kind, name))]
    chosen = [name for name in made if model in (None, name)]
    if not chosen:
        known = f"; there is {', '.join(made)}" if made else ""
        raise InputError(
            f"{model or 'no model'} of {dataset} has been made for window {stage.window}{known}: run "
            f"`mrs run {dataset} --window {stage.window}` first."
        )
    told = {name: tell(stage, name, to) for name in chosen}
    lines = [f"{name}: {'run' if new else 'known already, run'} {run}" for name, (run, new) in told.items()]
    rows = [{"model": name, "run": run, "new": new} for name, (run, new) in told.items()]
    show(rows, lambda: "\n".join(lines), as_json=as_json)
