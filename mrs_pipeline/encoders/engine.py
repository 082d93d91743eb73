"""The extraction engine: streams a catalogue through an encoder into a row-aligned, memory-mapped matrix.

Chunk by chunk: load (worker processes, in order), leave out what a content digest shows unchanged, encode in
batches while the next ones load, write in place, log. Memory depends on the chunk, not on the catalogue; a
kill loses at most the chunk in flight; content that cannot be used is reported and masked. What a vector is
belongs to the encoders, what the files are to `store.py`.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import polars as pl
from tqdm import tqdm

from mrs_pipeline.cluster import cluster
from mrs_pipeline.encoders.base import Encoder, FittedEncoder, Payload, ReadyMatrix, texts_digest
from mrs_pipeline.encoders.lane import Lane
from mrs_pipeline.encoders.loading import Loaded, LoadTask, load_stream
from mrs_pipeline.encoders.on_ray import chunks_on_ray
from mrs_pipeline.encoders.options import EncoderOptions, feature_set_name
from mrs_pipeline.encoders.registry import open_encoder
from mrs_pipeline.encoders.report import ExtractionReport, FailedRow, PeakMemory
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.encoders.store import (
    ChunkResult,
    ExtractionDirectory,
    Plan,
    PreviousExtraction,
    finished_extraction,
    read_failures,
    rows_of_map,
)
from mrs_pipeline.errors import InputError
from mrs_pipeline.memory import give_freed_memory_back, reuse_freed_blocks

NOTHING_FOUND = "the encoder found nothing in it (all-zero or non-finite vector)"
"""Such a row would turn into NaN in every cosine, so it counts as failed."""
_PATH_CHARACTERS = 200
"""Of a path or a text that a failed row shows."""


def extract(
    options: EncoderOptions,
    items: pl.DataFrame,
    media_root: Path,
    directory: Path,
    *,
    previous: PreviousExtraction | None = None,
    matrix: ReadyMatrix | None = None,
    settings: EngineSettings | None = None,
    progress: bool = False,
) -> ExtractionReport:
    """Make one feature set.

    Args:
        options: one entry of `features:`.
        items: the catalogue; columns item (0..I-1 in order), item_id, and those the encoder reads.
        media_root: folder that media paths are relative to and may not leave.
        directory: where the files are written (see `store.py`); given again after a kill, the work goes on
            there.
        previous: an earlier extraction, of any encoder, to take unchanged rows from.
        matrix: what the `identity` encoder takes its rows from.
        settings: processes, chunks and device.
        progress: show a progress bar, where there is a terminal.

    Raises:
        InputError: the settings do not fit the catalogue. Content of single items never raises.
    """
    encoder = open_encoder(options, media_root, settings, matrix)
    return extract_with(encoder, items, directory, previous=previous, settings=settings, progress=progress)


def extract_with(
    encoder: Encoder,
    items: pl.DataFrame,
    directory: Path,
    *,
    previous: PreviousExtraction | None = None,
    settings: EngineSettings | None = None,
    progress: bool = False,
) -> ExtractionReport:
    """As `extract`, for an encoder that is open already."""
    started = time.perf_counter()
    reuse_freed_blocks()
    _require_numbered(items)
    encoder.check_settings()
    encoder.prepare(items)
    settings = settings or EngineSettings()
    ray = cluster()
    # other machines could not read what this call replaces
    finished = finished_extraction(directory) if ray is None else None
    candidates = [each for each in (finished, previous) if each is not None]
    _keep(encoder, candidates)
    catalogue = _Catalogue(encoder, items, settings.chunk_items)
    costs = _Costs()
    known = _Known.of(candidates, encoder, items)
    plan = _plan(encoder, catalogue, known)
    target = ExtractionDirectory(directory, plan, settings.chunk_items)
    filling = _Filling(encoder, catalogue, known, plan, costs)
    if ray is None or len(target.done) == len(catalogue.starts()):
        filling.run(target, settings, progress)
    else:
        filling.run_on(ray, target, settings, progress)
    return _report(catalogue, plan, directory, costs, time.perf_counter() - started)


@dataclass
class _Costs:
    """What one call has done so far."""

    encoded: int = 0
    reused: int = 0
    bytes_read: int = 0
    memory: PeakMemory = field(default_factory=PeakMemory)


class _Catalogue:
    """The items in chunks, with where their content lies."""

    def __init__(self, encoder: Encoder, items: pl.DataFrame, chunk_items: int) -> None:
        self.encoder = encoder
        self.items = items
        self.chunk_items = chunk_items
        self.n_content = 0
        self.digest = self._survey()

    def starts(self) -> range:
        """First row of each chunk."""
        return range(0, len(self.items), self.chunk_items)

    def references(self, start: int) -> list[str | None]:
        """Where the content of the chunk's items lies; None where there is none."""
        return self.encoder.references(self.items.slice(start, self.chunk_items)).to_list()

    def content(self) -> Iterator[Payload]:
        """The decoded content of all items that have one, in order."""
        loader = self.encoder.loader()
        for start in self.starts():
            for reference in self.references(start):
                if reference is not None:
                    yield loader.decode(loader.read(reference))

    def _survey(self) -> str:
        """Digest of all that decides the matrix; counts the content and tells a fitted encoder its corpus."""
        ids, corpus = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
        for start in self.starts():
            item_ids = self.items["item_id"].slice(start, self.chunk_items).cast(pl.String).to_list()
            pairs = [
                (item_id, reference)
                for item_id, reference in zip(item_ids, self.references(start), strict=True)
                if reference is not None
            ]
            ids.update(texts_digest(*item_ids).encode())
            for pair in pairs:
                corpus.update(texts_digest(*pair).encode())
            self.n_content += len(pairs)
        if isinstance(self.encoder, FittedEncoder):
            self.encoder.corpus = corpus.hexdigest()
        return texts_digest(self.encoder.fingerprint, ids.hexdigest(), corpus.hexdigest())


