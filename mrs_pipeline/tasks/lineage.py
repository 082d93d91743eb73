"""The lineage tables: who made what, from what, with which code. Append-only; one small file a materialisation.

Column lineage is declared with each table (`tables`); digests come from the outcomes. When a record is written is
decided by `orchestration`. Outputs are stored a moment before their record is, and a run may be killed in between:
what has no record is not done.
"""

import subprocess
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from mrs_pipeline import __version__
from mrs_pipeline.code import closure
from mrs_pipeline.errors import UnreadableError
from mrs_pipeline.storage.lake import Table
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.places import column_sources, node_of, record
from mrs_pipeline.tasks.task import CheckOutcome, Outcome, Stage, Task

_OWN = Provenance("lineage")
"""Lineage rows describe other tables' provenance; their own is nobody's input."""


def record_outcomes(stage: Stage, task: Task, outcomes: list[Outcome], run: str) -> None:
    """Append one row a materialised output, one an input that it was made from, and its columns' sources.

    The outputs' rows come last: where they are, the record is whole.
    """
    provenance = record(stage, outcomes[0].node)[1]
    made = [
        {
            "asset": str(outcome.node.asset),
            "run": run,
            "made_at": datetime.now(UTC).replace(tzinfo=None),
            "data_version": outcome.digest,
            "code_version": provenance.code_version,
            "git_commit": git_commit(stage.home.root),
            "package_version": __version__,
        }
        for outcome in outcomes
    ]
    edges = [
        {"asset": row["asset"], "run": run, "upstream": name, "upstream_version": digest}
        for row in made
        for name, digest in provenance.upstream.items()
    ]
    columns = [
        {"asset": row["asset"], "column": column, "upstream": source, "upstream_column": source_column}
        for row in made
        for column, sources in column_sources(stage.config, Node.parse(str(row["asset"]))).items()
        for source, source_column in sources
    ]
    _append(
        stage, "edges", task.name, run, pl.DataFrame(edges, schema=dict.fromkeys(_EDGE_COLUMNS, pl.String))
    )
    _append(
        stage,
        "columns",
        task.name,
        "latest",
        pl.DataFrame(columns, schema=dict.fromkeys(_COLUMN_COLUMNS, pl.String)),
    )
    _append(stage, "materializations", task.name, run, pl.DataFrame(made, infer_schema_length=None))


_DIGITS = 16
LATEST = "latest"
"""In place of a run, for what is replaced instead of appended to."""
_EDGE_COLUMNS = ("asset", "run", "upstream", "upstream_version")
_COLUMN_COLUMNS = ("asset", "column", "upstream", "upstream_column")


def check_version(task: Task) -> str:
    """The version of the code of a task's checks."""
    return closure(task.check).digest[:_DIGITS] if task.check else ""


def record_checks(stage: Stage, task: Task, outcomes: list[CheckOutcome], run: str) -> None:
    """Replace the latest results of a task's checks at this window."""
    code = check_version(task)
    rows = [
        {
            "asset": str(outcome.output),
            "name": outcome.name,
            "severity": "error" if outcome.blocking else "warning",
            "passed": outcome.passed,
            "description": outcome.description,
            "data_version": record(stage, node_of(stage, outcome.output))[0],
            "code_version": code,
            "run": run,
        }
        for outcome in outcomes
    ]
    _append(stage, "checks", task.name, LATEST, pl.DataFrame(rows))


def recorded_checks(stage: Stage, task: Task) -> list[CheckOutcome]:
    """The latest results of a task's checks at this window, as they were recorded."""
    rows = stage.lake.read(_table(stage, "checks", task.name, LATEST))
    specs = {(str(spec.output), spec.name): spec for spec in task.check_specs}
    facts = {"looked at": "when this content was made; it has not changed since"}
    return [
        CheckOutcome(name, specs[asset, name].output, passed, specs[asset, name].blocking, description, facts)
        for asset, name, passed, description in rows.select(
            "asset", "name", "passed", "description"
        ).iter_rows()
    ]


