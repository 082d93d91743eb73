"""How fast the service answers: a made-up catalogue, an open loop of requests at a given rate, latencies.

In an open loop requests are sent when their time has come, whether or not earlier ones were answered, and a latency
counts from that time: a service that falls behind shows it. The service runs in a process of its own.
"""

import asyncio
import json
import multiprocessing
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import torch

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.evaluation.history import together
from mrs_pipeline.fitting import configure
from mrs_pipeline.functional.sequences import OrderedHistories
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.registry import model_class
from mrs_pipeline.retrieval.index import RECALL_AT, build_index, recall_against_exact
from mrs_pipeline.retrieval.options import IndexOptions
from mrs_pipeline.serving.bundle import Bundle
from mrs_pipeline.serving.newcomers import ContentEncoders, Newcomers
from mrs_pipeline.serving.shelf import Shelf
from mrs_pipeline.serving.swapping import Holder, Served
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.types import Interactions, TrainingData

_HISTORY: Final = 20
_CLUSTERS: Final = 200
_CONNECTIONS: Final = 64
_WARM_UP: Final = 200
_MIX: Final = (("user", 0.6), ("history", 0.3), ("similar", 0.1))


@dataclass(frozen=True)
class Load:
    """What is asked of the service.

    Attributes:
        items, users, width: of the made-up catalogue and model.
        rate: requests a second.
        seconds: how long.
        swaps: models that take each other's place meanwhile, evenly.
        exact: whether all inner products are computed in place of asking an index.
    """

    items: int = 100_000
    users: int = 20_000
    width: int = 64
    rate: float = 200.0
    seconds: float = 30.0
    swaps: int = 20
    exact: bool = False


@dataclass(frozen=True)
class LoadResult:
    """What came of it: latencies in milliseconds by kind of request, errors, swaps, what the index finds."""

    latencies: dict[str, list[float]]
    errors: int
    swaps: int
    recall: float

    def rows(self) -> pl.DataFrame:
        """One row a kind of request, and one for all."""
        everything = {**self.latencies, "all": [each for part in self.latencies.values() for each in part]}
        return pl.DataFrame(
            [
                {
                    "request": kind,
                    "requests": len(values),
                    **{
                        f"p{share:g} ms": round(float(np.percentile(values, share)), 2)
                        for share in (50, 95, 99, 99.9)
                    },
                    "max ms": round(max(values), 1),
                }
                for kind, values in everything.items()
                if values
            ]
        )


def run_load(load: Load) -> LoadResult:
    """Start a service, put the load to it, end it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(load, theirs), daemon=True)
    process.start()
    try:
        told: dict[str, Any] = ours.recv()
        latencies, errors = asyncio.run(_put(load, told["port"]))
        ours.send("end")
        swaps = int(ours.recv())
    finally:
        process.terminate()
        process.join()
    return LoadResult(latencies, errors, swaps, told["recall"])


class _Fixed(Holder):
    """Holds a made-up bundle, and another of the same vectors at each refresh."""

    def __init__(self, stage: Stage, made: Bundle) -> None:
        self._made, self._number = made, 0
        super().__init__(stage)

    def _wanted(self) -> tuple[str, str, str, str]:
        return "full", self._made.name, f"{self._number:064x}", ""

    def _load(self, newcomers: Newcomers) -> Served:
        parts = {name: getattr(self._made, name) for name in self._made.__dataclass_fields__}
        bundle = Bundle(**{**parts, "version": f"{self._number:064x}"})
        for name in ("user_vectors", "fold", "popularity", "rankable", "known_users", "unit_item_vectors"):
            getattr(bundle, name)
        return Served(bundle, newcomers, ContentEncoders(bundle), time.time())

    def promote(self) -> None:
        """Put another in its place."""
        self._number += 1
        self.refresh()


def made_up(load: Load, folder: Path) -> tuple[Bundle, float]:
    """A factor model of clustered vectors with popular items, its index, and the recall of that."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(_CLUSTERS, load.width))
    of_item, of_user = rng.integers(0, _CLUSTERS, load.items), rng.integers(0, _CLUSTERS, load.users)
    spread = np.exp(rng.normal(0, 0.4, (load.items, 1)))
    items = ((centres[of_item] + rng.normal(size=(load.items, load.width))) * spread).astype(np.float32)
    users = (centres[of_user] + rng.normal(size=(load.users, load.width))).astype(np.float32)
    taken = rng.integers(0, load.items, load.users * _HISTORY)
    owners = np.repeat(np.arange(load.users), _HISTORY)
    first = np.arange(load.items) % load.users  # so that every item has somebody
    train = Interactions(
        np.concatenate([owners, first]),
        np.concatenate([taken, np.arange(load.items)]),
        load.users,
        load.items,
    )
    nothing = Interactions(np.zeros(0, np.int64), np.zeros(0, np.int64), load.users, load.items)
    train = together(train, nothing)
    data = TrainingData(train, nothing)
    config = configure("bpr_mf", {"embedding_size": load.width})
    model = model_class("bpr_mf")(config, ModelInputs.from_data(data), torch.Generator())
    model.load_state_dict(
        {"user_embedding": torch.from_numpy(users), "item_embedding": torch.from_numpy(items)}
    )
    options = IndexOptions(exact_below=load.items if load.exact else 0)
    queries = users[rng.permutation(load.users)[:400]]
    index = build_index(folder, items, np.arange(load.items), queries[:200], options)
    names = [f"i{number:06d}" for number in range(load.items)]
    shelf = pl.DataFrame({"item_id": names, "title": names}).with_columns(image=pl.lit(None, pl.String))
    bundle = Bundle(
        stage=made_up_stage(folder),
        version="",
        model=model.eval(),
        data=data,
        shelf=Shelf(shelf, folder),
        users={f"u{number:06d}": number for number in range(load.users)},
        histories=OrderedHistories.of(train),
        index=index,
        content={},
    )
    return bundle, recall_against_exact(index, queries[200:], RECALL_AT)


