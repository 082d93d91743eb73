"""The errors that people meet. Each carries one sentence: what is wrong, where, and the remedy.

Programming errors stay plain `TypeError` / `ValueError` / `AssertionError`; they do not belong here.
"""

import difflib
from collections.abc import Iterable


class MrsError(Exception):
    """Base of everything the command line prints as one sentence instead of a traceback."""


class InputError(MrsError):
    """The user's data or settings cannot be used; the sentence names file, line or column and remedy."""


class UnreadableError(InputError):
    """A stored file is cut short, empty, or was not written by this project; says which and how it is made again."""


class StaleInputError(MrsError):
    """A stored input was made from something other than what is stored now; says what to rebuild."""


class NonFiniteLossError(MrsError):
    """Training met a NaN or infinite loss; names the model, the epoch, the step and the loss term."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'vbpr'?)` for the known name that is most like `name`; empty where none is like it."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return f" (did you mean '{near[0]}'?)" if near and near[0] != name else ""
