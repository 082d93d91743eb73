"""Experiment 4: what do the parts of disentangled vectors know, and are they independent of each other?"""

from collections.abc import Sequence

from mrs_pipeline.studies.base import Arm, Experiment, Modalities
from mrs_pipeline.studies.enhancement import DISENTANGLED_WEIGHT

_ATTENTION = {"backbone": "lightgcn", "fusion": "attention"}


def _arms(_: Modalities) -> Sequence[Arm]:
    return [
        Arm(
            "fusion, disentangled",
            "fusion",
            _ATTENTION | {"disentangled_weight": DISENTANGLED_WEIGHT},
            "shared and private parts",
            parts=True,
        ),
        Arm("PAMD", "pamd", series="shared and private parts", parts=True),
        Arm("DMRL", "dmrl", series="factors", parts=True),
        Arm("MacridVAE", "macridvae", series="factors", parts=True),
    ]


DISENTANGLED = Experiment(
    name="disentangled",
    title="Shared and private parts",
    question="Do the parts of disentangled vectors carry different knowledge, and are they independent of each other?",
    reading="Each model is scored with all of its vectors, then with one part of them alone. Independence is told by "
    "the distance correlation between item vectors of different parts: 0 for independent parts, 1 for parts that say "
    "the same.",
    arms=_arms,
    least_modalities=2,
)
