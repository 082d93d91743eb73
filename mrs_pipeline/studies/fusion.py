"""Experiment 2: bridge, fusion or filtration? Representatives of each under one budget, accuracy against cost."""

from collections.abc import Sequence

from mrs_pipeline.studies.base import Arm, Experiment, Modalities

_REPRESENTATIVES = {
    "bridge": ("mmgcn", "dualgnn", "lattice", "mgcn"),
    "fusion": ("vbpr", "fusion", "dmrl", "smore"),
    "filtration": ("grcn", "freedom"),
}


def _arms(_: Modalities) -> Sequence[Arm]:
    return [
        Arm("LightGCN, no content", "lightgcn", series="no content"),
        *(
            Arm(model, model, series=branch)
            for branch, models in _REPRESENTATIVES.items()
            for model in models
        ),
    ]


FUSION = Experiment(
    name="fusion",
    title="Bridge, fusion or filtration",
    question="Which way of letting modalities interact is the most effective, and which the most efficient?",
    reading="Every model gets the same features, epochs and patience. In the plot of cost, up is better and left is "
    "cheaper; models on the grey line are beaten by nothing cheaper.",
    arms=_arms,
    cost=True,
)
