"""The story as data: which months are fed, and which accident happens in which of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mrs_pipeline.errors import InputError

FEWEST_MONTHS: Final = 4


class Accident(StrEnum):
    """What happens to a month."""

    LATE = "late file"
    """Its file comes only when the next month has been run."""
    CORRUPT = "corrupt file"
    """Its file comes cut off in the middle first."""
    SCHEMA = "changed schema"
    """Its file comes with another name for the column of the item first."""
    KILL = "killed run"
    """The process of its run is killed (SIGKILL) in the middle."""
    PROMOTION = "promotion"
    """When it has been run, its leader becomes the champion."""
    ROLLBACK = "rollback"
    """When it has been run, the champion before is given its place back."""


@dataclass(frozen=True)
class Story:
    """Months in their order, and what happens in them.

    Attributes:
        months: keys of windows, each of which is trained and scored.
        accidents: month -> what happens in it.
    """

    months: tuple[str, ...]
    accidents: Mapping[str, tuple[Accident, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for month, happens in self.accidents.items():
            if month not in self.months:
                raise InputError(f"{month} is not among the months that are fed: {', '.join(self.months)}.")
            if Accident.LATE in happens and month == self.months[-1]:
                raise InputError(f"the file of {month}, the last month, cannot come with the month after it.")
        decided = [each for month in self.months for each in self.of(month)]
        for place, each in enumerate(decided):
            if each is Accident.ROLLBACK and decided[:place].count(Accident.PROMOTION) < 2:
                raise InputError("a rollback needs two promotions before it.")

    def of(self, month: str) -> tuple[Accident, ...]:
        """What happens in a month, in the order in which it happens: as `Accident` lists them."""
        return tuple(each for each in Accident if each in self.accidents.get(month, ()))


def eventful(months: Sequence[str]) -> Story:
    """Every accident once, spread over the months, and a second promotion, which a rollback needs.

    Raises:
        InputError: there are too few months.
    """
    if len(months) < FEWEST_MONTHS:
        raise InputError(
            f"a story with every accident needs {FEWEST_MONTHS} months at least; there are {len(months)}."
        )
    last = len(months) - 1
    accidents: dict[str, list[Accident]] = {month: [] for month in months}
    for each, share in _PLACES:
        accidents[months[round(share * last)]].append(each)
    return Story(tuple(months), {month: tuple(happens) for month, happens in accidents.items() if happens})


_PLACES: Final = (
    (Accident.PROMOTION, 0.0),
    (Accident.KILL, 0.15),
    (Accident.LATE, 0.4),
    (Accident.PROMOTION, 0.6),
    (Accident.CORRUPT, 0.8),
    (Accident.SCHEMA, 1.0),
    (Accident.ROLLBACK, 1.0),
)
"""Accident -> how far into the year it happens; of four months 0, 0, 1, 2, 2, 3, 3."""
