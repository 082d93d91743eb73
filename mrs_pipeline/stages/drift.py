"""Drift: how a window differs from the one before it, in interactions, catalogue, features and recommendations.

Histograms are counted in DuckDB over all rows. Of items and lists a sample drawn by a hash of their ids is read, at
most `MOST_COMPARED` a side, so that memory does not grow with the data. A difference is drift where it is beyond the
bound in the settings and beyond what chance reaches between samples of these sizes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import polars as pl
from filelock import FileLock

from mrs_pipeline.dataset import DatasetConfig, DriftOptions
from mrs_pipeline.deciding import deciding
from mrs_pipeline.functional.shift import Shift, cosine_of_means, largest_ks, stability_index
from mrs_pipeline.schema import ITEM_ID, USER_ID, WINDOW
from mrs_pipeline.stages.report_links import DRIFT_PAGE, links_of_part
from mrs_pipeline.storage.pages import replace_text
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.storage.sql import identifier
from mrs_pipeline.stored.features import read_features
from mrs_pipeline.tables.columns import polars_type
from mrs_pipeline.tables.drift import DRIFT_TABLE
from mrs_pipeline.tables.items import ITEMS
from mrs_pipeline.tasks.node import CORE_ITEMS, RAW_INTERACTIONS, WINDOW_DRIFT, Kind, Node
from mrs_pipeline.tasks.places import exists, table_of, windows
from mrs_pipeline.tasks.task import CheckOutcome, CheckSpec, Outcome, Stage, Task

MOST_COMPARED: Final = 20_000
"""Most items of a feature set, or users of lists, that are compared a side."""
FEWEST: Final = 20
"""Fewest rows a side that are compared at all."""
MOST_CATEGORIES: Final = 50
"""Most distinct values of an attribute that is compared."""
_DATE: Final = r"(1[89]|20)\d\d([-/.]\d{1,2}){0,2}"
"""A year, a month or a day."""
COMPARED_PARTS: Final = ("interactions", "catalogue", "features", "recommendations")


@dataclass(frozen=True)
class WindowComparison:
    """One row of `quality.drift`."""

    part: str
    about: str
    statistic: str
    value: float
    chance: float | None
    bound: float | None
    n_before: int
    n_now: int
    drifted: bool


def measure_drift(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """Compare the stage's window with the one before it; no row where there is none or too little to compare."""
    found = list(_compared(stage))
    schema = {name: polars_type(column.type) for name, column in DRIFT_TABLE.columns.items()}
    frame = pl.DataFrame([asdict(each) for each in found], schema=schema)
    manifest = stage.lake.write_frame(table_of(stage, WINDOW_DRIFT), frame, provenance)
    largest = {
        f"{part} psi": max(
            (row.value for row in found if row.part == part and row.statistic == "psi"), default=0.0
        )
        for part in COMPARED_PARTS
    }
    page = _write_drift_page(stage)
    facts = {
        **{name: round(value, 4) for name, value in largest.items()},
        "page": str(page),
        "drift": frame,
    }
    return [Outcome(WINDOW_DRIFT, manifest.digest, facts, manifest.columns)]


def _write_drift_page(stage: Stage) -> Path:
    """Write `data/reports/<dataset>/drift.html`: all windows that have been compared, whichever was measured last."""
    from mrs_pipeline.reporting.drift_page import DriftPageInputs, drift_page

    path = stage.home.reports / stage.config.name / DRIFT_PAGE
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(stage.home.data / f".drift-{stage.config.name}.lock"):
        tables = [(key, table_of(stage.at(key), WINDOW_DRIFT)) for key in windows(stage.config)]
        frames = [
            stage.lake.read(table).with_columns(pl.lit(key).alias(WINDOW))
            for key, table in tables
            if stage.lake.exists(table)
        ]
        page = drift_page(
            DriftPageInputs(
                dataset=stage.config.name,
                generated=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
                rows=pl.concat(frames),
                links=links_of_part(stage.home, stage.config.name, path),
            )
        )
        replace_text(path, page)
    return path


