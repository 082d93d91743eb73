"""What extraction costs: the engine against the bare forward pass, sorted against unsorted batches, memory by size.

Measurements to be printed, never timed tests. Which options and items are measured is the caller's choice; results
are rows of a table.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from mrs_pipeline.encoders.base import Encoder, FittedEncoder, Payload
from mrs_pipeline.encoders.engine import extract, extract_with
from mrs_pipeline.encoders.loading import LoadTask, load_stream
from mrs_pipeline.encoders.options import EncoderOptions, feature_set_name
from mrs_pipeline.encoders.registry import open_encoder
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.types import IntArray


@dataclass(frozen=True)
class ExtractBench:
    """The engine, files to matrix, against the forward pass alone.

    Attributes:
        name: of the feature set.
        items: items with content.
        bare_per_second: items by second of the encoder on payloads decoded before.
        engine_per_second: items by second of the engine with a warm encoder: reading, decoding, encoding, writing.
        share: engine by bare.
        peak_memory_mb: of the engine, worker processes included.
    """

    name: str
    items: int
    bare_per_second: float
    engine_per_second: float
    share: float
    peak_memory_mb: float

    def to_row(self) -> dict[str, str | int | float]:
        """Field -> value."""
        return asdict(self)


@dataclass(frozen=True)
class SortingBench:
    """Length-sorted batches against batches in the order of the catalogue.

    Attributes:
        name: of the feature set.
        items: texts.
        sorted_per_second: texts by second, in the encoder's own batches.
        unsorted_per_second: texts by second, in order, as many texts a batch.
        speedup: sorted by unsorted.
    """

    name: str
    items: int
    sorted_per_second: float
    unsorted_per_second: float
    speedup: float

    def to_row(self) -> dict[str, str | int | float]:
        """Field -> value."""
        return asdict(self)


@dataclass(frozen=True)
class MemoryBench:
    """Peak memory of an extraction in a fresh process.

    Attributes:
        name: of the feature set.
        items: rows of the catalogue.
        peak_memory_mb: highest resident memory seen, worker processes included.
    """

    name: str
    items: int
    peak_memory_mb: float

    def to_row(self) -> dict[str, str | int | float]:
        """Field -> value."""
        return asdict(self)


def bench_extract(
    options: EncoderOptions, items: pl.DataFrame, media_root: Path, settings: EngineSettings | None = None
) -> ExtractBench:
    """Engine against bare forward pass on the same items; all their payloads are held in memory once.

    Args:
        options: one entry of `features:`.
        items: a catalogue of some hundred items, as `extract` takes it.
        media_root: folder of the media.
        settings: processes, chunks and device.
    """
    settings = settings or EngineSettings()
    encoder = open_encoder(options, media_root, settings)
    payloads = decoded(encoder, items, settings)
    if isinstance(encoder, FittedEncoder):
        encoder.fit(iter(payloads), len(payloads))
    bare = _seconds(encoder, encoder.arrange(payloads), encoder.batches)
    with tempfile.TemporaryDirectory() as work:
        report = extract_with(encoder, items, Path(work), settings=settings)
    bare_rate = len(payloads) / bare
    return ExtractBench(
        name=feature_set_name(options),
        items=len(payloads),
        bare_per_second=bare_rate,
        engine_per_second=report.items_per_second,
        share=report.items_per_second / bare_rate,
        peak_memory_mb=report.peak_memory_mb,
    )


def bench_sorting(
    options: EncoderOptions, items: pl.DataFrame, media_root: Path, settings: EngineSettings | None = None
) -> SortingBench:
    """What sorting by length is worth on these texts; `options` name a text encoder that sorts.

    Unsorted batches hold as many texts as the sorted ones do on average.
    """
    settings = settings or EngineSettings()
    encoder = open_encoder(options, media_root, settings)
    payloads = encoder.arrange(decoded(encoder, items, settings))
    n_batches = len(encoder.batches(payloads))
    ordered = _seconds(encoder, payloads, encoder.batches)
    unsorted = _seconds(encoder, payloads, lambda all_: list(np.array_split(np.arange(len(all_)), n_batches)))
    return SortingBench(
        name=feature_set_name(options),
        items=len(payloads),
        sorted_per_second=len(payloads) / ordered,
        unsorted_per_second=len(payloads) / unsorted,
        speedup=unsorted / ordered,
    )


def bench_memory(
    options: EncoderOptions,
    items: pl.DataFrame,
    media_root: Path,
    n_items: int,
    settings: EngineSettings | None = None,
) -> MemoryBench:
    """Peak memory of `n_items` items, made by repeating `items` under new ids, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        peak = pool.submit(_peak, options, items, media_root, n_items, settings).result()
    return MemoryBench(feature_set_name(options), n_items, peak)


def _peak(
    options: EncoderOptions,
    items: pl.DataFrame,
    media_root: Path,
    n_items: int,
    settings: EngineSettings | None,
) -> float:
    rows = np.arange(n_items) % len(items)
    repeated = items[rows].with_columns(
        item=pl.int_range(n_items, dtype=pl.Int64), item_id=pl.int_range(n_items).cast(pl.String)
    )
    with tempfile.TemporaryDirectory() as work:
        return extract(options, repeated, media_root, Path(work), settings=settings).peak_memory_mb


def decoded(encoder: Encoder, items: pl.DataFrame, settings: EngineSettings) -> list[Payload]:
    """Decoded content of all items that have usable content."""
    encoder.check_settings()
    encoder.prepare(items)
    references = encoder.references(items)
    tasks = [LoadTask(row, reference) for row, reference in enumerate(references) if reference is not None]
    workers = settings.worker_count(len(tasks)) if encoder.in_processes else 0
    loaded = load_stream(encoder.loader(), tasks, workers)
    return [one.payload for one in loaded if one.reason is None]


def _seconds(
    encoder: Encoder, payloads: Sequence[Payload], cut: Callable[[Sequence[Payload]], list[IntArray]]
) -> float:
    """Wall time of encoding all payloads, after one batch to warm up."""
    batches = cut(payloads)
    encoder.encode([payloads[position] for position in batches[0]])
    started = time.perf_counter()
    for positions in batches:
        encoder.encode([payloads[position] for position in positions])
    return time.perf_counter() - started
