"""Commands that put a final model to use: serve, explain, export, and a list for a history of anybody."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrs_pipeline.cli.terminal import AsJson, DatasetName, Window, enter_home, err, listed, out, show
from mrs_pipeline.errors import InputError

if TYPE_CHECKING:
    from mrs_pipeline.serving.bundle import Bundle
    from mrs_pipeline.serving.explaining import Explanation
    from mrs_pipeline.tasks.task import Stage

TOKEN_VARIABLE = "MRS_SERVE_TOKEN"  # noqa: S105 - the name of the variable, not a token
_LOCAL = ("127.0.0.1", "localhost", "::1")
_LEAST_TOKEN = 16

Model = Annotated[
    str | None, typer.Option(help="Which model. Default: the champion; without one the leader of the window.")
]


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

    A champion that is promoted meanwhile, or without one a better model, takes its place without a request being
    dropped.
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
    from mrs_pipeline.promotion.decisions import champion_stage
    from mrs_pipeline.serving.swapping import Holder

    holder = Holder(_stage(dataset), model, window, champion=champion_stage)
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
    as_json: AsJson = False,
) -> None:
    """Say why items are recommended: what of their content, and what of the history, speaks for them."""
    from mrs_pipeline.serving.answers import recommend
    from mrs_pipeline.serving.explaining import explanation as ask
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
    show(
        [asdict(each) for each in found],
        lambda: "\n".join(line for each in found for line in _told(bundle, each)),
        as_json=as_json,
    )
    if into is not None:
        write_strip(bundle, found, into)
        (err if as_json else out).print(f"wrote {into}", markup=False, soft_wrap=True)


def _told(bundle: "Bundle", found: "Explanation") -> Iterator[str]:
    """Lines about one item of a list."""
    from mrs_pipeline.serving.explaining import sentence

    yield sentence(found)
    for name, value in sorted(found.paths.items(), key=lambda pair: -pair[1]):
        yield f"    {name:14} {value:+.4f}  ({found.excess[name]:+.4f} above average)"
    for name, ids in found.nearest.items():
        if ids:
            titles = [bundle.shelf.titles[bundle.shelf.number(other)] or other for other in ids]
            yield f"    nearest of the history by {name}: {', '.join(titles)}"
    for path in found.known:
        yield f"    known: {path}"


def export(
    dataset: DatasetName,
    *,
    into: Annotated[Path, typer.Option(help="A folder that is empty or not there yet.", file_okay=False)],
    model: Annotated[str | None, typer.Option(help="Which model. Default: the leader of the window.")] = None,
    window: Window = None,
    as_json: AsJson = False,
) -> None:
    """Write a model's vectors, index, lists and card into a folder, for use elsewhere."""
    from mrs_pipeline.serving.bundle import leading_model, serving_window
    from mrs_pipeline.serving.exporting import export as write

    into = into.resolve()
    stage = serving_window(_stage(dataset), window)
    paths = list(write(stage, model or leading_model(stage), into))
    show({"wrote": paths}, lambda: "\n".join(f"wrote {path}" for path in paths), as_json=as_json)


def graph(
    dataset: DatasetName,
    *,
    into: Annotated[Path, typer.Option(help="A file that is not there yet, .safetensors.", dir_okay=False)],
    window: Window = None,
    as_json: AsJson = False,
) -> None:
    """Write users, items, modalities and knowledge as one graph, for Torch Geometric and others."""
    from mrs_pipeline.orchestration.launch import default_windows
    from mrs_pipeline.orchestration.project import load_project
    from mrs_pipeline.stored.hetero_graph import write_hetero_graph
    from mrs_pipeline.tasks.task import Stage

    into = into.resolve()
    home = enter_home()
    project = load_project(home)
    stage = Stage(project.config(dataset), home, window or default_windows(project, dataset)[-1])
    shapes = write_hetero_graph(stage, into)
    lines = [*(f"{name} {shape}" for name, shape in shapes.items()), f"wrote {into}"]
    show({"wrote": into, "shapes": shapes}, lambda: "\n".join(lines), as_json=as_json)


def recommend_to_history(
    dataset: str, history: list[str], model: str | None, window: str | None, k: int, *, as_json: bool
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
    title = f"{dataset}, a history of {len(history)}: {found.model}, window {bundle.stage.window}"
    show(
        {"window": bundle.stage.window, "model": found.model, "rows": rows},
        lambda: frame_table(rows, title, most=None),
        as_json=as_json,
    )


def _bundle(dataset: str, model: str | None, window: str | None) -> "Bundle":
    from mrs_pipeline.promotion.decisions import champion_stage
    from mrs_pipeline.serving.bundle import leading_model, load_bundle, serving_window

    asked = _stage(dataset)
    if model is None and window is None and (found := champion_stage(asked)):
        return load_bundle(*found)
    stage = serving_window(asked, window)
    return load_bundle(stage, model or leading_model(stage))


def _stage(dataset: str) -> "Stage":
    from mrs_pipeline.orchestration.project import load_project
    from mrs_pipeline.tasks.task import Stage

    home = enter_home()
    return Stage(load_project(home).config(dataset), home)
