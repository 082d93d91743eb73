"""What must hold of dense numbers, in `core.users` and `core.items` alike."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite


def dense_suite(rows: str, column: str) -> Suite:
    """Numbers 0..n-1, each once.

    Args:
        rows: what to put after FROM to read the table.
        column: `user` or `item`.
    """
    number = f'"{column}"'
    frame = f"""
        SELECT min({number}) AS first, count(*) - count(DISTINCT {number}) AS repeated,
               max({number}) - min({number}) + 1 - count(DISTINCT {number}) AS gaps
        FROM {rows}
    """
    return Suite(
        frame,
        [
            expect.one_of("first", [0], f"{column} numbers begin at 0"),
            expect.one_of("gaps", [0], f"no {column} number is skipped"),
            expect.one_of("repeated", [0], f"no {column} number is used twice"),
        ],
    )
