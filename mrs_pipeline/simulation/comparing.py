"""The end of two years: whether what both homes hold of each month has the same content, and what differs if not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mrs_pipeline.plan import plan
from mrs_pipeline.tasks.comparing import Reproduced, compared, differing_rows
from mrs_pipeline.tasks.node import RAW_ITEMS, Kind
from mrs_pipeline.tasks.places import node_of, windows
from mrs_pipeline.tasks.task import Stage

COMPARED_KINDS: Final = (
    Kind.RAW,
    Kind.CORE,
    Kind.FEATURES,
    Kind.TRAINED,
    Kind.FINAL,
    Kind.METRICS,
    Kind.RECOMMENDATIONS,
)
"""Kinds whose content is decided by the files alone. Boards and pages hold seconds and moments."""


@dataclass(frozen=True)
class YearsCompared:
    """One output at one month in both homes.

    Attributes:
        month: the window.
        found: both digests.
        rows: what differs, in sentences; empty where nothing does.
    """

    month: str
    found: Reproduced
    rows: Sequence[str] = ()


def compare_years(eventful: Stage, undisturbed: Stage, months: Sequence[str]) -> list[YearsCompared]:
    """Compare raw rows of all windows, and of each month tables, splits, features, weights, metrics and lists."""
    nodes = [node for task in plan(eventful.config) for node in task.outputs if node.kind in COMPARED_KINDS]
    history = [window for window in windows(eventful.config) if window < months[0]]
    raw = [node for node in nodes if node.kind is Kind.RAW and node != RAW_ITEMS]
    places = [(window, node) for window in history for node in raw]
    places += [(month, node) for month in months for node in nodes if node != RAW_ITEMS]
    outcomes = []
    for window, node in [*places, (months[-1], RAW_ITEMS)]:
        one, other = eventful.at(window), undisturbed.at(window)
        found = compared(one, other, node_of(one, node))
        rows = () if found.same else differing_rows(one, other, found.node)
        outcomes.append(YearsCompared(window, found, rows))
    return outcomes
