"""Commands that put a final model to use: serve, explain, export, and a list for a history of anybody."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrs_pipeline.cli.terminal import DatasetName, Window, enter_home, err, listed, out
from mrs_pipeline.errors import InputError

if TYPE_CHECKING:
    from mrs_pipeline.serving.bundle import Bundle
    from mrs_pipeline.tasks.task import Stage

TOKEN_VARIABLE = "MRS_SERVE_TOKEN"  # noqa: S105 - the name of the variable, not a token
_LOCAL = ("127.0.0.1", "localhost", "::1")
_LEAST_TOKEN = 16

Model = Annotated[str | None, typer.Option(help="Which model. Default: the leader of the window.")]


def serve(
    dataset: DatasetName,
    *,
    model: Model = None,
    window: Window = None,
    host: Annotated[
        str, typer.Option(help=f"Address; any but localhost needs a token in {TOKEN_VARIABLE}.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    upload_mb: Annotated[float, typer.Option(min=0.1, max=1024, help="Most megabytes of a request.")] = 32.0,
    look_every: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds between looks for a newer model.")
    ] = 2.0,
) -> None:
    """Serve a final model over HTTP: lists, similar items, new items, explanations, and a page to look at.

    A model that `mrs run` makes meanwhile takes its place without a request being dropped.
    """
    token = os.environ.get(TOKEN_VARIABLE) or None
    if host not in _LOCAL and (token is None or len(token) < _LEAST_TOKEN):
        raise InputError(
            f"{host} can be reached by others: set {TOKEN_VARIABLE} to a secret of at least {_LEAST_TOKEN} characters, "
            "for instance `openssl rand -hex 16`, or leave --host out"
        )
    try:
        import uvicorn

        from mrs_pipeline.serving.app import make_app
    except ImportError as error:
        raise InputError(
            f"serving needs packages that are not installed ({error.name}): `pip install 'mrs-pipeline[serve]'`"
        ) from error
    from mrs_pipeline.serving.swapping import Holder

    holder = Holder(_stage(dataset), model, window)
    bundle = holder.served.bundle
    program = make_app(holder, token=token, local=host in _LOCAL, max_upload_mb=upload_mb)
    holder.watch(look_every)
    shown = f"[{host}]" if ":" in host else host
    out.print(
        f"{bundle.stage.config.name}: {bundle.name} of window {bundle.stage.window} on http://{shown}:{port} "
        "(Ctrl-C ends)",
        markup=False,
        soft_wrap=True,
    )
    try:
        uvicorn.run(program, host=host, port=port, log_level="warning", access_log=False)
    finally:
        holder.close()


def why_recommended(
    dataset: DatasetName,
    user_id: Annotated[
        str | None, typer.Argument(metavar="[USER_ID]", help="The user, as the raw files call them.")
    ] = None,
    *,
    history: Annotated[
        str | None,
        typer.Option(metavar="ITEM_IDS", help="Instead of a user: what somebody took, oldest first."),
    ] = None,
    item: Annotated[
        str | None, typer.Option(metavar="ITEM_ID", help="Which item. Default: the first three of the list.")
    ] = None,
    model: Model = None,
    window: Window = None,
    into: Annotated[
        Path | None, typer.Option(help="Also write a strip of pictures: .png or .html.", dir_okay=False)
    ] = None,
) -> None:
    """Say why items are recommended: what of their content, and what of the history, speaks for them."""
    from mrs_pipeline.serving.answers import recommend
    from mrs_pipeline.serving.explaining import explanation as ask
    from mrs_pipeline.serving.explaining import sentence
    from mrs_pipeline.serving.strip import write_strip

    if (user_id is None) == (history is None):
        raise InputError(
            f"name a user (`mrs explain {dataset} USER_ID`) or a history (`--history ITEM_ID,ITEM_ID`)"
        )
    bundle = _bundle(dataset, model, window)
    taken = listed(history) if history is not None else None
    items = (
        [item]
        if item
        else [each.item_id for each in recommend(bundle, 3, user=user_id, history=taken).places]
    )
    found = [ask(bundle, each, user=user_id, history=taken) for each in items]
    for each in found:
        out.print(sentence(each), markup=False, soft_wrap=True)
        for name, value in sorted(each.paths.items(), key=lambda pair: -pair[1]):
            out.print(f"    {name:14} {value:+.4f}  ({each.excess[name]:+.4f} above average)", markup=False)
        for name, ids in each.nearest.items():
            if ids:
                titles = [bundle.shelf.titles[bundle.shelf.number(other)] or other for other in ids]
                out.print(
                    f"    nearest of the history by {name}: {', '.join(titles)}", markup=False, soft_wrap=True
                )
    if into is not None:
        write_strip(bundle, found, into)
        out.print(f"wrote {into}", markup=False)


def export(
    dataset: DatasetName,
    *,
    into: Annotated[Path, typer.Option(help="A folder that is empty or not there yet.", file_okay=False)],
    model: Model = None,
    window: Window = None,
) -> None:
    """Write a model's vectors, index, lists and card into a folder, for use elsewhere."""
    from mrs_pipeline.serving.bundle import leading_model, serving_window
    from mrs_pipeline.serving.exporting import export as write

    into = into.resolve()
    stage = serving_window(_stage(dataset), window)
    for path in write(stage, model or leading_model(stage), into):
        out.print(f"wrote {path}", markup=False, soft_wrap=True)


def graph(
    dataset: DatasetName,
    *,
    into: Annotated[Path, typer.Option(help="A file that is not there yet, .safetensors.", dir_okay=False)],
    window: Window = None,
) -> None:
    """Write users, items, modalities and knowledge as one graph, for Torch Geometric and others."""
    from mrs_pipeline.orchestration.launch import default_windows, load_project
    from mrs_pipeline.stored.hetero_graph import write_hetero_graph
    from mrs_pipeline.tasks.task import Stage

    into = into.resolve()
    home = enter_home()
    project = load_project(home)
    stage = Stage(project.config(dataset), home, window or default_windows(project, dataset)[-1])
    for name, shape in write_hetero_graph(stage, into).items():
        out.print(f"{name} {shape}", markup=False, soft_wrap=True)
    out.print(f"wrote {into}", markup=False, soft_wrap=True)


def recommend_to_history(
    dataset: str, history: list[str], model: str | None, window: str | None, k: int
) -> None:
    """Print a list for a history of anybody, by the final model."""
    import polars as pl

    from mrs_pipeline.cli.tables import frame_table
    from mrs_pipeline.serving.answers import recommend

    bundle = _bundle(dataset, model, window)
    found = recommend(bundle, k, history=history)
    if found.notice:
        err.print(f"notice: {found.notice}", markup=False, soft_wrap=True)
    rows = pl.DataFrame(
        [(each.rank, each.item_id, each.title, each.score) for each in found.places],
        schema={"rank": pl.Int64, "item_id": pl.String, "title": pl.String, "score": pl.Float64},
        orient="row",
    )
    out.print(
        frame_table(
            rows, f"{dataset}, a history of {len(history)}: {found.model}, window {bundle.stage.window}"
        )
    )


def _bundle(dataset: str, model: str | None, window: str | None) -> "Bundle":
    from mrs_pipeline.serving.bundle import leading_model, load_bundle, serving_window

    stage = serving_window(_stage(dataset), window)
    return load_bundle(stage, model or leading_model(stage))


def _stage(dataset: str) -> "Stage":
    from mrs_pipeline.orchestration.launch import load_project
    from mrs_pipeline.tasks.task import Stage

    home = enter_home()
    return Stage(load_project(home).config(dataset), home)
