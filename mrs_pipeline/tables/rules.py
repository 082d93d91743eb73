"""The settings that decide which raw rows become core interactions. What they do is `core`."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

Deduplicate = Literal["last", "first", "none"]


class InteractionRules(BaseModel):
    """Which interactions count."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    min_rating: float | None = Field(default=None, allow_inf_nan=False)
    """Lowest rating that counts as liking; without it every interaction counts."""
    unrated: tuple[FiniteFloat, ...] = ()
    """Numbers that stand for no rating, such as 99; their rows go to quarantine."""
    earliest: date | None = None
    """First day (UTC) on which an interaction can have happened; rows before it go to quarantine."""
    latest: date | None = None
    """Last such day; rows after it go to quarantine."""
    k_core: int = Field(default=0, ge=0, le=1000)
    """Keep users and items with at least this many interactions among themselves; 0 and 1 keep all. With
    windows only the history before the window is looked at."""
    deduplicate: Deduplicate = "last"
    """Which of several interactions of one user with one item stays, by time and then by row of the source;
    where they have no time the first row stays. `none` keeps them all."""

    @model_validator(mode="after")
    def _days_in_order(self) -> "InteractionRules":
        if self.earliest and self.latest and self.latest < self.earliest:
            raise ValueError(
                f"interactions.latest {self.latest} lies before interactions.earliest {self.earliest}"
            )
        return self
