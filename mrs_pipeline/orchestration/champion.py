"""The champion of a dataset as Dagster sees it: an asset that decisions write, and the check that it is what is served.

`mrs promote` and `mrs rollback` decide (`promotion`); here Dagster is told what came of it. Nothing here promotes.
"""

import os
from typing import Final

import dagster as dg
import polars as pl

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import MrsError
from mrs_pipeline.orchestration.instance import open_instance
from mrs_pipeline.orchestration.keys import asset_key, group_name
from mrs_pipeline.orchestration.metadata import as_metadata
from mrs_pipeline.promotion.decisions import (
    PROMOTED,
    REFUSED,
    Champion,
    Decision,
    champion,
    champion_stage,
    promotions,
)
from mrs_pipeline.promotion.keeping import served_node
from mrs_pipeline.promotion.rules import METRIC
from mrs_pipeline.schema import MODEL, WINDOW
from mrs_pipeline.serving.exporting import card_text, model_card
from mrs_pipeline.storage.home import Home
from mrs_pipeline.stored.results import read_leaderboard
from mrs_pipeline.tasks.node import LEADERBOARD, Kind, Node
from mrs_pipeline.tasks.places import record
from mrs_pipeline.tasks.task import Stage

CHAMPION: Final = Node(Kind.EVAL, "champion")
CHECK: Final = "is_served"
DECISION: Final = "decision"
"""Name of the metadata that says which decision an event is of."""


def build_champion(config: DatasetConfig, home: Home) -> tuple[dg.AssetSpec, dg.AssetChecksDefinition]:
    """The asset, which no run makes, and its check."""
    key = asset_key(config.name, CHAMPION)
    spec = dg.AssetSpec(
        key,
        deps=[asset_key(config.name, LEADERBOARD)],
        description=f"The model that `mrs serve {config.name}` serves. `mrs promote {config.name}` and `mrs rollback "
        f"{config.name}` decide it by the rules of promotion; each decision is an event, a refusal an observation.",
        group_name=group_name(config.name, "report"),
        owners=config.owners,
    )

    @dg.asset_check(
        asset=key,
        name=CHECK,
        description="The last decision is known here, and the weights that it promoted are those that are served.",
    )
    def is_served(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        known = context.instance.get_latest_materialization_event(key)
        made = known.asset_materialization if known else None
        number = made.metadata[DECISION].value if made else None
        fault = fault_of(Stage(config, home), number)
        return dg.AssetCheckResult(
            passed=fault is None,
            severity=dg.AssetCheckSeverity.ERROR,
            description=fault or "what was promoted is served",
        )

    return spec, is_served


def fault_of(stage: Stage, known: object) -> str | None:
    """What is wrong with the champion, in a sentence; None where nothing is.

    Args:
        stage: the dataset.
        known: number of the decision that Dagster knows; None for none.
    """
    name, now = stage.config.name, champion(stage)
    if now is None:
        return (
            None
            if known is None
            else f"the record of decisions of {name} is gone: restore serving/promotions"
        )
    last = _last_decision(stage)
    if known != last:
        return f"decision {last} of {name} is not known to Dagster (it knows {known}): it was made in another home"
    try:
        return _not_as_promoted(stage, now)
    except MrsError as error:
        return str(error)


def tell_dagster(stage: Stage, decision: Decision) -> None:
    """Record a decision in Dagster: a materialisation where it changed what is served, an observation where not."""
    os.environ.setdefault("DAGSTER_HOME", str(stage.home.root))
    key = asset_key(stage.config.name, CHAMPION)
    metadata = as_metadata(_facts(stage, decision))
    event = dg.AssetObservation if decision.outcome == REFUSED else dg.AssetMaterialization
    with open_instance(stage.home.root) as instance:
        instance.report_runless_asset_event(event(key, description=decision.reason, metadata=metadata))


def _last_decision(stage: Stage) -> int:
    """Number of the last decision that changed what is served."""
    log = promotions(stage)
    return int(log.filter(log["outcome"] != REFUSED)["decision"].to_list()[-1])


def _not_as_promoted(stage: Stage, now: Champion) -> str | None:
    """Why what is served is not what was promoted; None where it is.

    Raises:
        MrsError: what the champion kept is gone or damaged.
    """
    served = champion_stage(stage)
    assert served is not None
    kept, model = served
    log = promotions(stage)
    promoted = log.filter(log["decision"] == now.decision)["weights_digest"].item()
    found = record(kept, served_node(kept.config, model))[0]
    if found == promoted:
        return None
    return (
        f"the weights that are served of {model}, window {now.window}, are not those that were promoted: `mrs verify "
        f"{stage.config.name}` says what is damaged, `mrs rollback {stage.config.name}` serves the champion before"
    )


def _facts(stage: Stage, decision: Decision) -> dict[str, object]:
    """What the UI shows of a decision; numbers are those of the model's own window."""
    rows = read_leaderboard(stage.lake, stage.config.name, [decision.window])
    rows = rows.filter((rows[MODEL] == decision.model) & (rows[WINDOW] == decision.window))
    row = rows.to_dicts()[0] if rows.height else {}
    last = promotions(stage).sort("decision").to_dicts()[-1]
    card = model_card(stage.at(decision.window), decision.model) if decision.outcome == PROMOTED else None
    return {
        DECISION: last["decision"],
        "outcome": decision.outcome,
        "model": decision.model,
        "window": decision.window,
        "reason": decision.reason,
        "decided by": last["decided_by"],
        "champion before": f"{decision.before.model} of {decision.before.window}"
        if decision.before
        else "none",
        METRIC: row.get(METRIC),
        f"{METRIC}, 95 % interval from": row.get(f"{METRIC}_ci_low"),
        f"{METRIC}, 95 % interval to": row.get(f"{METRIC}_ci_high"),
        "rules": pl.DataFrame(
            [{"rule": each.rule, "holds": each.holds, "found": each.sentence} for each in decision.rules]
        )
        if decision.rules
        else None,
        "report": stage.home.reports / stage.config.name / "report.html",
        "model card": dg.MetadataValue.md(card_text(card)) if card else None,
    }
