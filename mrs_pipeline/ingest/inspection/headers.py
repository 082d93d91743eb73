"""Whether the first row of a text table names its columns, or is data already. Guessing, for `mrs init` only."""

import re
from collections.abc import Sequence
from typing import Final

from mrs_pipeline.ingest.inspection.columns import is_well_known

_NUMBER: Final = re.compile(r"\s*[+-]?(\d+([.]\d*)?|[.]\d+)([eE][+-]?\d+)?\s*")
_MOMENT: Final = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?")
_SHOWN: Final = 6
_LONGEST: Final = 20


def looks_like_data(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of some rows is data: a number, a date, or a value that comes again in its column."""
    if len(rows) < 2:
        return False
    first, rest = rows[0], rows[1:]
    if any(is_well_known(cell) for cell in first):
        return False
    values = [cell for cell in first if not _MOMENT.fullmatch(cell)]
    if len(values) < len(first):
        return True
    numbers = [cell for cell in first if _NUMBER.fullmatch(cell)]
    if numbers and not _is_count(numbers):
        return True
    return any(
        cell and cell in {row[place] for row in rest if place < len(row)} for place, cell in enumerate(first)
    )


def _is_count(cells: Sequence[str]) -> bool:
    """Whether numbers are 0, 1, 2, ... or 2019, 2020, ..., as the columns of a matrix or a pivot table are called."""
    if len(cells) < 4 or not all(cell.strip().isdecimal() for cell in cells):
        return False
    numbers = [int(cell) for cell in cells]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def shown(first: Sequence[str]) -> str:
    """The first row for a message, cut where it is long."""
    cells = [cell if len(cell) <= _LONGEST else f"{cell[:_LONGEST]}..." for cell in first[:_SHOWN]]
    return ", ".join(cells) + (", ..." if len(first) > _SHOWN else "")