def made_up_stage(folder: Path) -> Stage:
    """A dataset that nothing is read of."""
    return Stage(
        DatasetConfig.model_validate({"name": "made_up", "source": {"reader": "demo"}}), Home(folder)
    )


def _serve(load: Load, pipe: Any) -> None:
    """The process of the service: tells its port, swaps at even times, tells how often when it is to end."""
    import socket
    import threading

    import uvicorn

    from mrs_pipeline.serving.app import make_app

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        bundle, recall = made_up(load, Path(folder))
        holder = _Fixed(bundle.stage, bundle)
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(make_app(holder), log_level="error", access_log=False))

        def promote() -> None:
            for _ in range(load.swaps):
                time.sleep(load.seconds / (load.swaps + 1))
                holder.promote()

        threading.Thread(target=promote, daemon=True).start()

        def end() -> None:
            pipe.recv()
            pipe.send(holder.swaps)
            server.should_exit = True

        threading.Thread(target=end, daemon=True).start()
        pipe.send({"port": listening.getsockname()[1], "recall": recall})
        server.run(sockets=[listening])


async def _put(load: Load, port: int) -> tuple[dict[str, list[float]], int]:
    """Send every request at its time over a pool of open connections."""
    rng = np.random.default_rng(2)
    idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(_CONNECTIONS):
        idle.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    latencies: dict[str, list[float]] = {kind: [] for kind, _ in _MIX}
    errors = 0
    total = int(load.rate * load.seconds) + _WARM_UP
    kinds = rng.choice([kind for kind, _ in _MIX], total, p=[share for _, share in _MIX])
    requests = [(kind, _request(kind, load, rng)) for kind in kinds]
    gaps = rng.exponential(1 / load.rate, total).cumsum()  # as strangers come
    begun = time.perf_counter() + 0.5

    async def one(number: int, kind: str, data: bytes) -> None:
        nonlocal errors
        due = begun + gaps[number]
        reader, writer = await idle.get()
        try:
            writer.write(data)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            sound = head.startswith(b"HTTP/1.1 200")
        except (OSError, asyncio.IncompleteReadError, IndexError, ValueError):
            sound = False
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        idle.put_nowait((reader, writer))
        if number >= _WARM_UP:
            latencies[kind].append(1000 * (time.perf_counter() - due))
            errors += not sound

    running = []
    for number, (kind, data) in enumerate(requests):
        await asyncio.sleep(max(0.0, begun + gaps[number] - time.perf_counter()))
        running.append(asyncio.create_task(one(number, kind, data)))
    await asyncio.gather(*running)
    return latencies, errors


def _request(kind: str, load: Load, rng: np.random.Generator) -> bytes:
    if kind == "similar":
        path = f"/v1/items/i{rng.integers(load.items):06d}/similar?by=model&k=10"
        return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    if kind == "user":
        body = json.dumps({"user": f"u{rng.integers(load.users):06d}", "k": 20})
    else:
        body = json.dumps(
            {"history": [f"i{each:06d}" for each in rng.integers(0, load.items, _HISTORY)], "k": 20}
        )
    head = (
        f"POST /v1/recommendations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


def conditions(load: Load) -> str:
    """In a sentence, what was measured under."""
    import os

    busy = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    search = "all inner products" if load.exact else "HNSW"
    return (
        f"{load.items:,} items, {load.users:,} users, {load.width} wide, {search}; {load.rate:g} requests a second for "
        f"{load.seconds:g} s, open loop; {os.cpu_count()} cores with a load of {busy} over 1, 5 and 15 minutes"
    )
