"""Ctrl-C: one line that says how to go on, and the process is gone at once, whatever it is doing.

Python runs a signal's handler in the main thread between two of its own instructions, so a long query or a large
product would delay it, and every library on the way would have something to say. Here the main thread never sees the
signal: it is blocked there, and in the processes that are started from it; one thread waits for it. Ending a run at any
moment is safe: everything is published by a rename, and the next run goes on from what is there.
"""

import os
import shlex
import signal
import threading
from collections.abc import Callable, Sequence
from multiprocessing import resource_tracker
from typing import Final

CODE: Final = 130
"""The exit code of a process that Ctrl-C ended: 128 and the signal's number."""
_RESUMED: Final = ("run", "experiment", "tune", "bench")
"""Commands that go on where they stopped."""
_WARNINGS: Final = "PYTHONWARNINGS"
_before_the_end: list[Callable[[], None]] = []


def watch_for_interrupts(arguments: Sequence[str], clean_up: Callable[[], None]) -> None:
    """From now on Ctrl-C ends this process.

    Args:
        arguments: of the command, without the program's name.
        clean_up: what has to be done before the process ends.
    """
    if _goes_on(arguments):
        _start_tracker()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=_wait, args=(farewell(arguments), clean_up), daemon=True).start()


def before_the_end(work: Callable[[], None]) -> None:
    """Have something done when Ctrl-C ends this process; it has to be short."""
    _before_the_end.append(work)


def hand_over_interrupts() -> None:
    """Called before another program takes this process's place: Ctrl-C is its own again."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def farewell(arguments: Sequence[str]) -> str:
    """The line that is printed: the command to go on with is the one that was typed, without `--force`."""
    if not _goes_on(arguments):
        return "stopped"
    again = shlex.join(["mrs", *(each for each in arguments if each != "--force")])
    return f"stopped; `{again}` goes on"


def _start_tracker() -> None:
    """Python's own helper of worker processes: when it starts it unblocks the signal, so it starts before.

    It tidies up after a process that has ended suddenly, and would warn of what it found.
    """
    before = os.environ.get(_WARNINGS)
    os.environ[_WARNINGS] = "ignore"
    resource_tracker.ensure_running()
    if before is None:
        del os.environ[_WARNINGS]
    else:
        os.environ[_WARNINGS] = before


def _goes_on(arguments: Sequence[str]) -> bool:
    return bool(arguments) and arguments[0] in _RESUMED


def _wait(line: str, clean_up: Callable[[], None]) -> None:
    signal.sigwait({signal.SIGINT})
    os.write(2, f"\n{line}\n".encode())
    for work in (*_before_the_end, clean_up):
        work()
    os._exit(CODE)
