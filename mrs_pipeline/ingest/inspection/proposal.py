"""What `mrs init` proposes: a section of the settings and the sentence that explains it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Proposal:
    """A section of the settings (empty: leave it out) and why."""

    section: dict[str, Any]
    reason: str