def check_drift(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """One check a part: nothing in it drifted."""
    rows = stage.lake.read(table_of(stage, WINDOW_DRIFT))
    outcomes = []
    for spec in task.check_specs:
        own = rows.filter(part=spec.name)
        drifted = own.filter("drifted")
        said = [
            f"{row['about']}: {row['statistic']} {row['value']:.3f} (bound {row['bound']:g})"
            for row in drifted.iter_rows(named=True)
        ]
        found = "; ".join(said) or (
            f"{own.height} comparisons within bounds" if own.height else "nothing to compare"
        )
        facts = {"compared": own.height, "drifted": drifted.height, "rows": own}
        outcomes.append(CheckOutcome(spec.name, WINDOW_DRIFT, not said, spec.blocking, found, facts))
    return outcomes


def drift_task(config: DatasetConfig) -> Task:
    """The task that compares a window with the one before it."""
    lists = tuple(Node(Kind.RECOMMENDATIONS, name) for name in config.model_configs)
    sets = tuple(Node(Kind.FEATURES, name) for name in config.feature_names)
    return Task(
        outputs=(WINDOW_DRIFT,),
        inputs=(RAW_INTERACTIONS, CORE_ITEMS, *sets, *lists),
        where_there=frozenset((*sets, *lists)),
        run=measure_drift,
        settings=deciding(config.drift),
        group="report",
        description="How the window differs from the one before it: activity, attributes and features of what is "
        "taken, lists. Lists of the window before are compared as they are stored at that moment.",
        kinds=("duckdb",),
        check_specs=tuple(
            CheckSpec(part, WINDOW_DRIFT, f"The {part} are like those of the window before.", blocking=False)
            for part in COMPARED_PARTS
        ),
        check=check_drift,
    )


def _compared(stage: Stage) -> Iterator[WindowComparison]:
    earlier = [key for key in windows(stage.config) if key < stage.window]
    if not earlier or not exists(stage, RAW_INTERACTIONS.at(earlier[-1])):
        return
    with stage.lake.connect() as con:
        for name, key in (("before", earlier[-1]), ("now", stage.window)):
            scan = stage.lake.scan(stage.table("raw", "interactions", window=key))
            con.execute(f"CREATE TEMP TABLE {name} AS SELECT {USER_ID}, {ITEM_ID} FROM {scan}")
        sizes = [con.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in ("before", "now")]
        if min(sizes) < FEWEST:
            return
        yield from _interactions(con, stage, earlier)
        yield from _catalogue(con, stage)
        yield from _features(con, stage)
    yield from _lists(stage, stage.at(earlier[-1]))


def _interactions(
    con: duckdb.DuckDBPyConnection, stage: Stage, earlier: Sequence[str]
) -> Iterator[WindowComparison]:
    """How many are new, and how active users and items are."""
    tables = [stage.table("raw", "interactions", window=key) for key in earlier]
    past = stage.lake.scan(*(table for table in tables if stage.lake.exists(table)))
    for column, what in ((USER_ID, "users"), (ITEM_ID, "items")):
        new, n = con.execute(
            f"SELECT count(*) FILTER (NOT seen), count(*) FROM (SELECT bool_or(age) AS seen FROM (SELECT {column}, "
            f"false AS age FROM now UNION ALL SELECT {column}, true FROM {past} SEMI JOIN now USING ({column})) "
            f"GROUP BY {column})"
        ).fetchall()[0]
        yield WindowComparison("interactions", f"new {what}", "share", new / n, None, None, 0, n, False)
        activity = (
            "SELECT floor(log2(n))::BIGINT AS bin FROM (SELECT count(*) AS n FROM {} GROUP BY " + column + ")"
        )
        yield _psi(con, stage.config.drift, "interactions", f"events of {what}", activity)


def _catalogue(con: duckdb.DuckDBPyConnection, stage: Stage) -> Iterator[WindowComparison]:
    """Attributes of what was taken, an event each.

    Attributes of many values are texts, which the features tell of; those that are dates drift by nature.
    """
    items = stage.lake.scan(table_of(stage, CORE_ITEMS))
    described = con.execute(f"DESCRIBE SELECT * FROM {items}").fetchall()
    for name in (
        str(name) for name, kind, *_ in described if kind == "VARCHAR" and name not in ITEMS.columns
    ):
        column = identifier(name)
        distinct, dates = con.execute(
            f"SELECT count(DISTINCT {column}), bool_and(regexp_full_match({column}, '{_DATE}')) FROM {items}"
        ).fetchall()[0]
        if 2 <= distinct <= MOST_CATEGORIES and not dates and name not in stage.config.drift.ignore:
            values = f"SELECT items.{column} AS bin FROM {{}} JOIN {items} AS items USING ({ITEM_ID})"
            yield _psi(con, stage.config.drift, "catalogue", name, values)


def _features(con: duckdb.DuckDBPyConnection, stage: Stage) -> Iterator[WindowComparison]:
    """Vectors of the items that were taken."""
    bounds, items = stage.config.drift, stage.lake.scan(table_of(stage, CORE_ITEMS))
    taken = [
        con.execute(
            f"SELECT item FROM {items} WHERE {ITEM_ID} IN (SELECT DISTINCT {ITEM_ID} FROM {side}) "
            f"ORDER BY hash({ITEM_ID}) LIMIT {MOST_COMPARED}"
        ).fetchnumpy()["item"]
        for side in ("before", "now")
    ]
    for name in stage.config.feature_names:
        if not exists(stage, Node(Kind.FEATURES, name)):
            continue
        features = read_features(stage, name)
        before, now = (
            np.asarray(features.values[np.sort(rows[features.present[rows]])], dtype=np.float64)
            for rows in taken
        )
        n = len(before), len(now)
        if min(n) < FEWEST:
            continue
        shift = largest_ks(before, now)
        yield _beyond("features", name, shift, statistic="ks", bound=bounds.max_ks, n=n)
        cosine = cosine_of_means(before, now)
        drifted = cosine < bounds.min_cosine and shift.value > shift.chance
        yield WindowComparison("features", name, "cosine", cosine, None, bounds.min_cosine, *n, drifted)


def _lists(stage: Stage, before: Stage) -> Iterator[WindowComparison]:
    """Of each model whose lists of the window before are stored: what stayed, and how popular what it lists is."""
    for model in stage.config.model_configs:
        node = Node(Kind.RECOMMENDATIONS, model)
        if not (exists(stage, node) and exists(before, node)):
            continue
        with stage.lake.connect() as con:
            for name, place in (("before", before), ("now", stage)):
                scan = stage.lake.scan(table_of(place, node))
                con.execute(
                    f"CREATE TEMP TABLE {name} AS SELECT {USER_ID}, {ITEM_ID} FROM {scan} WHERE {USER_ID} IN "
                    f"(SELECT {USER_ID} FROM (SELECT DISTINCT {USER_ID} FROM {scan}) ORDER BY hash({USER_ID}) "
                    f"LIMIT {MOST_COMPARED})"
                )
            yield from _list_rows(con, stage, model)


def _list_rows(con: duckdb.DuckDBPyConnection, stage: Stage, model: str) -> Iterator[WindowComparison]:
    bounds = stage.config.drift
    overlap, users = con.execute(
        f"SELECT avg(stayed / total), count(*) FROM (SELECT count(before.{ITEM_ID}) AS stayed, count(*) AS total FROM "
        f"now LEFT JOIN before USING ({USER_ID}, {ITEM_ID}) WHERE {USER_ID} IN (SELECT {USER_ID} FROM before) "
        f"GROUP BY {USER_ID})"
    ).fetchall()[0]
    if users < FEWEST:
        return
    yield WindowComparison(
        "recommendations", model, "overlap", overlap, None, bounds.min_overlap, users, users,
        overlap < bounds.min_overlap,
    )  # fmt: skip
    splits = stage.lake.scan(stage.table("core", "splits"))
    items = stage.lake.scan(table_of(stage, CORE_ITEMS))
    con.execute(
        f"CREATE TEMP TABLE popularity AS SELECT {ITEM_ID}, floor(log2(1 + count(taken.item)))::BIGINT AS bin FROM "
        f"{items} AS items LEFT JOIN (SELECT item FROM {splits} WHERE split <> 'test') AS taken USING (item) "
        "GROUP BY ALL"
    )
    listed = f"SELECT bin FROM {{}} JOIN popularity USING ({ITEM_ID})"
    yield _psi(con, bounds, "recommendations", f"popularity of what {model} lists", listed)


def _psi(
    con: duckdb.DuckDBPyConnection, bounds: DriftOptions, part: str, about: str, values: str
) -> WindowComparison:
    """Stability index of `bin` between the tables `before` and `now`, which `values` is formatted with."""
    rows = con.execute(
        f"SELECT bin, count(*) FILTER (side = 0), count(*) FILTER (side = 1) FROM (SELECT bin, 0 AS side FROM "
        f"({values.format('before')}) UNION ALL SELECT bin, 1 AS side FROM ({values.format('now')})) GROUP BY bin "
        "ORDER BY bin"
    ).fetchall()
    before, now = (np.array([row[side] for row in rows], dtype=np.int64) for side in (1, 2))
    sizes = int(before.sum()), int(now.sum())
    return _beyond(part, about, stability_index(before, now), statistic="psi", bound=bounds.max_psi, n=sizes)


def _beyond(
    part: str, about: str, shift: Shift, *, statistic: str, bound: float, n: tuple[int, int]
) -> WindowComparison:
    drifted = shift.value > bound and shift.value > shift.chance
    return WindowComparison(part, about, statistic, shift.value, shift.chance, bound, *n, drifted)
