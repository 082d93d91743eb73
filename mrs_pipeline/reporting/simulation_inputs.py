"""What the page of a simulated year shows. Only declarations; the page is `simulation_page`."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Happening:
    """Something that happened, and what the product made of it.

    Attributes:
        month: of the file or decision; `history` for what was there before.
        accident: which; empty for an ordinary month.
        what: happened, in a sentence.
        told: messages that people received of it.
        did: what the product did.
        began: seconds since the beginning of the year's run.
        seconds: until nothing was left to do.
    """

    month: str
    accident: str
    what: str
    told: Sequence[str]
    did: str
    began: float
    seconds: float


@dataclass(frozen=True)
class RunBar:
    """One run of the daemon.

    Attributes:
        window: that it was for.
        job: its name.
        began: seconds since the beginning.
        seconds: how long its process lived.
        outcome: `done`, `ended early` (its process was killed, or a step failed) or `gone on` (after that).
    """

    window: str
    job: str
    began: float
    seconds: float
    outcome: str


@dataclass(frozen=True)
class YearInputs:
    """A year with accidents, and how it compares with the same year without.

    Attributes:
        dataset: its name.
        generated: when, for people.
        months: that were fed, in their order.
        models: that were trained.
        happenings: in the order in which they happened.
        runs: of the daemon.
        made: rows `asset`, `window`, `runs`: how many runs made an output at a window.
        rows: rows `window`, `landed`, `quarantined`.
        board: leaderboard rows of the fed months.
        decisions: rows of `serving.promotions`.
        restored: whether the rollback gave back the weights that its champion was promoted with; None without one.
        compared: rows `month`, `asset`, `same`, `difference`: what both homes hold.
        seconds: of the year with accidents.
        undisturbed_seconds: of the same months by `mrs run`.
    """

    dataset: str
    generated: str
    months: Sequence[str]
    models: Sequence[str]
    happenings: Sequence[Happening]
    runs: Sequence[RunBar]
    made: pl.DataFrame
    rows: pl.DataFrame
    board: pl.DataFrame
    decisions: pl.DataFrame
    restored: bool | None
    compared: pl.DataFrame
    seconds: float
    undisturbed_seconds: float

    @property
    def same(self) -> bool:
        """Whether both years end with the same content, and the rollback gave back what it should."""
        return bool(self.compared["same"].all()) and self.restored is not False
