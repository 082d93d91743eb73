"""The ranges that metrics declare, as SQL for the checks of all tables that hold values of metrics."""

import math
from typing import Final

from mrs_pipeline.metrics.registry import METRICS

OUTSIDE: Final = (
    "CASE WHEN NOT isnan(value) AND (value < low - 1e-6 * (1 + abs(low)) OR value > high + 1e-6 * (1 + abs(high))) "
    "THEN metric || ' = ' || value END AS outside"
)
"""Metric and value of a row whose value is a number out of range; values of users are float32, hence the tolerance."""


def bounds() -> str:
    """What to put after JOIN: metric, low, high of every metric that is installed."""
    rows = ", ".join(
        f"({number_literal(metric.name)}, {_number(metric.low)}, {_number(metric.high)})"
        for metric in METRICS.values()
    )
    return f"(VALUES {rows}) AS ranges(metric, low, high)"


def number_literal(text: str) -> str:
    """A name as an SQL constant."""
    return "'" + text.replace("'", "''") + "'"


def _number(bound: float) -> str:
    return f"'{'-' if bound < 0 else ''}infinity'::DOUBLE" if math.isinf(bound) else f"{bound!r}::DOUBLE"
