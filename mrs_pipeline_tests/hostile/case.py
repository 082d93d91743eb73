"""A hostile input: how it is made, what reads it, and what the sentence has to hold."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mrs_pipeline.errors import InputError

CANARY = "canary"
"""The file that exists as soon as anything of an input has been executed; below the current directory."""


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        kind: tables, media, models, YAML or arrays.
        name: what is hostile about it.
        meets: makes the input in an empty folder and reads it as the pipeline does: raises InputError, or returns the
            reason that was recorded.
        says: what the sentence holds.
    """

    kind: str
    name: str
    meets: Callable[[Path], str | None]
    says: str

    def sentence(self, folder: Path) -> str:
        """What a person would read."""
        try:
            recorded = self.meets(folder)
        except InputError as error:
            return str(error)
        assert recorded, "it was taken without a word"
        return recorded


class Executes:
    """Unpickling it makes the canary."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        import os

        return os.system, (f"touch {CANARY}",)


def hostile_pickle(protocol: int = 4) -> bytes:
    """A pickle that runs a command when it is unpickled."""
    return pickle.dumps(Executes(), protocol=protocol)
