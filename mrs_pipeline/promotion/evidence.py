"""What the rules of promotion are judged by, read from the lake."""

from typing import Any

import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.promotion.rules import METRIC, PromotionEvidence
from mrs_pipeline.reporting.leaderboard import against
from mrs_pipeline.schema import FULL_WINDOW, MODEL, WINDOW
from mrs_pipeline.stages.report import UserMetrics, measured
from mrs_pipeline.stored.results import read_leaderboard
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.task import Stage


def evidence_of(stage: Stage, model: str, champion: str | None) -> PromotionEvidence:
    """What is known of a model at the stage's window, and of the champion there.

    Raises:
        InputError: the model was not measured in the window.
    """
    rows = read_leaderboard(stage.lake, stage.config.name, [stage.window])
    by_model = {row[MODEL]: row for row in rows.filter(pl.col(WINDOW) == stage.window).to_dicts()}
    if model not in by_model:
        raise InputError(
            f"{model} is not on the leaderboard of {stage.config.name} at window {stage.window} (there are "
            f"{', '.join(by_model)}): `mrs run {stage.config.name} --window {stage.window} --models {model}` puts it "
            "there."
        )
    other = by_model.get(champion) if champion else None
    comparable = (
        other is not None and champion != model and not other["stale"] and not by_model[model]["stale"]
    )
    cold = by_model[model].get("cold_metric")
    return PromotionEvidence(
        by_model[model],
        champion,
        other,
        _failed_checks(stage, model),
        _test(stage, model, champion, METRIC) if comparable and champion else None,
        _test(stage, model, champion, f"cold_{cold}") if comparable and champion and cold else None,
    )


def _test(stage: Stage, model: str, champion: str, column: str) -> dict[str, Any] | None:
    """Model minus champion over the users of the window that both have, seeds allowed for."""
    both = pl.col(MODEL).is_in([model, champion]) & (pl.col(WINDOW) == stage.window)
    users = (frame.filter(both) for frame in UserMetrics(stage, stage.window))
    found = against(measured(stage).filter(both), users, champion, column)
    return next((row for row in found.iter_rows(named=True) if row[MODEL] == model), None)


def _failed_checks(stage: Stage, model: str) -> list[str]:
    """Blocking checks that failed in the window, but for those of other models."""
    if not stage.lake.partitions("lineage", "checks", dataset=stage.config.name):
        return []
    with stage.lake.connect() as con:
        scan = stage.lake.scan_all("lineage", "checks", dataset=stage.config.name)
        rows = con.execute(
            f"SELECT asset, name, description FROM {scan} WHERE severity = 'error' AND NOT passed "
            f"AND \"window\" IN ('{stage.window}', '{FULL_WINDOW}') ORDER BY ALL"
        ).fetchall()
    others = set(stage.config.model_configs) - {model}
    return [
        f"check {name} of {asset}: {found}"
        for asset, name, found in rows
        if Node.parse(asset).name not in others
    ]
