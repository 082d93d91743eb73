"""What an extraction tells: counts, costs, items that failed. Tables and metadata are made elsewhere."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
import psutil

_LISTING_SECONDS = 1.0


@dataclass(frozen=True)
class FailedRow:
    """An item whose content could not be used; it is masked out and the run goes on.

    Attributes:
        item: dense item number.
        item_id: original id.
        modality: which content.
        path: path or text start, as the item table has it.
        reason: one clause.
    """

    item: int
    item_id: str
    modality: str
    path: str
    reason: str


@dataclass(frozen=True)
class ExtractionReport:
    """What one call of the engine did.

    Attributes:
        name: `<modality>_<encoder>`.
        items: rows of the matrix; `present + missing + len(failed)`.
        present: rows with a vector.
        missing: items without such content.
        failed: items whose content could not be used.
        encoded: rows encoded by this call.
        reused: rows copied from the previous extraction because content and encoder are the same.
        resumed: rows found done in the directory, from a call that was killed.
        seconds: wall time of this call.
        items_per_second: encoded rows by wall time.
        peak_memory_mb: highest resident memory seen, worker processes included.
        bytes_read: content read by this call.
        dimensions: F.
        dtype: of the matrix.
        fingerprint: of the encoder.
        made_with: weights and precision, where the encoder has any.
    """

    name: str
    items: int
    present: int
    missing: int
    failed: tuple[FailedRow, ...]
    encoded: int
    reused: int
    resumed: int
    seconds: float
    items_per_second: float
    peak_memory_mb: float
    bytes_read: int
    dimensions: int
    dtype: str
    fingerprint: str
    made_with: Mapping[str, str] = field(default_factory=dict)

    def failures(self) -> pl.DataFrame:
        """Columns item, item_id, modality, path, reason; a row an item that failed."""
        schema = {
            "item": pl.Int64,
            "item_id": pl.String,
            "modality": pl.String,
            "path": pl.String,
            "reason": pl.String,
        }
        rows = [(row.item, row.item_id, row.modality, row.path, row.reason) for row in self.failed]
        return pl.DataFrame(rows, schema=schema, orient="row")


@dataclass
class PeakMemory:
    """Highest resident memory of this process and its children at the moments it was asked to look."""

    megabytes: float = 0.0
    _process: psutil.Process = field(default_factory=psutil.Process)
    _children: list[psutil.Process] = field(default_factory=list)
    _next_listing: float = 0.0

    def look(self) -> None:
        """Take one sample."""
        # Finding the children means reading the whole process table, which takes milliseconds.
        if time.monotonic() >= self._next_listing:
            self._children = self._process.children(recursive=True)
            self._next_listing = time.monotonic() + _LISTING_SECONDS
        resident = self._process.memory_info().rss
        for child in self._children:
            try:
                resident += child.memory_info().rss
            except psutil.NoSuchProcess:
                continue  # it ended since it was listed
        self.megabytes = max(self.megabytes, resident / 1e6)
