"""How far a run of the command line is: a line when a step starts, what is left by earlier runs, bars in a terminal.

Steps that Dagster starts in processes of their own (`mrs ui`) say nothing here: the UI shows how far they are.
"""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TextIO

LOG = logging.getLogger("mrs_pipeline")
SECONDS_FACT: Final = "step seconds"
"""Metadata of each materialisation: how long the step took that made it."""
_WORTH_SAYING: Final = 5.0
"""Seconds below which an estimate helps nobody."""


class Progress:
    """Which step of how many a run is at.

    Args:
        seconds: name of each step of the run -> seconds that it took when it was last done, None where it never was.
    """

    def __init__(self, seconds: Mapping[str, float | None]) -> None:
        self._left = dict(seconds)
        self._steps = len(self._left)
        self._done = 0

    def begin(self, step: str) -> None:
        """A step has its turn; whether it has anything to do is not known yet."""
        self._done += 1
        self._seconds = self._left.pop(step, None)

    def line(self) -> str:
        """`step 3 of 12, about 40 s of 3 min left`, as far as earlier runs know."""
        known = [each for each in (self._seconds, *self._left.values()) if each is not None]
        parts = [f"step {self._done} of {self._steps}"]
        if self._seconds is not None and self._seconds >= _WORTH_SAYING:
            parts.append(f"took {lasting(self._seconds)} last time")
        if sum(known) >= _WORTH_SAYING and self._left:
            parts.append(f"about {lasting(sum(known))} left")
        return ", ".join(parts)


class _Current:
    """The run that this process is at."""

    progress: Progress | None = None
    terminal: TextIO | None = None


@contextmanager
def counting_steps(progress: Progress) -> Iterator[None]:
    """While the block lasts, steps of this process are counted; bars are drawn where stderr is a terminal."""
    terminal = _terminal()
    _Current.progress, _Current.terminal = progress, terminal
    try:
        yield
    finally:
        _Current.progress, _Current.terminal = None, None
        if terminal is not None:
            terminal.close()


def begin(step: str) -> None:
    """A step has its turn."""
    if _Current.progress is not None:
        _Current.progress.begin(step)


def announce(what: str) -> None:
    """Say that the step which has its turn starts."""
    if _Current.progress is not None:
        LOG.info("%s: %s", what, _Current.progress.line())


@contextmanager
def on_terminal() -> Iterator[None]:
    """Let a step write to the terminal itself: Dagster puts a file in its place, in which no bar is drawn."""
    if _Current.terminal is None:
        yield
        return
    captured, sys.stderr = sys.stderr, _Current.terminal
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = captured


def lasting(seconds: float) -> str:
    """A duration as people say it.

    >>> lasting(12.4), lasting(200), lasting(7500)
    ('12 s', '3 min', '2.1 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _terminal() -> TextIO | None:
    """The terminal that stderr is, under a number of its own; None where it is a pipe or a file."""
    try:
        number = sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return None
    if not os.isatty(number):
        return None
    return os.fdopen(os.dup(number), "w", encoding=sys.stderr.encoding, buffering=1)
