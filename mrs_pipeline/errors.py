"""The errors that people meet. Each carries one sentence: what is wrong, where, and the remedy.

Programming errors stay plain `TypeError` / `ValueError` / `AssertionError`; they do not belong here.
"""


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