@dataclass(frozen=True)
class _Known:
    """Rows of the previous extraction, aligned with the catalogue.

    Attributes:
        dimensions: F.
        values: [I', F] memory map of the previous matrix.
        rows: [I] row there, null for new items.
        digests: [I] content digest there.
        reasons: [I] why the row failed there, null where it did not.
    """

    dimensions: int
    values: npt.NDArray[np.floating]
    rows: pl.Series
    digests: pl.Series
    reasons: pl.Series

    def __getstate__(self) -> dict[str, Any]:
        """For another process: the matrix by its path."""
        values: Any = self.values
        return {**vars(self), "values": str(values.filename) if isinstance(values, np.memmap) else values}

    def __setstate__(self, state: dict[str, Any]) -> None:
        values = state["values"]
        opened = np.load(values, mmap_mode="r", allow_pickle=False) if isinstance(values, str) else values
        for name, value in {**state, "values": opened}.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(
        cls, candidates: Sequence[PreviousExtraction], encoder: Encoder, items: pl.DataFrame
    ) -> "_Known | None":
        """None where nothing can be reused: no candidate holds rows of this encoder."""
        for candidate in candidates:
            if candidate.fingerprint == encoder.fingerprint:
                aligned = candidate.align(items)
                columns = (aligned[name] for name in ("previous", "digest", "reason"))
                return cls(candidate.dimensions, candidate.values, *columns)
        return None


def _keep(encoder: Encoder, candidates: Sequence[PreviousExtraction]) -> None:
    """What the options leave to the machine is chosen as it was for the first candidate whose rows can then be kept."""
    for candidate in candidates:
        encoder.keep(candidate.made_with)
        if encoder.fingerprint == candidate.fingerprint:
            return
    encoder.keep({})


def _plan(encoder: Encoder, catalogue: _Catalogue, known: _Known | None) -> Plan:
    """What will be made; fits a fitted encoder, unless the previous extraction is of the very same corpus."""
    if known is None and isinstance(encoder, FittedEncoder):
        encoder.fit(catalogue.content(), catalogue.n_content)
    return Plan(
        digest=catalogue.digest,
        fingerprint=encoder.fingerprint,
        name=feature_set_name(encoder.options),
        items=len(catalogue.items),
        dimensions=encoder.dimensions if known is None else known.dimensions,
        dtype=encoder.options.dtype,
        made_with=dict(encoder.made_with),
    )


