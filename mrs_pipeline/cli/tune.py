"""`mrs tune`: settings of models, searched on validation rows. The search is `tuning`, what is saved `presets`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from mrs_pipeline.cli.terminal import (
    AsJson,
    DatasetName,
    Window,
    enter_home,
    err,
    listed,
    out,
    show,
    show_steps,
)
from mrs_pipeline.errors import NonFiniteLossError

if TYPE_CHECKING:
    from mrs_pipeline.tuning.presets import Preset


def tune(
    dataset: DatasetName,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Models, see `mrs models`; all that the dataset's defs.yaml lists and that have a setting left "
            "to search if none is named.",
        ),
    ] = None,
    *,
    settings: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Search only these settings; the others stay as they are."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Most settings to try a model.")] = 20,
    window: Window = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Most epochs a trial, in place of the dataset's.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Validations without a gain, in place of the dataset's.")
    ] = None,
    save: Annotated[
        bool,
        typer.Option("--save", help="Keep what is found in presets.yaml beside the dataset's defs.yaml."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Search again, also what has been searched before.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Search settings of models on validation rows; the test rows are not looked at.

    The defaults are tried first, and settings are kept only if they beat them. What defs.yaml says of a model is fixed:
    it holds in every trial and is not searched. A search that was interrupted goes on where it stopped.
    """
    from mrs_pipeline.cli.tables import frame_table
    from mrs_pipeline.orchestration.launch import default_windows, run_dataset
    from mrs_pipeline.orchestration.project import load_project
    from mrs_pipeline.tasks.task import Stage
    from mrs_pipeline.tuning.dataset_search import models_to_search, preset_of, save_preset, search
    from mrs_pipeline.tuning.presets import PRESETS_FILE

    home = enter_home()
    project = load_project(home)
    config = project.config(dataset)
    only = [] if settings is None else listed(settings)
    chosen = models_to_search(config, models or [], only)
    budget = {name: value for name, value in (("epochs", epochs), ("patience", patience)) if value}
    show_steps()
    stage = Stage(config, home, window or default_windows(project, dataset)[-1])
    for line in run_dataset(project, dataset, [stage.window], [], force=False):
        err.print(line, markup=False)
    told = err if as_json else out  # model by model, as they end
    diverged, searched = [], []
    for model in chosen:
        training = config.training_of(model).model_copy(update=budget)
        try:
            found = search(stage, model, only=only, trials=trials, training=training, restart=force)
        except NonFiniteLossError as error:
            err.print(f"notice: {error}", soft_wrap=True, markup=False)
            diverged.append(model)
            continue
        table = found.trials.sort("score", descending=True, nulls_last=True)
        table = table if (table["failure"] != "").any() else table.drop("failure")
        metric = f"validation {config.evaluation.select_on}"
        title = f"{dataset}, window {stage.window}, {model}: {metric}"
        told.print(frame_table(table, title, whole=["overrides"]))
        options = {
            "window": stage.window if config.windowed else None,
            "settings": ",".join(only),
            "trials": trials,
            **budget,
        }
        preset = preset_of(stage, model, found, training, _command(dataset, model, options))
        searched.append({"model": model, "trials": table, "preset": preset.model_dump(mode="json")})
        lines = [_summary(model, preset)]
        if save:
            path = project.folders[dataset] / PRESETS_FILE
            save_preset(stage, path, model, preset)
            lines.append(f"saved in {path}")
        elif preset.settings:
            lines.append(_to_paste(model, preset))
        told.print("\n".join(lines), soft_wrap=True, markup=False)
    if as_json:
        show(searched, str, as_json=True)
    if save and not config.presets:
        err.print(f"notice: the defs.yaml of {dataset} says `presets: false`, so nothing starts from them")
    if diverged:
        raise typer.Exit(1)


def _command(dataset: str, model: str, options: Mapping[str, object]) -> str:
    """What finds the same preset again."""
    given = (f"--{name} {value}" for name, value in options.items() if value)
    return " ".join(["mrs tune", dataset, model, *given, "--save"])


def _summary(model: str, preset: "Preset") -> str:
    """What the search came to, in one line."""
    found = preset.found
    baseline = "diverged" if found.defaults_score is None else f"{found.defaults_score:.5f}"
    if found.chosen == "defaults":
        return f"{model}: none of {found.trials} settings tried beats the defaults, {found.metric} {baseline}"
    return f"{model}: {found.metric} {found.score:.5f}, defaults {baseline}, {found.trials} settings tried"


def _to_paste(model: str, preset: "Preset") -> str:
    """The settings as a person would write them; `--save` keeps them without."""
    import yaml

    section = {"models": {model: preset.found.fixed | preset.settings}}
    return f"the best, for the dataset's defs.yaml:\n{yaml.safe_dump(section, default_flow_style=None)}"
