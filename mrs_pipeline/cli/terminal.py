"""What every command shares: streams, home, progress on stderr, `--json`, `--quiet`. No command is here."""

import inspect
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from datetime import date
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler

from mrs_pipeline.cli.completing import dataset_names, model_names
from mrs_pipeline.storage.home import HOME_VARIABLE, STORE_VARIABLE, Home, find_home

if TYPE_CHECKING:
    from rich.console import RenderableType

_PIPE_WIDTH = 140


def _console(*, stderr: bool) -> Console:
    """As wide as the terminal; wide enough for a table where there is none."""
    stream = sys.stderr if stderr else sys.stdout
    fits_itself = stream.isatty() or "COLUMNS" in os.environ
    return Console(stderr=stderr, highlight=False, emoji=False, width=None if fits_itself else _PIPE_WIDTH)


out = _console(stderr=False)
err = _console(stderr=True)


DatasetName = Annotated[
    str,
    typer.Argument(
        metavar="DATASET", help="A dataset of this home, see `mrs datasets`.", autocompletion=dataset_names
    ),
]
Window = Annotated[str | None, typer.Option("--window", "-w", help="The window. Default: the last one.")]


ModelNames = Annotated[
    str | None, typer.Option(help="Only these models, separated by commas.", autocompletion=model_names)
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON on the standard output, for programs.")
]
_Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors: no notices, no progress.")
]


class Commands(typer.Typer):
    """A group of commands, each of which takes `--quiet`."""

    def command(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        """Register a function as a command; the function itself stays as it is."""
        register = super().command(*args, **options)

        def registered(function: Callable[..., None]) -> Callable[..., None]:
            register(_with_quiet(function))
            return function

        return registered


def _with_quiet(function: Callable[..., None]) -> Callable[..., None]:
    @wraps(function)
    def command(*args: Any, quiet: bool = False, **options: Any) -> None:
        err.quiet = quiet
        function(*args, **options)

    signature = inspect.signature(function)
    option = inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_Quiet)
    command.__signature__ = signature.replace(  # type: ignore[attr-defined]  # what typer reads
        parameters=[*signature.parameters.values(), option]
    )
    command.__annotations__ = {**function.__annotations__, "quiet": _Quiet}
    return command


def show(result: object, drawn: "Callable[[], RenderableType]", *, as_json: bool) -> None:
    """Print a result: for people what `drawn` makes of it, for programs the result as JSON.

    Args:
        result: a frame, or mappings and lists of frames, texts, numbers, moments and paths.
        drawn: makes a table, a tree or a text; a text is printed without markup. Not called for JSON.
        as_json: which of the two; a command takes it as `as_json: AsJson = False`.
    """
    if as_json:
        sys.stdout.write(json_text(result) + "\n")
        return
    shown = drawn()
    out.print(shown, soft_wrap=isinstance(shown, str), markup=not isinstance(shown, str))


def json_text(result: object) -> str:
    """A result as JSON: frames as lists of rows, moments in ISO 8601, what is no finite number as null."""
    return json.dumps(result, ensure_ascii=False, indent=2, allow_nan=False, default=_encoded)


def _encoded(value: Any) -> Any:
    """What JSON itself has no word for."""
    import polars as pl

    if isinstance(value, pl.DataFrame):
        finite = pl.selectors.float()
        return value.with_columns(pl.when(finite.is_finite()).then(finite)).to_dicts()
    if isinstance(value, date):  # a datetime is one
        return value.isoformat()
    return dict(value) if isinstance(value, Mapping) else str(value)


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
    """A line on stderr for each finished step; none with `--quiet`."""
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
