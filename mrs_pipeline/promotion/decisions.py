"""The champion of a dataset, and the decisions that made it: promote, refuse, roll back. All are recorded.

The record, `serving.promotions`, is the only state: the champion is what the last promotion that was not rolled back
named. Decisions of one dataset wait for each other.
"""

import getpass
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl
from filelock import FileLock

from mrs_pipeline.errors import InputError
from mrs_pipeline.notifying import Event, Notification, send
from mrs_pipeline.promotion.evidence import evidence_of
from mrs_pipeline.promotion.keeping import keep, kept_stage, served_node
from mrs_pipeline.promotion.rules import Rule, judge_promotion
from mrs_pipeline.storage.catalogue import refresh_aloud
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.storage.table import Table
from mrs_pipeline.stored.training_data import split_digest
from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.columns import polars_type
from mrs_pipeline.tables.promotions import PROMOTION_RULES, PROMOTIONS
from mrs_pipeline.tasks.places import record
from mrs_pipeline.tasks.task import Stage

PROMOTED, REFUSED, ROLLED_BACK = "promoted", "refused", "rolled back"
_OWN: Final = Provenance("promotion")
"""Decisions are made by people and rules at a moment; no later content makes them stale."""


@dataclass(frozen=True)
class Champion:
    """What is served.

    Attributes:
        decision: number of the decision that promoted it.
        window: of its training.
        model: its name.
        kept: folder of what it was promoted with.
    """

    decision: int
    window: str
    model: str
    kept: str


@dataclass(frozen=True)
class Decision:
    """What was decided.

    Attributes:
        outcome: promoted, refused or rolled back.
        window: of the model that it is about.
        model: that model.
        before: the champion before; None where there was none.
        reason: in words.
        rules: all rules, as they were judged; none for a rollback.
    """

    outcome: str
    window: str
    model: str
    before: Champion | None
    reason: str
    rules: Sequence[Rule] = ()


def promotions(stage: Stage) -> pl.DataFrame:
    """All decisions of the dataset in their order; columns as in `serving.promotions`."""
    return _read(stage, PROMOTIONS)


def champion(stage: Stage) -> Champion | None:
    """What is served now; None before the first promotion."""
    standing = _standing(promotions(stage))
    return standing[-1] if standing else None


def champions_in_use(stage: Stage) -> list[Champion]:
    """The champion and the one that a rollback would bring back, latest last."""
    return _standing(promotions(stage))[-2:]


def champion_stage(stage: Stage) -> tuple[Stage, str] | None:
    """The champion's stores and name, to be served; None before the first promotion.

    Raises:
        InputError: what it kept is gone.
    """
    found = champion(stage)
    return None if found is None else (kept_stage(stage, found.kept, found.window), found.model)


def promote(
    stage: Stage, model: str, *, force: bool = False, reason: str = "", decided_by: str | None = None
) -> Decision:
    """Make a model of the stage's window the champion if the rules allow it; either way it is recorded.

    Args:
        stage: dataset and window.
        model: its name; it must have been trained and measured there.
        force: promote although a rule does not hold.
        reason: in words; `force` needs one.
        decided_by: who asked; the user of this machine by default.

    Raises:
        InputError: it is not on the leaderboard, has no weights, is the champion already, or is forced without reason.
    """
    if force and not reason.strip():
        raise InputError(
            "promoting against the rules needs a reason: add --reason 'why it is right this time'."
        )
    with alone(stage.home, stage.config.name):
        log = promotions(stage)
        before = next(reversed(_standing(log)), None)
        rules = judge_promotion(
            evidence_of(stage, model, before.model if before else None), stage.config.promotion
        )
        broken = [rule for rule in rules if rule.holds is False]
        outcome = PROMOTED if force or not broken else REFUSED
        kept = keep(stage, model) if outcome == PROMOTED else None
        if before is not None and kept == before.kept:
            raise InputError(
                f"{model} of window {stage.window} is the champion of {stage.config.name} already."
            )
        why = reason or ("; ".join(rule.sentence for rule in broken) or "all rules hold")
        decision = Decision(outcome, stage.window, model, before, why, rules)
        _append(
            stage, log, decision, kept=kept, made=stage, decided_by=decided_by, forced=force and bool(broken)
        )
    _tell(stage, decision)
    return decision


