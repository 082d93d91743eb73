"""Reads and decodes a stream of items in order, in this process or in a bounded pool of others.

A decoder that dies (a native library crashing on hostile bytes) costs its one item, not the run. Results come
in the order of the tasks, with a bounded number in flight, so memory does not grow with the stream.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import wait

from mrs_pipeline.encoders.base import ContentError, Loader, Payload

ITEMS_OF_A_PROCESS = 8
"""Items that travel to a worker together; saves most of the cost of crossing."""
CHUNKS_AHEAD = 3
"""Groups in flight for each worker."""
MAX_REASON = 300
"""Characters of a reason; decoders can be verbose."""


@dataclass(frozen=True)
class LoadTask:
    """One item to load.

    Attributes:
        row: its row in the matrix.
        reference: where its content lies.
        known: digest of the content that is encoded already; if it is unchanged nothing is decoded.
    """

    row: int
    reference: str
    known: str | None = None


@dataclass(frozen=True)
class Loaded:
    """What came of a task: a payload, or `unchanged`, or the reason why there is none."""

    row: int
    digest: str = ""
    size: int = 0
    payload: Payload = None
    unchanged: bool = False
    reason: str | None = None


def load_stream(loader: Loader, tasks: Iterable[LoadTask], workers: int) -> Generator[Loaded, None, None]:
    """The result of each task, in order; `workers` 0 loads in this process."""
    if workers == 0:
        return (load_one(loader, task) for task in tasks)
    return _load_in_processes(loader, iter(tasks), workers)


def load_one(loader: Loader, task: LoadTask) -> Loaded:
    """Read, compare with what is known, decode."""
    digest, size = "", 0
    try:
        content = loader.read(task.reference)
        digest, size = content.digest, content.size
        if digest == task.known:
            return Loaded(task.row, digest, size, unchanged=True)
        return Loaded(task.row, digest, size, loader.decode(content))
    except ContentError as error:
        return Loaded(task.row, digest, size, reason=" ".join(str(error).split())[:MAX_REASON])


def _load_group(loader: Loader, tasks: list[LoadTask]) -> list[Loaded]:
    return [load_one(loader, task) for task in tasks]


def _load_in_processes(
    loader: Loader, tasks: Iterator[LoadTask], workers: int
) -> Generator[Loaded, None, None]:
    flight: deque[tuple[list[LoadTask], Future[list[Loaded]]]] = deque()
    pool = _pool(workers)
    try:
        while True:
            while len(flight) < workers * CHUNKS_AHEAD and (group := list(islice(tasks, ITEMS_OF_A_PROCESS))):
                flight.append((group, _submit(pool, loader, group)))
            if not flight:
                return
            group, future = flight.popleft()
            try:
                yield from future.result()
            except BrokenProcessPool:
                # Every group in flight is lost with the pool; one of their items is the culprit.
                suspects = [task for lost in (group, *(others for others, _ in flight)) for task in lost]
                flight.clear()
                yield from _load_suspects(loader, suspects)
                pool = _pool(workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, loader: Loader, group: list[LoadTask]) -> "Future[list[Loaded]]":
    """The group's future, also where the pool has broken since the last look."""
    try:
        return pool.submit(_load_group, loader, group)
    except BrokenProcessPool as error:
        lost: Future[list[Loaded]] = Future()
        lost.set_exception(error)
        return lost


def _load_suspects(loader: Loader, tasks: list[LoadTask]) -> Iterator[Loaded]:
    """Each task alone in a process, so that only the one that kills it is lost."""
    pool = _pool(1)
    _require_working(pool, loader)
    try:
        for task in tasks:
            try:
                yield pool.submit(load_one, loader, task).result()
            except BrokenProcessPool:
                yield Loaded(task.row, reason="the decoder's process died on it")
                pool = _pool(1)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _require_working(pool: ProcessPoolExecutor, loader: Loader) -> None:
    """RuntimeError where a worker dies without any item: then no item is to blame."""
    try:
        pool.submit(_load_group, loader, []).result()
    except BrokenProcessPool as error:
        raise RuntimeError(
            "worker processes cannot start: they cannot import what this process imported, or the machine "
            "ends them; run with workers: 0 to see why"
        ) from error


def _pool(workers: int) -> ProcessPoolExecutor:
    # Plain fork would copy a process that has threads (torch, polars, Dagster) in the middle of what they do.
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
