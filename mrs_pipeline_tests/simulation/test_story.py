"""The story as data: every accident has its month, and what cannot be played is refused."""

import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.simulation.story import Accident, Story, eventful

MONTHS = tuple(f"2024-{month:02}" for month in range(1, 13))


@pytest.mark.parametrize("number", range(4, 13))
def test_every_accident_happens_and_a_second_promotion(number: int) -> None:
    story = eventful(MONTHS[:number])
    happens = [each for month in story.months for each in story.of(month)]
    assert set(happens) == set(Accident)
    assert happens.count(Accident.PROMOTION) == 2
    assert happens[-1] is Accident.ROLLBACK
    assert len(happens) == len(Accident) + 1


def test_within_a_month_files_come_before_decisions() -> None:
    told = (Accident.ROLLBACK, Accident.PROMOTION, Accident.KILL, Accident.CORRUPT)
    story = Story(MONTHS[:2], {MONTHS[0]: (Accident.PROMOTION,), MONTHS[1]: told})
    assert story.of(MONTHS[1]) == (Accident.CORRUPT, Accident.KILL, Accident.PROMOTION, Accident.ROLLBACK)


@pytest.mark.parametrize(
    ("accidents", "sentence"),
    [
        ({"2025-01": (Accident.KILL,)}, "2025-01 is not among the months that are fed"),
        ({MONTHS[2]: (Accident.LATE,)}, "the last month, cannot come with the month after it"),
        ({MONTHS[0]: (Accident.PROMOTION,), MONTHS[1]: (Accident.ROLLBACK,)}, "needs two promotions"),
    ],
)
def test_what_cannot_be_played_is_refused(accidents: dict[str, tuple[Accident, ...]], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Story(MONTHS[:3], accidents)


def test_too_few_months_are_refused() -> None:
    with pytest.raises(InputError, match="needs 4 months at least; there are 3"):
        eventful(MONTHS[:3])
