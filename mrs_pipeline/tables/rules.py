"""The settings that decide which raw rows become core interactions. What they do is `core`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Deduplicate = Literal["last", "first", "none"]


class InteractionRules(BaseModel):
    """Which interactions count."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    min_rating: float | None = Field(default=None, allow_inf_nan=False)
    """Lowest rating that counts as liking; without it every interaction counts."""
    k_core: int = Field(default=0, ge=0, le=1000)
    """Keep users and items with at least this many interactions among themselves; 0 and 1 keep all. With
    windows only the history before the window is looked at."""
    deduplicate: Deduplicate = "last"
    """Which of several interactions of one user with one item stays, by time and then by row of the source;
    where they have no time the first row stays. `none` keeps them all."""
