"""Chunks of an extraction on Ray Data: a pool of actors that each keep the encoder, the same chunks as in one process.

An actor makes a whole chunk; the process that started the extraction writes it, so that files, digests and the log of
finished chunks are those of `engine.py`, and a kill of either side is taken up in the same way. Ray gives the chunks of
a lost actor to another one.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from mrs_pipeline.encoders.store import ChunkResult

_WIDTH: Final = "S32"

Maker = Callable[[int], ChunkResult]
"""First row of a chunk -> the chunk."""


def chunks_on_ray(
    ray: Any, maker: Maker, starts: Sequence[int], *, gpus: float = 0.0
) -> Iterator[ChunkResult]:
    """The chunks that begin at `starts`, in any order.

    Args:
        ray: the module, connected.
        maker: makes a chunk; each actor is sent a copy once.
        starts: first rows.
        gpus: of an actor.
    """
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    actors = max(
        1, int(ray.cluster_resources().get("GPU", 0) / gpus if gpus else ray.cluster_resources()["CPU"])
    )
    parts = ray.data.from_items([{"start": start} for start in starts], override_num_blocks=len(starts))
    made = parts.map_batches(
        _Actor,
        fn_constructor_args=(ray.put(maker),),
        batch_size=1,
        num_cpus=None if gpus else 0.5,
        num_gpus=gpus or None,
        concurrency=(1, min(actors, len(starts))),
    )
    for row in made.iter_rows():
        yield _unpacked(row)


class _Actor:
    """Keeps an encoder as long as there are chunks."""

    def __init__(self, maker: Any) -> None:
        import ray

        self._make: Maker = ray.get(maker)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        packed = [_packed(self._make(int(start))) for start in batch["start"]]
        return {key: [each[key] for each in packed] for key in packed[0]}


def _packed(chunk: ChunkResult) -> dict[str, Any]:
    """A chunk as one row of a Ray dataset: numbers as bytes, so that rows of several lengths go together."""
    return {
        "start": chunk.start,
        "width": chunk.values.shape[1],
        "dtype": str(chunk.values.dtype),
        "values": np.ascontiguousarray(chunk.values).tobytes(),
        "present": chunk.present.tobytes(),
        "digests": chunk.digests.tobytes(),
        "failures": json.dumps([[row, reason] for row, reason in chunk.failures]),
    }


def _unpacked(row: dict[str, Any]) -> ChunkResult:
    values = np.frombuffer(row["values"], dtype=row["dtype"]).reshape(-1, row["width"])
    present = np.frombuffer(row["present"], dtype=np.bool_)
    digests = np.frombuffer(row["digests"], dtype=_WIDTH)
    return ChunkResult(
        row["start"], values, present, digests, [(at, why) for at, why in json.loads(row["failures"])]
    )
