"""The lineage tables: who made what, from what, with which code. Append-only; one small file a materialisation.

Column lineage is declared with each table (`tables`); digests come from the outcomes. When a record is written is
decided by `orchestration`. Outputs lie there a moment before their record does, and a run may be killed in between:
what has no record is not done.
"""

import subprocess
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import polars as pl

from mrs_pipeline import __version__
from mrs_pipeline.storage.lake import Table
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.tasks.nodes import column_sources, is_current, node_of, provenance_of, record
from mrs_pipeline.tasks.task import CheckOutcome, Outcome, Stage, Task

_OWN = Provenance("lineage")
"""Lineage rows describe other tables' provenance; their own is nobody's input."""


def record_outcomes(stage: Stage, task: Task, outcomes: list[Outcome], run: str) -> None:
    """Append one row a materialised output, one an input that it was made from, and its columns' sources.

    The outputs' rows come last: where they are, the record is whole.
    """
    provenance = _provenance(stage, task, outcomes)
    made = [
        {
            "asset": outcome.node.partition("@")[0],
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
        for column, sources in column_sources(stage.config, str(row["asset"])).items()
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


LATEST = "latest"
"""In place of a run, for what is replaced instead of appended to."""
_EDGE_COLUMNS = ("asset", "run", "upstream", "upstream_version")
_COLUMN_COLUMNS = ("asset", "column", "upstream", "upstream_column")


def record_checks(stage: Stage, task: Task, outcomes: list[CheckOutcome], run: str) -> None:
    """Replace the latest results of a task's checks at this window."""
    rows = [
        {
            "asset": outcome.output,
            "name": outcome.name,
            "severity": "error" if outcome.blocking else "warning",
            "passed": outcome.passed,
            "description": outcome.description,
            "data_version": record(stage, node_of(stage, outcome.output))[0],
            "run": run,
        }
        for outcome in outcomes
    ]
    _append(stage, "checks", task.name, LATEST, pl.DataFrame(rows))


def checks_hold(stage: Stage, task: Task) -> bool:
    """Whether the task's checks have looked at its outputs as they are now, and no blocking one failed."""
    if task.check is None:
        return True
    if not _checked(stage, task):
        return False
    latest = stage.lake.read(_table(stage, "checks", task.name, LATEST))
    return latest.filter(~pl.col("passed") & (pl.col("severity") == "error")).is_empty()


def is_recorded(stage: Stage, task: Task) -> bool:
    """Whether lineage knows the task's outputs as they lie there now: their content, their code, their inputs."""
    return _lying(stage, task) <= _known(stage, task)


def was_cut_off(stage: Stage, task: Task) -> bool:
    """Whether a run was killed after it had made the outputs, which are current, and before their checks had ended.

    Two things look alike and are none: a content that lineage does not know, of code and inputs that it knows with
    another content, was tampered with; and one that a check has looked at and refused is faulty.
    """
    if not is_current(stage, task):
        return False
    known = _known(stage, task)
    return not known or (_lying(stage, task) <= known and not _checked(stage, task))


def left_behind(stage: Stage, task: Task) -> list[Outcome]:
    """Outcomes of a task whose outputs a killed run has made, from what is stamped on them."""
    facts = {"taken over": "made by a run that was killed before it could say so; not made again"}
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


def _lying(stage: Stage, task: Task) -> set[tuple[str, str]]:
    """(asset, data version) of the outputs as they are now."""
    return {(output, record(stage, node_of(stage, output))[0]) for output in task.outputs}


def _known(stage: Stage, task: Task) -> set[tuple[str, str]]:
    """(asset, data version) of all records of the code and the inputs that the outputs bear now."""
    now = record(stage, node_of(stage, task.outputs[0]))[1]
    found: set[tuple[str, str]] = set()
    for table in stage.lake.partitions("lineage", "materializations", **_keys(stage, task.name, "*")):
        rows = stage.lake.read(table).select("asset", "data_version", "code_version")
        found |= {
            (asset, version)
            for asset, version, code in rows.iter_rows()
            if Provenance(code, _inputs(stage, table, asset)) == now
        }
    return found


def _inputs(stage: Stage, made: Table, asset: str) -> dict[str, str]:
    """Name -> digest of what a recorded materialisation was made from."""
    edges = Table("lineage", "edges", made.keys)
    if not stage.lake.exists(edges):
        return {}
    rows = stage.lake.read(edges).filter(pl.col("asset") == asset)
    return dict(rows.select("upstream", "upstream_version").iter_rows())


def _checked(stage: Stage, task: Task) -> bool:
    """Whether the task's checks have looked at its outputs as they are now."""
    if task.check is None:
        return True
    table = _table(stage, "checks", task.name, LATEST)
    if not stage.lake.exists(table):
        return False
    seen = dict(stage.lake.read(table).select("asset", "data_version").iter_rows())
    outputs = {spec.output for spec in task.check_specs}
    return all(seen.get(output) == record(stage, node_of(stage, output))[0] for output in outputs)


def _provenance(stage: Stage, task: Task, outcomes: list[Outcome]) -> Provenance:
    """What was stamped on the outputs; outputs that are files outside the stores derive theirs again."""
    node = outcomes[0].node
    if task.windowed or node.startswith("raw/"):
        return record(stage, node)[1]
    return provenance_of(stage, task)


def _append(stage: Stage, name: str, task: str, run: str, frame: pl.DataFrame) -> None:
    if not frame.is_empty():
        stage.lake.write_frame(_table(stage, name, task, run), frame, _OWN)


def _table(stage: Stage, name: str, task: str, run: str) -> Table:
    return Table.of("lineage", name, **_keys(stage, task, run))


def _keys(stage: Stage, task: str, run: str) -> dict[str, str]:
    """Partition keys of what is recorded of a task by a run; `*` means any run."""
    record = f"{run.split('-', 1)[0]}.{task.replace('/', '.')}"
    return {"dataset": stage.config.name, "window": stage.window, "record": record}
