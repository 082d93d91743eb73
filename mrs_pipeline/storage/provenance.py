"""What a stored thing was made from, and the refusal of things made from something else.

Pure records and one comparison. Where the record is kept: `lake` (Parquet metadata) and `artifacts`
(manifest.json).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mrs_pipeline.errors import StaleInputError

_SHOWN_DIGITS = 8


@dataclass(frozen=True)
class Provenance:
    """What made a stored thing.

    Attributes:
        code_version: digest of the code that made it.
        upstream: name of each input ("core/items") -> digest of the content that was read.
    """

    code_version: str
    upstream: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain data for a manifest."""
        return {"code_version": self.code_version, "upstream": dict(self.upstream)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Provenance":
        """Read what `to_json` wrote."""
        return cls(code_version=record["code_version"], upstream=dict(record["upstream"]))


def require_current(what: str, recorded: Provenance, current: Mapping[str, str], remedy: str) -> None:
    """Refuse a stored thing whose inputs are not the ones that are stored now.

    Args:
        what: the stored thing, e.g. "features/image_color_gradient".
        recorded: what it was made from.
        current: name -> digest of each input that its reader sees now.
        remedy: what to do about it, e.g. "materialise features/image_color_gradient again".

    Raises:
        StaleInputError: names the first input, by name, that differs or that the record lacks.
    """
    for name, digest in sorted(current.items()):
        seen = recorded.upstream.get(name)
        if seen is None:
            raise StaleInputError(f"{what} was not made from {name}, which is needed here: {remedy}.")
        if seen != digest:
            raise StaleInputError(
                f"{what} was made from {name} {seen[:_SHOWN_DIGITS]}, but {name} is now "
                f"{digest[:_SHOWN_DIGITS]}: {remedy}."
            )