@dataclass
class _Chunk:
    """A chunk being filled; positions count from `start`."""

    start: int
    values: npt.NDArray[np.floating]
    present: npt.NDArray[np.bool_]
    digests: npt.NDArray[np.bytes_]
    failures: list[tuple[int, str]] = field(default_factory=list)

    @classmethod
    def empty(cls, start: int, rows: int, plan: Plan) -> "_Chunk":
        values = np.zeros((rows, plan.dimensions), dtype=plan.dtype)
        return cls(start, values, np.zeros(rows, dtype=np.bool_), np.zeros(rows, dtype="S32"))

    def fail(self, row: int, reason: str) -> None:
        self.failures.append((row, reason))

    def result(self) -> ChunkResult:
        return ChunkResult(self.start, self.values, self.present, self.digests, self.failures)


class _Filling:
    """Fills the chunks of one directory."""

    def __init__(
        self, encoder: Encoder, catalogue: _Catalogue, known: _Known | None, plan: Plan, costs: _Costs
    ) -> None:
        self._encoder = encoder
        self._catalogue = catalogue
        self._known = known
        self._plan = plan
        self._costs = costs

    def _bar(self, progress: bool) -> "tqdm[NoReturn]":
        """Drawn on a terminal only."""
        return tqdm(desc=self._plan.name, total=self._plan.items, disable=None if progress else True)

    def run(self, target: ExtractionDirectory, settings: EngineSettings, progress: bool) -> None:
        """Load, encode and write every chunk that `target` does not hold yet."""
        todo = [start for start in self._catalogue.starts() if start not in target.done]
        workers = settings.worker_count(self._catalogue.n_content) if self._encoder.in_processes else 0
        stream = load_stream(self._encoder.loader(), self._tasks(todo), workers)
        with closing(stream), self._bar(progress) as bar:
            bar.update(
                self._plan.items - sum(min(settings.chunk_items, self._plan.items - at) for at in todo)
            )
            # Leaving the lane first: what it still encodes must be written before the stream is closed.
            with Lane() as lane:
                for start in todo:
                    chunk = self._fill(start, stream, lane)
                    # In the lane too, so that a chunk is written as soon as its last batch is encoded.
                    lane.submit(self._write, chunk, target, bar)
        target.finish(self._catalogue.items)

    def run_on(self, ray: Any, target: ExtractionDirectory, settings: EngineSettings, progress: bool) -> None:
        """As `run`, with chunks that actors of a Ray cluster make; what they count is counted where they run."""
        todo = [start for start in self._catalogue.starts() if start not in target.done]
        gpus = 1.0 if settings.device.startswith("cuda") else 0.0
        parts = (self._encoder, self._catalogue, self._known, self._plan)
        with self._bar(progress) as bar:
            for chunk in chunks_on_ray(ray, partial(_chunk_alone, *parts), todo, gpus=gpus):
                target.write(chunk)
                self._costs.encoded += int(chunk.present.sum())
                bar.update(len(chunk.present))
        target.finish(self._catalogue.items)

    def chunk(self, start: int) -> ChunkResult:
        """One chunk, loaded and encoded in this process alone."""
        stream = load_stream(self._encoder.loader(), self._tasks([start]), 0)
        with closing(stream), Lane() as lane:
            chunk = self._fill(start, stream, lane)
        return chunk.result()

    def _write(self, chunk: _Chunk, target: ExtractionDirectory, bar: Any) -> None:
        target.write(chunk.result())
        self._costs.memory.look()
        give_freed_memory_back()
        bar.update(len(chunk.present))

    def _tasks(self, starts: list[int]) -> Iterator[LoadTask]:
        for start in starts:
            known = (
                self._known.digests.slice(start, self._catalogue.chunk_items).to_list()
                if self._known
                else None
            )
            for position, reference in enumerate(self._catalogue.references(start)):
                if reference is not None:
                    yield LoadTask(start + position, reference, known[position] if known else None)

    def _fill(self, start: int, stream: Iterator[Loaded], lane: Lane) -> _Chunk:
        references = self._catalogue.references(start)
        n_content = sum(reference is not None for reference in references)
        chunk = _Chunk.empty(start, len(references), self._plan)
        waiting: list[Loaded] = []
        unchanged: list[int] = []
        for loaded in islice(stream, n_content):
            chunk.digests[loaded.row - start] = loaded.digest.encode()
            self._costs.bytes_read += loaded.size
            if loaded.reason is not None:
                chunk.fail(loaded.row, loaded.reason)
            elif loaded.unchanged:
                unchanged.append(loaded.row)
            else:
                waiting.append(loaded)
            if len(waiting) >= self._encoder.window:
                self._submit(chunk, waiting, lane)
                waiting = []
        self._submit(chunk, waiting, lane)
        self._copy(chunk, unchanged)
        return chunk

    def _submit(self, chunk: _Chunk, loaded: list[Loaded], lane: Lane) -> None:
        """Arrange a window of payloads here, then have the lane encode it."""
        if loaded:
            payloads = self._encoder.arrange([one.payload for one in loaded])
            lane.submit(self._encode, chunk, np.array([one.row for one in loaded]), payloads)

    def _encode(self, chunk: _Chunk, rows: npt.NDArray[np.int64], payloads: Sequence[Payload]) -> None:
        for positions in self._encoder.batches(payloads):
            vectors = self._encoder.encode([payloads[position] for position in positions])
            if vectors.shape != (len(positions), self._plan.dimensions):
                raise ValueError(
                    f"{self._plan.name}: encoder gave {vectors.shape} for {len(positions)} items"
                )
            self._place(chunk, rows[positions], vectors)
            self._costs.memory.look()

    def _place(self, chunk: _Chunk, rows: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32]) -> None:
        with np.errstate(over="ignore"):  # float16 overflow becomes inf, which the next line finds
            stored = vectors.astype(self._plan.dtype)
        good = np.isfinite(stored).all(axis=1) & stored.any(axis=1)
        chunk.values[rows[good] - chunk.start] = stored[good]
        chunk.present[rows[good] - chunk.start] = True
        self._costs.encoded += int(good.sum())
        for row in rows[~good].tolist():
            chunk.fail(row, NOTHING_FOUND)

    def _copy(self, chunk: _Chunk, unchanged: list[int]) -> None:
        """Rows whose content is the previous extraction's: its vector, or its reason for having none."""
        if not unchanged or self._known is None:
            return
        rows = np.array(unchanged)
        reasons = self._known.reasons.gather(rows)
        good = reasons.is_null().to_numpy()
        there = self._known.rows.gather(rows[good]).to_numpy()
        chunk.values[rows[good] - chunk.start] = rows_of_map(self._known.values, there)
        chunk.present[rows[good] - chunk.start] = True
        self._costs.reused += int(good.sum())
        for row, reason in zip(rows[~good].tolist(), reasons.drop_nulls(), strict=True):
            chunk.fail(row, reason)


