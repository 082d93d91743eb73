"""Experiment 6: what happens to accuracy as content goes missing?"""

from collections.abc import Sequence
from itertools import product

from mrs_pipeline.studies.base import Arm, Experiment, Modalities

SHARES = (0.0, 0.1, 0.3, 0.5, 0.8)
_MODELS = ("vbpr", "freedom", "mgcn", "bm3")


def _arms(_: Modalities) -> Sequence[Arm]:
    return [
        Arm("LightGCN, no content", "lightgcn", series="lightgcn"),
        *(
            Arm(f"{model}, {share:.0%} missing", model, series=model, removed=share)
            for model, share in product(_MODELS, SHARES)
        ),
    ]


MISSING = Experiment(
    name="missing",
    title="Missing content",
    question="How much accuracy is lost as 10, 30, 50 and 80 per cent of each modality's rows go missing?",
    reading="The same rows are taken from all models, drawn for each modality and seed. A line that stays flat "
    "belongs to a model that does not need the content, or copes without it; the dashed line is a model that never "
    "saw any.",
    arms=_arms,
)
