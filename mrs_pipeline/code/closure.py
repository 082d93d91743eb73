"""What some roots can reach, as names and digests."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from mrs_pipeline.code.canonical import code_text_digest


@dataclass(frozen=True)
class Closure:
    """What some roots can reach.

    Attributes:
        definitions: `package.module:Name`, or the path of a data file from the folder above the package -> digest.
        boundaries: keys at which the closure ends although the code goes on.
    """

    definitions: Mapping[str, str]
    boundaries: frozenset[str] = frozenset()

    @cached_property
    def digest(self) -> str:
        """One digest of all of it."""
        return code_text_digest(
            *(part for key in sorted(self.definitions) for part in (key, self.definitions[key]))
        )
