"""Experiment 3: what do contrastive and disentangled learning add to plain attention fusion?"""

from collections.abc import Sequence

from mrs_pipeline.studies.base import Arm, Experiment, Modalities

_PLAIN = {"backbone": "lightgcn", "fusion": "attention"}
CONTRASTIVE_WEIGHT = 0.05
DISENTANGLED_WEIGHT = 0.05


def _arms(_: Modalities) -> Sequence[Arm]:
    contrastive = {"contrastive_weight": CONTRASTIVE_WEIGHT}
    disentangled = {"disentangled_weight": DISENTANGLED_WEIGHT}
    return [
        Arm("attention fusion", "fusion", _PLAIN, "plain"),
        Arm("+ contrastive", "fusion", _PLAIN | contrastive, "enhanced"),
        Arm("+ disentangled", "fusion", _PLAIN | disentangled, "enhanced"),
        Arm("+ both", "fusion", _PLAIN | contrastive | disentangled, "enhanced"),
    ]


ENHANCEMENT = Experiment(
    name="enhancement",
    title="Interaction or enhancement",
    question="Does feature enhancement improve on attention fusion, and do its two kinds add up?",
    reading="All arms fuse modalities by the same attention over the same backbone; they differ only in the extra "
    "terms of the loss. The control has none.",
    arms=_arms,
)