def _chunk_alone(
    encoder: Encoder, catalogue: _Catalogue, known: _Known | None, plan: Plan, start: int
) -> ChunkResult:
    """One chunk, on another machine."""
    return _Filling(encoder, catalogue, known, plan, _Costs()).chunk(start)


def _report(
    catalogue: _Catalogue, plan: Plan, directory: Path, costs: _Costs, seconds: float
) -> ExtractionReport:
    costs.memory.look()
    failed = _failed_rows(catalogue, directory)
    present = catalogue.n_content - len(failed)
    return ExtractionReport(
        name=plan.name,
        items=plan.items,
        present=present,
        missing=plan.items - catalogue.n_content,
        failed=failed,
        encoded=costs.encoded,
        reused=costs.reused,
        resumed=present - costs.encoded - costs.reused,
        seconds=seconds,
        items_per_second=costs.encoded / seconds,
        peak_memory_mb=costs.memory.megabytes,
        bytes_read=costs.bytes_read,
        dimensions=plan.dimensions,
        dtype=plan.dtype,
        fingerprint=plan.fingerprint,
        made_with=plan.made_with,
    )


def _failed_rows(catalogue: _Catalogue, directory: Path) -> tuple[FailedRow, ...]:
    failures = read_failures(directory)
    if failures.is_empty():
        return ()
    items = catalogue.items[failures["item"].to_list()]
    references = catalogue.encoder.references(items)
    modality = str(catalogue.encoder.options.modality)
    rows = zip(failures.iter_rows(), references, strict=True)
    return tuple(
        FailedRow(item, item_id, modality, reference[:_PATH_CHARACTERS], reason)
        for (item, item_id, reason), reference in rows
    )


def _require_numbered(items: pl.DataFrame) -> None:
    if items.is_empty():
        raise InputError(
            "features: the catalogue has no items; materialise core/items from a source that has some"
        )
    if not (items["item"] == pl.int_range(len(items), eager=True)).all():
        raise ValueError("items must be numbered 0..I-1 in the order of their rows")
