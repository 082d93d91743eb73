"""Experiment 1: what does each modality add? One backbone, first blind, then with each modality, then with all."""

from collections.abc import Sequence

from mrs_pipeline.studies.base import Arm, Experiment, Modalities

_BACKBONE = {"backbone": "lightgcn", "fusion": "sum"}


def _arms(modalities: Modalities) -> Sequence[Arm]:
    alone = [
        Arm(f"{modality} alone", "fusion", _BACKBONE, "one modality", (modality,)) for modality in modalities
    ]
    together = [Arm("all modalities", "fusion", _BACKBONE, "all modalities")] if len(modalities) > 1 else []
    return [Arm("no content", "lightgcn", series="no content"), *alone, *together]


MODALITY = Experiment(
    name="modality",
    title="What each modality adds",
    question="Does content help beyond interactions alone, and which modality carries the help?",
    reading="All arms propagate over the same interactions (LightGCN). The control sees identifiers only; the others "
    "add projected content to the item vectors. A modality that helps lies right of the control by more than its "
    "interval; cold items show what content is worth where there are no interactions.",
    arms=_arms,
)
