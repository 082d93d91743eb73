"""The files of one extraction: written in chunks, resumable after a kill, comparable with the previous one.

A finished directory holds `matrix.npy` [I, F], `present.npy` [I] bool, `rows.parquet` (item, item_id,
present, digest, reason) and `extraction.json`; nothing in it tells how or when it was made, so equal content
gives equal files. While the work goes on there are also `digests.npy` and `chunks.jsonl`, one line a finished
chunk. Where directories lie and when they become visible is the caller's business.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from numpy.lib.format import open_memmap

from mrs_pipeline.documents import json_file
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import BoolArray, IntArray

MATRIX = "matrix.npy"
PRESENT = "present.npy"
ROWS = "rows.parquet"
SUMMARY = "extraction.json"
_DIGESTS = "digests.npy"
_CHUNKS = "chunks.jsonl"

DigestArray = npt.NDArray[np.bytes_]
"""[rows] S32, hexadecimal content digests; empty where nothing could be read."""


@dataclass(frozen=True)
class Plan:
    """What an extraction will make; equal plans make equal matrices.

    Attributes:
        digest: of the encoder, the item ids in order, and where their content lies.
        fingerprint: of the encoder.
        name: of the feature set.
        items: I.
        dimensions: F.
        dtype: of the matrix.
        made_with: weights and precision, where the encoder has any.
    """

    digest: str
    fingerprint: str
    name: str
    items: int
    dimensions: int
    dtype: str
    made_with: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """All fields, as `extraction.json` and the head of the chunk log hold them."""
        return dict(vars(self))


@dataclass(frozen=True)
class ChunkResult:
    """One chunk, ready to be written.

    Attributes:
        start: first row.
        values: [n, F].
        present: [n] bool.
        digests: [n] S32.
        failures: (row, reason) of those that failed.
    """

    start: int
    values: npt.NDArray[Any]
    present: BoolArray
    digests: DigestArray
    failures: Sequence[tuple[int, str]]


@dataclass(frozen=True)
class PreviousExtraction:
    """A finished extraction to take unchanged rows from.

    Attributes:
        directory: where it lies.
        fingerprint: of its encoder.
        dimensions: F.
        rows: its `rows.parquet`.
        values: [I', F] memory map.
        made_with: weights and precision of its encoder.
    """

    directory: Path
    fingerprint: str
    dimensions: int
    rows: pl.DataFrame
    values: npt.NDArray[Any]
    made_with: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, directory: Path) -> "PreviousExtraction":
        """The finished extraction in a directory; InputError if it is none."""
        try:
            plan = Plan(**json_file(directory / SUMMARY))
            values = np.load(directory / MATRIX, mmap_mode="r", allow_pickle=False)
            rows = pl.read_parquet(directory / ROWS)
        except (OSError, ValueError, TypeError, pl.exceptions.PolarsError) as error:
            raise InputError(
                f"{directory}: holds no finished feature extraction ({error}); "
                f"materialise the feature set again"
            ) from error
        if len(rows) != len(values) or values.shape != (plan.items, plan.dimensions):
            raise InputError(
                f"{directory}: matrix and rows disagree in number; materialise the feature set again"
            )
        return cls(directory, plan.fingerprint, plan.dimensions, rows, values, plan.made_with)

    def align(self, items: pl.DataFrame) -> pl.DataFrame:
        """Columns previous (row there, null for new items), digest, reason; a row for each of `items`."""
        there = self.rows.select("item_id", "digest", "reason", previous=pl.col("item"))
        return items.select(pl.col("item_id").cast(pl.String)).join(
            there, on="item_id", how="left", maintain_order="left"
        )


class ExtractionDirectory:
    """Writes chunks into a directory and knows which ones it already holds."""

    def __init__(self, directory: Path, plan: Plan, chunk_items: int) -> None:
        self._directory = directory
        self._plan = plan
        # Chunks of another size would begin at other rows: such work cannot be taken up.
        self._head = {**plan.as_json(), "chunk_items": chunk_items}
        directory.mkdir(parents=True, exist_ok=True)
        self._log = self._read_log()
        if not self._log:
            self._start()

    @property
    def done(self) -> frozenset[int]:
        """First rows of the chunks that are written."""
        return frozenset(line["start"] for line in self._log[1:])

    def failures(self) -> list[tuple[int, str]]:
        """(row, reason) of all failures in the written chunks, in order."""
        return sorted((row, reason) for line in self._log[1:] for row, reason in line["failed"])

    def present(self) -> BoolArray:
        """[I] bool."""
        present: BoolArray = np.load(self._directory / PRESENT, allow_pickle=False)
        return present

    def write(self, chunk: ChunkResult) -> None:
        """Put a chunk in its place; once this returns a kill cannot lose it."""
        rows = slice(chunk.start, chunk.start + len(chunk.present))
        parts = ((MATRIX, chunk.values), (PRESENT, chunk.present), (_DIGESTS, chunk.digests))
        for name, part in parts:
            # Mapped again for each chunk, so that pages written earlier do not stay in this process.
            mapped = open_memmap(self._directory / name, mode="r+")
            mapped[rows] = part
            mapped.flush()
        self._append({"start": chunk.start, "failed": list(chunk.failures)})

    def finish(self, items: pl.DataFrame) -> None:
        """Write `rows.parquet` and, last, `extraction.json`; then drop the work files."""
        digests = np.load(self._directory / _DIGESTS, allow_pickle=False).astype(np.str_)
        failures = pl.DataFrame(self.failures(), schema={"item": pl.Int64, "reason": pl.String}, orient="row")
        rows = items.select(
            pl.col("item").cast(pl.Int64),
            pl.col("item_id").cast(pl.String),
            present=pl.Series(self.present()),
            digest=pl.Series(digests, dtype=pl.String).replace("", None),
        )
        rows.join(failures, on="item", how="left", maintain_order="left").write_parquet(
            self._directory / ROWS
        )
        temporary = self._directory / (SUMMARY + ".tmp")
        temporary.write_text(json.dumps(self._plan.as_json(), indent=1))
        temporary.replace(self._directory / SUMMARY)
        for name in (_DIGESTS, _CHUNKS):
            (self._directory / name).unlink()

    def _start(self) -> None:
        for path in (self._directory / name for name in (SUMMARY, _CHUNKS, ROWS, MATRIX, PRESENT, _DIGESTS)):
            path.unlink(missing_ok=True)
        n, width = self._plan.items, self._plan.dimensions
        # The new files are sparse: rows of missing items cost no disk.
        open_memmap(self._directory / MATRIX, mode="w+", dtype=self._plan.dtype, shape=(n, width)).flush()
        open_memmap(self._directory / PRESENT, mode="w+", dtype=np.bool_, shape=(n,)).flush()
        open_memmap(self._directory / _DIGESTS, mode="w+", dtype="S32", shape=(n,)).flush()
        self._append(self._head)

    def _append(self, line: dict[str, Any]) -> None:
        with (self._directory / _CHUNKS).open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._log.append(line)

    def _read_log(self) -> list[dict[str, Any]]:
        """Head and chunks of an unfinished extraction of the same plan; empty if there is none."""
        try:
            text = (self._directory / _CHUNKS).read_text()
        except FileNotFoundError:
            return []
        # A kill can tear the last line; it counts only with its line break.
        lines = [json.loads(line) for line in text.split("\n")[:-1]]
        if not lines or lines[0] != self._head:
            return []
        if not text.endswith("\n"):
            (self._directory / _CHUNKS).write_text(text[: text.rfind("\n") + 1])
        return lines


def finished_extraction(directory: Path) -> PreviousExtraction | None:
    """What an earlier call left finished in a directory; its map outlives the file's replacement."""
    return PreviousExtraction.read(directory) if (directory / SUMMARY).exists() else None


def read_failures(directory: Path) -> pl.DataFrame:
    """Columns item, item_id, reason of a finished extraction's failed rows."""
    rows = pl.scan_parquet(directory / ROWS).filter(pl.col("reason").is_not_null())
    return rows.select("item", "item_id", "reason").collect()


def rows_of_map(values: npt.NDArray[Any], rows: IntArray) -> npt.NDArray[Any]:
    """[n, F] rows of a memory map, read in the order of the file."""
    order = np.argsort(rows)
    gathered = np.empty((len(rows), values.shape[1]), dtype=values.dtype)
    gathered[order] = values[rows[order]]
    return gathered
