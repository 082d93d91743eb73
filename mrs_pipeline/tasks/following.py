"""Lineage the other way: what was made of a raw file, or of an asset, as far as the records go.

`tracing` goes upwards from a result; here the same records are followed downwards.
"""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.tasks.tracing import require_records

_NAMED: Final = 5


@dataclass(frozen=True)
class Descendant:
    """Something that was made of what was asked for.

    Attributes:
        name: of the asset.
        window: it belongs to.
        digest: of its content.
        made_at: when.
        run: by which run.
        steps: how many makings lie between.
        latest: whether it is the latest making of its asset at its window.
    """

    name: str
    window: str
    digest: str
    made_at: datetime
    run: str
    steps: int
    latest: bool


def follow(lake: Lake, dataset: str, name: str, digest: str | None = None) -> list[Descendant]:
    """All that was made of something, the nearest first; of every version of it, unless one is named.

    Args:
        lake: where the lineage tables are.
        dataset: name of the dataset.
        name: of an asset (`core/items`, `raw/interactions@2024-01`) or of a file (`source/interactions.csv`).
        digest: the beginning of a version's digest.

    Raises:
        InputError: nothing was made of it.
    """
    require_records(lake, dataset)
    with lake.connect() as con:
        edges, makings = (
            lake.scan_all("lineage", table, dataset=dataset) for table in ("edges", "materializations")
        )
        latest = 'made_at = max(made_at) OVER (PARTITION BY asset, "window")'
        rows = con.execute(
            'SELECT upstream, upstream_version, asset, "window", data_version, made_at, run, latest '
            f'FROM {edges} JOIN (SELECT *, {latest} AS latest FROM {makings}) USING (dataset, "window", asset, run) '
            "ORDER BY made_at"
        ).fetchall()
    readers: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for upstream, version, *making in rows:
        readers[upstream, version].append(tuple(making))
    begun = [key for key in readers if key[0] == name and key[1].startswith(digest or "")]
    if not begun:
        raise InputError(_unknown(dataset, name, digest, {key[0] for key in readers}))
    return _reached(readers, begun)


def _reached(
    readers: dict[tuple[str, str], list[tuple[Any, ...]]], begun: Iterable[tuple[str, str]]
) -> list[Descendant]:
    """Breadth first, so that the nearest come first; what is made twice of one content is followed once."""
    found: dict[tuple[str, str, str, str], Descendant] = {}
    queue = deque((key, 1) for key in begun)
    followed = set(begun)
    while queue:
        key, steps = queue.popleft()
        for asset, window, digest, made_at, run, latest in readers.get(key, ()):
            found.setdefault(
                (asset, window, digest, run), Descendant(asset, window, digest, made_at, run, steps, latest)
            )
            for name in (asset, f"{asset}@{window}"):
                if (name, digest) not in followed:
                    followed.add((name, digest))
                    queue.append(((name, digest), steps + 1))
    return list(found.values())


def _unknown(dataset: str, name: str, digest: str | None, known: set[str]) -> str:
    if name in known:
        return f"nothing was made of a version {digest} of {name}; leave --version out for all of them."
    near = get_close_matches(name, known, _NAMED, 0.4) or sorted(known)[:_NAMED]
    return f"nothing of {dataset} is recorded as made of {name}; there is {', '.join(near)}."
