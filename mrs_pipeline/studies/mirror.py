"""Beyond the survey's six: what does Mirror Gradient, a wrapper around any model's steps, do to three models?"""

from collections.abc import Sequence

from mrs_pipeline.studies.base import Arm, Experiment, Modalities

_MODELS = {"vbpr": "VBPR", "freedom": "FREEDOM", "bm3": "BM3"}


def _arms(_: Modalities) -> Sequence[Arm]:
    """Each model as it is, then wrapped with the paper's beta of 3 and the middle of the ascents that it tries."""
    mirrored = {"mirror_gradient": {"every": 3, "ascent": 0.2}}
    return [
        arm
        for model, title in _MODELS.items()
        for arm in (
            Arm(title, model, series="plain", against=title),
            Arm(f"{title} + MG", model, series="Mirror Gradient", training=mirrored, against=title),
        )
    ]


MIRROR = Experiment(
    name="mirror",
    title="Mirror Gradient",
    question="Does Mirror Gradient, which steps back uphill now and then, make models of content more accurate?",
    reading="Each model is trained twice from the same seeds, with plain steps and with mirrored ones, and the second "
    "is held against the first over the same users. Only an interval that leaves out zero says that something changed.",
    arms=_arms,
    cost=True,
)
