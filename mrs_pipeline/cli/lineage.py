"""`mrs lineage`: up from an asset or one recommendation to the raw files, down from a file to what was made of it."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from mrs_pipeline.cli.terminal import AsJson, DatasetName, Window, enter_home, out, show

if TYPE_CHECKING:
    from mrs_pipeline.storage.lake import Lake


def lineage(
    dataset: DatasetName,
    asset: Annotated[
        str | None,
        typer.Argument(
            metavar="[ASSET]",
            help="E.g. core/items, metrics/lightgcn, eval/report; with --down also a file: source/interactions.csv.",
        ),
    ] = None,
    *,
    window: Window = None,
    down: Annotated[bool, typer.Option("--down", help="Show what was made of it instead.")] = False,
    version: Annotated[
        str | None,
        typer.Option(metavar="DIGEST", help="With --down: of this version only; its first digits do."),
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="USER_ID", help="Of what this user is shown first; or of --item.")
    ] = None,
    item: Annotated[
        str | None, typer.Option(metavar="ITEM_ID", help="With --user: another item that the user is shown.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="With --user: whose list. Default: the leader of the window.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what made an asset and from what, with digests, up to the raw files; or down, what was made of it."""
    if (item is not None and user is None) or (asset is None) == (user is None):
        raise typer.BadParameter("name an ASSET, or a recommendation by --user USER_ID and --item ITEM_ID")
    if down and asset is None:
        raise typer.BadParameter("--down goes with an ASSET or a file", param_hint="--down")
    from mrs_pipeline.storage.lake import Lake

    lake = Lake(enter_home().lake)
    if user is not None:
        _print_place(lake, dataset, user, item, model=model, window=window, as_json=as_json)
    elif asset is not None and down:
        _print_descendants(lake, dataset, asset if window is None else f"{asset}@{window}", version, as_json)
    elif asset is not None:
        from mrs_pipeline.cli.tables import origin_data, origin_tree
        from mrs_pipeline.tasks.tracing import trace

        origin = trace(lake, dataset, asset, window)
        if as_json:
            show(origin_data(origin), str, as_json=True)
        else:
            out.print(origin_tree(origin), soft_wrap=True)


def _print_descendants(lake: "Lake", dataset: str, name: str, version: str | None, as_json: bool) -> None:
    import polars as pl

    from mrs_pipeline.cli.tables import frame_table
    from mrs_pipeline.tasks.following import follow

    found = follow(lake, dataset, name, version)
    rows = [
        {
            "steps": each.steps,
            "asset": each.name,
            "window": each.window,
            "digest": each.digest[:12],
            "made": f"{each.made_at:%Y-%m-%d %H:%M:%S}",
            "run": each.run[:8],
            "since": "" if each.latest else "made again",
        }
        for each in found
    ]
    title = f"made of {name}: {len({(each.name, each.window) for each in found})} assets"
    frame = pl.DataFrame(rows)
    show(frame, lambda: frame_table(frame, escape(title), whole=("asset",), most=None), as_json=as_json)


def _print_place(
    lake: "Lake",
    dataset: str,
    user: str,
    item: str | None,
    *,
    model: str | None,
    window: str | None,
    as_json: bool,
) -> None:
    from mrs_pipeline.cli.tables import frame_table, origin_data, origin_tree
    from mrs_pipeline.stored.origins import origin_of_place

    found = origin_of_place(lake, dataset, user, item, model=model, window=window)
    shown = found.shown
    if as_json:
        facts = {"model": shown.model, "window": shown.window, "rows": shown.rows, "files": found.files}
        show({**facts, **origin_data(found.origin)}, str, as_json=True)
        return
    place = f"place of {shown.rows['item_id'][0]} in the list of {shown.model}"
    title = f"{dataset}, user {user}: {place}, window {shown.window}"
    out.print(frame_table(shown.rows, escape(title)))
    if shown.notice:
        out.print(f"notice: {shown.notice}", markup=False, soft_wrap=True)
    out.print(
        frame_table(found.files, escape(f"raw files with events of {user}"), whole=("digest",), most=None)
    )
    out.print(origin_tree(found.origin), soft_wrap=True)