def rollback(stage: Stage, *, reason: str = "", decided_by: str | None = None) -> Decision:
    """Give the champion's place back to the one before, with the weights and data that it was promoted with.

    Raises:
        InputError: there is none before, or what it kept is gone.
    """
    with alone(stage.home, stage.config.name):
        log = promotions(stage)
        standing = _standing(log)
        if len(standing) < 2:
            raise InputError(
                f"{stage.config.name} has no champion before this one: `mrs promote {stage.config.name} MODEL` "
                "chooses another."
            )
        earlier, now = standing[-2:]
        made = kept_stage(stage, earlier.kept, earlier.window)
        why = reason or f"{now.model} of window {now.window} is taken back"
        decision = Decision(ROLLED_BACK, earlier.window, earlier.model, now, why)
        _append(stage, log, decision, kept=earlier.kept, made=made, decided_by=decided_by)
    _tell(stage, decision)
    return decision


def alone(home: Home, dataset: str) -> FileLock:
    """The lock that decisions of a dataset, and the removal of what champions kept, are made under."""
    home.data.mkdir(parents=True, exist_ok=True)
    return FileLock(home.data / f".{dataset}.promotion.lock")


def _standing(log: pl.DataFrame) -> list[Champion]:
    """The promotions that have not been rolled back, the present champion last."""
    standing: list[Champion] = []
    for row in log.sort("decision").iter_rows(named=True):
        if row["outcome"] == PROMOTED:
            standing.append(Champion(row["decision"], row["window"], row["model"], row["kept"]))
        elif row["outcome"] == ROLLED_BACK:
            standing.pop()
    return standing


def _append(
    stage: Stage,
    log: pl.DataFrame,
    decision: Decision,
    *,
    kept: str | None,
    made: Stage,
    decided_by: str | None,
    forced: bool = False,
) -> None:
    number = log.height + 1
    before = decision.before
    row = {
        "decision": number,
        "decided_at": datetime.now(UTC).replace(tzinfo=None),
        "decided_by": decided_by or getpass.getuser(),
        "outcome": decision.outcome,
        "forced": forced,
        "reason": decision.reason,
        "window": decision.window,
        "model": decision.model,
        "champion_window": before.window if before else None,
        "champion_model": before.model if before else None,
        "weights_digest": record(made, served_node(made.config, decision.model))[0],
        "data_digest": split_digest(made),
        "kept": kept,
    }
    rules = _read(stage, PROMOTION_RULES).filter(
        pl.col("decision") < number
    )  # without those of a killed decision
    new = pl.DataFrame([{"decision": number, **asdict(rule)} for rule in decision.rules], schema=rules.schema)
    stage.lake.write_frame(_table(stage, PROMOTION_RULES.path), pl.concat([rules, new]), _OWN)
    rows = pl.concat([log, pl.DataFrame([row], schema=log.schema)])
    stage.lake.write_frame(
        _table(stage, PROMOTIONS.path), rows, _OWN
    )  # last: with it the decision is in force
    refresh_aloud(stage.home)


def _read(stage: Stage, schema: TableSchema) -> pl.DataFrame:
    table = _table(stage, schema.path)
    if stage.lake.exists(table):
        return stage.lake.read(table).select(*schema.columns)
    return pl.DataFrame(schema={name: polars_type(column.type) for name, column in schema.columns.items()})


def _table(stage: Stage, path: str) -> Table:
    schema, _, name = path.partition("/")
    return Table.of(schema, name, dataset=stage.config.name)


def _tell(stage: Stage, decision: Decision) -> None:
    """People who want to hear of promotions; each decision is news."""
    name = f"{decision.model} of window {decision.window}"
    before = (
        f", before it {decision.before.model} of window {decision.before.window}" if decision.before else ""
    )
    titles = {
        PROMOTED: f"{stage.config.name}: {name} is the champion",
        REFUSED: f"{stage.config.name}: {name} was not promoted",
        ROLLED_BACK: f"{stage.config.name}: rolled back to {name}",
    }
    send(stage.home, Notification(Event.PROMOTION, titles[decision.outcome], f"{decision.reason}{before}."))
