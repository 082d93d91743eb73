"""Reading the lineage tables back: what made an asset, from what, up to the digests of the raw files.

The records are written by `lineage`. They tell what was made of what, also of inputs that have been replaced since;
whether something is current is decided by `standing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mrs_pipeline.errors import InputError
from mrs_pipeline.schema import DATASET
from mrs_pipeline.storage.lake import Lake

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Making:
    """One materialisation: when, by which run, with which code."""

    window: str
    run: str
    made_at: datetime
    code_version: str
    git_commit: str | None
    package_version: str


@dataclass(frozen=True)
class Origin:
    """An asset, or a raw file, at one version.

    Attributes:
        name: of the asset, or of the file with its kind in front (`source/interactions.csv`).
        digest: digest of its content.
        made: how it was made; None for a raw file.
        inputs: what it was made from. Origins that are used twice are one object.
    """

    name: str
    digest: str
    made: Making | None
    inputs: tuple["Origin", ...] = ()


def trace(lake: Lake, dataset: str, asset: str, window: str | None = None) -> Origin:
    """The latest materialisation of an asset, and all that it was made from.

    Args:
        lake: where the lineage tables are.
        dataset: name of the dataset.
        asset: name of the asset, e.g. `core/items` or `metrics/lightgcn`.
        window: of the asset; that of the latest materialisation if None.

    Raises:
        InputError: the dataset, asset or window has no record.
    """
    require_records(lake, dataset)
    with lake.connect() as con:
        for name in ("materializations", "edges"):
            con.execute(f"CREATE TEMP TABLE {name} AS FROM {lake.scan_all('lineage', name, dataset=dataset)}")
        return _Tracer(con, dataset).latest(asset, window)


def require_records(lake: Lake, dataset: str) -> None:
    """InputError where nothing of the dataset has been made."""
    known = sorted({dict(table.keys)[DATASET] for table in lake.partitions("lineage", "materializations")})
    if dataset not in known:
        others = f"; there are records of {', '.join(known)}" if known else ""
        raise InputError(
            f"nothing of a dataset {dataset} has been made in {lake.root} yet{others}: run `mrs run {dataset}` first."
        )


class _Tracer:
    """Follows edges upwards, each node once."""

    def __init__(self, con: "DuckDBPyConnection", dataset: str) -> None:
        self._con = con
        self._dataset = dataset
        self._seen: dict[tuple[str, str, str], Origin] = {}

    def latest(self, asset: str, window: str | None) -> Origin:
        rows = self._makings('asset = ? AND coalesce("window" = ?, true)', [asset, window])
        if not rows:
            raise InputError(self._unknown(asset, window))
        return self._origin(rows[0])

    def _unknown(self, asset: str, window: str | None) -> str:
        windows = self._names('"window"', "asset = ?", [asset])
        if windows:
            return f"{asset} of {self._dataset} has not been made for window {window}; it has for {windows}."
        return (
            f"nothing called {asset} has been made of {self._dataset}; its assets are {self._names('asset')}."
        )

    def _names(self, column: str, condition: str = "true", values: Sequence[str] = ()) -> str:
        query = f"SELECT DISTINCT {column} FROM materializations WHERE {condition} ORDER BY 1"
        return ", ".join(row[0] for row in self._con.execute(query, list(values)).fetchall())

    def _makings(self, condition: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """(asset, digest, window, run, made_at, code version, commit, package version), the latest first."""
        return self._con.execute(
            'SELECT asset, data_version, "window", run, made_at, code_version, git_commit, package_version '
            f"FROM materializations WHERE {condition} ORDER BY made_at DESC",
            list(values),
        ).fetchall()

    def _origin(self, row: tuple[Any, ...]) -> Origin:
        name, digest, *making = row
        made = Making(*making)
        key = (name, made.window, made.run)
        if key not in self._seen:
            edges = self._con.execute(
                'SELECT upstream, upstream_version FROM edges WHERE asset = ? AND "window" = ? AND run = ? ORDER BY 1',
                list(key),
            ).fetchall()
            self._seen[key] = Origin(
                name, digest, made, tuple(self._input(upstream, version, made) for upstream, version in edges)
            )
        return self._seen[key]

    def _input(self, upstream: str, digest: str, made: Making) -> Origin:
        """The input as it lay there when it was read: the last making of that version before its reader's."""
        asset, _, window = upstream.partition("@")
        rows = self._makings(
            'asset = ? AND data_version = ? AND made_at <= ? AND coalesce("window" = ?, true) ',
            [asset, digest, made.made_at, window or None],
        )
        if rows:
            same = [row for row in rows if row[2] == made.window]
            return self._origin((same or rows)[0])
        key = (upstream, "", digest)
        return self._seen.setdefault(key, Origin(upstream, digest, None))