def unfinished_checks(stage: Stage, task: Task) -> tuple[bool, list[str]]:
    """Whether checks of today's code have yet to look at the outputs as they are, and the blocking ones that failed."""
    if task.check is None:
        return False, []
    table = _table(stage, "checks", task.name, LATEST)
    if not stage.lake.exists(table):
        return True, []
    try:
        latest = stage.lake.read(table)
    except UnreadableError:
        return True, []
    now = {
        (str(spec.output), record(stage, node_of(stage, spec.output))[0], check_version(task))
        for spec in task.check_specs
    }
    if "code_version" not in latest.columns:
        return True, []
    seen = set(latest.select("asset", "data_version", "code_version").iter_rows())
    failed = latest.filter(~pl.col("passed") & (pl.col("severity") == "error"))["name"].to_list()
    return not now <= seen, failed if now <= seen else []


def is_recorded(stage: Stage, task: Task) -> bool:
    """Whether lineage knows the task's outputs as they are now: their content, their code, their inputs."""
    return _stored(stage, task) <= _known(stage, task)


def was_never_recorded(stage: Stage, task: Task) -> bool:
    """Whether a run was killed after it had made the outputs and before it could record them.

    A content that lineage does not know, of code and inputs that it knows with another content, is something else: it
    was tampered with.
    """
    return not _known(stage, task)


def taken_over(stage: Stage, task: Task) -> list[Outcome]:
    """Outcomes of a task whose outputs a killed run has made, from what is stamped on them."""
    facts = {"taken over": "made by a run that was killed before it could record it; not made again"}
    nodes = [node_of(stage, output) for output in task.outputs]
    return [Outcome(node, record(stage, node)[0], facts) for node in nodes]


@lru_cache(maxsize=1)
def git_commit(root: Path) -> str | None:
    """The commit that the project's folder is at, with `+` for changes on top; None outside a repository."""
    head = _git(root, "rev-parse", "HEAD")
    return head and head + ("+" if _git(root, "status", "--porcelain") else "")


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints; None where there is no git, no repository, or no answer in ten seconds."""
    command = ["git", *arguments]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _stored(stage: Stage, task: Task) -> set[tuple[str, str]]:
    """(asset, data version) of the outputs as they are now."""
    return {(str(output), record(stage, node_of(stage, output))[0]) for output in task.outputs}


def _known(stage: Stage, task: Task) -> set[tuple[str, str]]:
    """(asset, data version) of all records of the code and the inputs that are stamped on the outputs."""
    now = record(stage, node_of(stage, task.outputs[0]))[1]
    found: set[tuple[str, str]] = set()
    for table in stage.lake.partitions("lineage", "materializations", **_keys(stage, task.name, "*")):
        rows = _rows(stage, table, "asset", "data_version", "code_version")
        found |= {
            (asset, version)
            for asset, version, code in rows
            if Provenance(code, _inputs(stage, table, asset)) == now
        }
    return found


def _inputs(stage: Stage, made: Table, asset: str) -> dict[str, str]:
    """Name -> digest of what a recorded materialisation was made from."""
    edges = _rows(stage, Table("lineage", "edges", made.keys), "asset", "upstream", "upstream_version")
    return {upstream: version for owner, upstream, version in edges if owner == asset}


def _rows(stage: Stage, table: Table, *columns: str) -> list[tuple[Any, ...]]:
    """Columns of a record; no row where it is absent or damaged: what has no record is not done."""
    if not stage.lake.exists(table):
        return []
    try:
        return stage.lake.read(table).select(columns).rows()
    except UnreadableError:
        return []


def _append(stage: Stage, name: str, task: str, run: str, frame: pl.DataFrame) -> None:
    if not frame.is_empty():
        stage.lake.write_frame(_table(stage, name, task, run), frame, _OWN)


def _table(stage: Stage, name: str, task: str, run: str) -> Table:
    return Table.of("lineage", name, **_keys(stage, task, run))


def _keys(stage: Stage, task: str, run: str) -> dict[str, str]:
    """Partition keys of what is recorded of a task by a run; `*` means any run."""
    record = f"{run.split('-', 1)[0]}.{task.replace('/', '.')}"
    return {"dataset": stage.config.name, "window": stage.window, "record": record}
