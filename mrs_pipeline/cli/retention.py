"""`mrs gc`: what takes space, and removing what nothing needs any more."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from mrs_pipeline.cli.terminal import AsJson, enter_home, err, show
from mrs_pipeline.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrs_pipeline.promotion.garbage import Held

_MEGABYTE = 1e6


def gc(
    dataset: Annotated[str | None, typer.Argument(metavar="[DATASET]", help="Whose results.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Those of all datasets of this home.")] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove what is not needed; without it, it is only shown.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what takes space and what of it is not needed any more; with --delete remove that.

    What the settings make, and what the champion and the one before it need, always stays.
    """
    from mrs_pipeline.orchestration.project import load_project
    from mrs_pipeline.promotion.garbage import held, remove

    if (dataset is None) != everything:
        raise InputError("name one dataset (`mrs gc DATASET`), or all of this home with `mrs gc --all`.")
    home = enter_home()
    project = load_project(home)
    if dataset is not None:
        project.config(dataset)
    things = held(home, project.configs, dataset)
    loose = [each for each in things if not each.needed]
    show(
        [asdict(each) for each in things], lambda: _kinds(dataset or "all datasets", things), as_json=as_json
    )
    if loose and delete:
        removed = remove(home, loose)
        err.print(f"removed {len(removed)} of {len(loose)}", markup=False)
    elif loose:
        again = dataset or "--all"
        err.print(f"`mrs gc {again} --delete` removes what is not needed", markup=False)


def _kinds(title: str, things: "Sequence[Held]") -> Group:
    table = Table(title=escape(title), title_justify="left")
    for name in ("kind", "things", "MB", "not needed", "MB freed"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    for kind in dict.fromkeys(each.kind for each in things):
        own = [each for each in things if each.kind == kind]
        loose = [each for each in own if not each.needed]
        sizes = sum(each.size for each in own) / _MEGABYTE, sum(each.freed for each in loose) / _MEGABYTE
        table.add_row(kind, str(len(own)), f"{sizes[0]:,.2f}", str(len(loose)), f"{sizes[1]:,.2f}")
    lines = [f"not needed: {each.what}" for each in things if not each.needed]
    return Group(table, *(escape(line) for line in lines or ["everything is needed"]))
