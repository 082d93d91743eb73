"""Dagster's UI with the guard of `web_guard` before its web server: `python -m mrs_pipeline.orchestration.web dev ...`.

`dagster dev` starts web server and daemon as processes of their own. Here it starts this module in place of the web
server's; the arguments are Dagster's in both cases.
"""

import sys
from typing import Any, Final

import dagster._cli
import dagster_webserver.app
import dagster_webserver.cli
from dagster._cli import dev
from dagster_webserver.webserver import DagsterWebserver
from starlette.middleware import Middleware

from mrs_pipeline.orchestration.web_guard import guards

_SERVER: Final = "dagster_webserver"
_DAEMON: Final = "dagster._daemon"


class GuardedWebserver(DagsterWebserver[Any, Any]):
    """Dagster's web server behind the guard."""

    def build_middleware(self) -> list[Middleware]:
        """The guard, then what Dagster has."""
        return [*guards(), *super().build_middleware()]


def guarded_command(parts: list[str]) -> list[str]:
    """The command of a process that `dagster dev` starts, with the guarded web server in place of Dagster's.

    Raises:
        RuntimeError: it is neither web server nor daemon, so that it is not known whether it listens.
    """
    if _SERVER in parts:
        return [__spec__.name if part == _SERVER else part for part in parts]
    if _DAEMON in parts:
        return parts
    raise RuntimeError(f"this version of Dagster starts a process that is not known: {' '.join(parts[:4])}")


def be_dagster() -> None:
    """Be `dagster dev`, or the web server that it starts."""
    if sys.argv[1:2] == ["dev"]:
        _be_dagster_dev(dev, dagster._cli)
    else:
        _be_web_server(dagster_webserver.app, dagster_webserver.cli)


def _be_dagster_dev(program: Any, command_line: Any) -> None:
    start = program.open_ipc_subprocess

    def start_guarded(parts: list[str], **options: Any) -> Any:
        return start(guarded_command(parts), **options)

    program.open_ipc_subprocess = start_guarded
    command_line.main()


def _be_web_server(program: Any, command_line: Any) -> None:
    assert issubclass(GuardedWebserver, program.DagsterWebserver)
    program.DagsterWebserver = GuardedWebserver
    command_line.main()


if __name__ == "__main__":
    be_dagster()
