"""Ctrl-C: one line that says how to go on, and the process is gone within two seconds, whatever it is doing.

Python runs a signal's handler between two of its own instructions, so a long query or a large product would delay it.
Here the byte that the system's own handler writes wakes a thread. Killing a run at any moment is safe: everything is
published by a rename, and the next run goes on from what is there.
"""

import os
import shlex
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

CODE: Final = 130
"""The exit code of a process that Ctrl-C ended: 128 and the signal's number."""
_RESUMED: Final = ("run", "experiment", "tune", "bench")
"""Commands that go on where they stopped."""
_GRACE: Final = 1.0
"""Seconds for what is open to be closed."""

_interrupted = threading.Event()


def interrupted() -> bool:
    """Whether Ctrl-C has been pressed."""
    return _interrupted.is_set()


def watch_for_interrupts(arguments: Sequence[str], clean_up: Callable[[], None]) -> None:
    """From now on Ctrl-C ends this process.

    Args:
        arguments: of the command, without the program's name.
        clean_up: what has to be done before the process ends.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_wait, args=(reading, farewell(arguments), clean_up), daemon=True).start()


def farewell(arguments: Sequence[str]) -> str:
    """The line that is printed: the command to go on with is the one that was typed, without `--force`."""
    if not arguments or arguments[0] not in _RESUMED:
        return "stopped"
    again = shlex.join(["mrs", *(each for each in arguments if each != "--force")])
    return f"stopped; `{again}` goes on"


def _wait(reading: int, line: str, clean_up: Callable[[], None]) -> None:
    while signal.SIGINT not in os.read(reading, 64):
        pass
    _interrupted.set()
    os.write(2, f"\n{line}\n".encode())
    # Libraries that are torn out of their work have much to say, and none of it is news.
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    os.dup2(silence, 1)
    time.sleep(_GRACE)
    clean_up()
    os._exit(CODE)
