"""The page of one feature set: its numbers, its spectrum, and what it takes for similar, as pictures and texts.

What the page looks like is `reporting.html`; what the numbers mean, `encoders.diagnostics`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mrs_pipeline.encoders.diagnostics import SignalTest, spectrum, unit_vectors
from mrs_pipeline.reporting.html import feature_page
from mrs_pipeline.reporting.inputs import FeaturePageInputs, ItemNeighbours
from mrs_pipeline.stages.report_links import links_of_part
from mrs_pipeline.storage.pages import write_page
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.cards import Cards
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.types import FeatureMatrix, IntArray

_EXAMPLES = 12
_NEIGHBOURS = 6
_NORM_SAMPLE = 20_000
"""Rows whose norms are drawn; bounds memory for large catalogues."""


def write_feature_page(
    stage: Stage,
    features: FeatureMatrix,
    quality: Mapping[str, Any],
    signal: SignalTest,
    provenance: Provenance,
) -> Path:
    """Write `data/reports/<dataset>/features/<window>/<feature set>.html`.

    Args:
        stage: dataset and window.
        features: the feature set.
        quality: its row of `quality.feature_sets`.
        signal: its signal test.
        provenance: what the page is made from.
    """
    path = stage.home.reports / stage.config.name / "features" / stage.window / f"{features.name}.html"
    present = np.flatnonzero(features.present)
    sampled = np.asarray(features.values[present[:_NORM_SAMPLE]], dtype=np.float32)
    failures = stage.lake.read(stage.table("quality", "failed_media", feature_set=features.name))
    page = feature_page(
        FeaturePageInputs(
            dataset=stage.config.name,
            name=features.name,
            generated=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            present=len(present),
            missing=len(features.present) - len(present),
            spectrum=np.sqrt(spectrum(features.values, features.present)),
            norms=np.linalg.norm(sampled, axis=1),
            shuffled=signal.shuffled,
            observed=signal.observed,
            neighbours=_neighbours(stage, features, present),
            facts={"window": stage.window, **_facts(quality, str(features.values.dtype))},
            links=links_of_part(stage.home, stage.config.name, path),
            failures=failures.group_by("reason").len("rows").sort("rows", descending=True),
        )
    )
    write_page(path, page, provenance)
    return path


def _facts(quality: Mapping[str, Any], dtype: str) -> dict[str, str]:
    """What the row says in words; what could not be measured is left out."""
    shown = {
        "effective rank": ("effective_rank", ".1f"),
        "signal, standard deviations above chance": ("signal_z", ".1f"),
        f"validation {quality['metric']} of its ItemKNN": ("baseline", ".4f"),
        f"validation {quality['metric']} of popularity": ("popularity", ".4f"),
        "cosine with the previous version": ("drift_cosine", ".3f"),
    }
    return {"dimensions": f"{quality['dimensions']} x {dtype}"} | {
        label: format(quality[column], form)
        for label, (column, form) in shown.items()
        if quality[column] is not None
    }


def _neighbours(stage: Stage, features: FeatureMatrix, present: IntArray) -> tuple[ItemNeighbours, ...]:
    """A dozen items spread over the catalogue with those nearest to them by cosine."""
    if len(present) < 2:
        return ()
    cards = Cards(stage)
    examples = present[np.linspace(0, len(present) - 1, min(_EXAMPLES, len(present))).astype(int)]
    unit = unit_vectors(np.asarray(features.values[present], dtype=np.float32))
    cosines = unit[np.searchsorted(present, examples)] @ unit.T  # [examples, present]
    return tuple(_row(cards, int(item), present, row) for item, row in zip(examples, cosines, strict=True))


def _row(cards: Cards, item: int, present: IntArray, cosines: np.ndarray) -> ItemNeighbours:
    order = np.argsort(-cosines, kind="stable")
    nearest = [place for place in order[: _NEIGHBOURS + 1] if present[place] != item][:_NEIGHBOURS]
    found = (cards.card(int(present[place]), note=f"cosine {cosines[place]:.2f}") for place in nearest)
    return ItemNeighbours(cards.card(item), tuple(found))
