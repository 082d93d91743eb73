"""`mrs gc`: what takes space, and removing what nothing needs any more."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mrs_pipeline.cli.terminal import enter_home, err, out
from mrs_pipeline.errors import InputError

_MEGABYTE = 1e6


def gc(
    dataset: Annotated[str | None, typer.Argument(metavar="[DATASET]", help="Whose results.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Those of all datasets of this home.")] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove what is not needed; without it, it is only shown.")
    ] = False,
) -> None:
    """Show what takes space and what of it is not needed any more; with --delete remove that.

    What the settings make, and what the champion and the one before it need, always stays.
    """
    from mrs_pipeline.orchestration.launch import load_project
    from mrs_pipeline.promotion.garbage import held, remove

    if (dataset is None) != everything:
        raise InputError("name one dataset (`mrs gc DATASET`), or all of this home with `mrs gc --all`.")
    home = enter_home()
    project = load_project(home)
    if dataset is not None:
        project.config(dataset)
    things = held(home, project.configs, dataset)
    table = Table(title=escape(dataset or "all datasets"), title_justify="left")
    for name in ("kind", "things", "MB", "not needed", "MB freed"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    for kind in dict.fromkeys(each.kind for each in things):
        own = [each for each in things if each.kind == kind]
        loose = [each for each in own if not each.needed]
        sizes = sum(each.size for each in own) / _MEGABYTE, sum(each.freed for each in loose) / _MEGABYTE
        table.add_row(kind, str(len(own)), f"{sizes[0]:,.2f}", str(len(loose)), f"{sizes[1]:,.2f}")
    out.print(table)
    loose = [each for each in things if not each.needed]
    for each in loose:
        out.print(f"not needed: {each.what}", markup=False, soft_wrap=True)
    if not loose:
        out.print("everything is needed")
    elif delete:
        removed = remove(home, loose)
        out.print(f"removed {len(removed)} of {len(loose)}", markup=False)
    else:
        again = dataset or "--all"
        err.print(f"`mrs gc {again} --delete` removes what is not needed", markup=False)
