"""What every command shares: its two streams, the home that it works in, progress on stderr. No command is here."""

import logging
import os
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler

from mrs_pipeline.storage.home import HOME_VARIABLE, STORE_VARIABLE, Home, find_home

_PIPE_WIDTH = 140


def _console(*, stderr: bool) -> Console:
    """As wide as the terminal; wide enough for a table where there is none."""
    stream = sys.stderr if stderr else sys.stdout
    fits_itself = stream.isatty() or "COLUMNS" in os.environ
    return Console(stderr=stderr, highlight=False, emoji=False, width=None if fits_itself else _PIPE_WIDTH)


out = _console(stderr=False)
err = _console(stderr=True)


DatasetName = Annotated[
    str, typer.Argument(metavar="DATASET", help="A dataset of this home, see `mrs datasets`.")
]
Window = Annotated[str | None, typer.Option("--window", "-w", help="The window. Default: the last one.")]


ModelNames = Annotated[str | None, typer.Option(help="Only these models, separated by commas.")]


def listed(text: str) -> list[str]:
    """The names in an option that lists them, separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def chosen_models(text: str | None) -> list[str] | None:
    """The names of a `--models` option; None means all of them."""
    if text is None:
        return None
    names = listed(text)
    if not names:
        raise typer.BadParameter("name at least one model, or leave --models out for all of them")
    return names


def show_steps() -> None:
    """A line on stderr for each finished step."""
    log = logging.getLogger("mrs_pipeline")
    log.handlers = [
        RichHandler(console=err, show_path=False, show_level=False, highlighter=NullHighlighter())
    ]
    log.setLevel(logging.INFO)


def enter_home() -> Home:
    """Work from the home's folder, so that relative paths in its settings hold, with its Dagster instance.

    Where results are in object storage, what is newer there is taken over first.
    """
    home = find_home()
    os.chdir(home.root)
    os.environ[HOME_VARIABLE] = str(home.root)
    os.environ["DAGSTER_HOME"] = str(home.root)
    if str(home.root) not in sys.path:
        sys.path.insert(0, str(home.root))
    share(home)
    return home


def share(home: Home) -> None:
    """Take over what is newer in the object storage of `MRS_STORE`, and publish what is newer here."""
    if not os.environ.get(STORE_VARIABLE):
        return
    from mrs_pipeline.storage.publication import publication

    store = publication(home)
    if store is not None:
        store.pull()
        store.push()
