"""Experiment 6: what happens to accuracy as content goes missing?"""

from collections.abc import Sequence
from itertools import product
from typing import Any

from mrs_pipeline.studies.base import Arm, Experiment, Modalities

SHARES = (0.0, 0.1, 0.3, 0.5, 0.8)
FEWER = (0.0, 0.3, 0.8)
"""Shares of the remedies, each of which is a line beside the models as they are."""
_MODELS = ("vbpr", "freedom", "mgcn", "bm3")
_REMEDIES = ("sibrar", "gume")
"""Models made for items that lack content, or have few interactions."""
_WRAPPERS = {"vi_mmrec": "VI-MMRec", "fastmmrec": "FastMMRec"}
_WRAPPED = "freedom"
_DROPPED_IN = ("vbpr", "freedom")
_DROPOUT = {"modality_dropout": {"probability": 0.3}}


def _arms(_: Modalities) -> Sequence[Arm]:
    return [
        Arm("LightGCN, no content", "lightgcn", series="lightgcn"),
        *(_at(share, model, model) for model, share in product(_MODELS, SHARES)),
        *(_at(share, model, model) for model, share in product(_REMEDIES, FEWER)),
        *(
            _at(share, f"{model} + modality dropout", model, training=_DROPOUT, against=_name(model, share))
            for model, share in product(_DROPPED_IN, FEWER)
        ),
        *(
            _at(
                share,
                f"{title} on {_WRAPPED}",
                wrapper,
                settings={"backbone": _WRAPPED},
                against=_name(_WRAPPED, share),
            )
            for (wrapper, title), share in product(_WRAPPERS.items(), FEWER)
        ),
    ]


def _at(share: float, series: str, model: str, **rest: Any) -> Arm:
    """An arm of a series that lacks a share of the rows."""
    return Arm(_name(series, share), model, series=series, removed=share, **rest)


def _name(series: str, share: float) -> str:
    return f"{series}, {share:.0%} missing"


MISSING = Experiment(
    name="missing",
    title="Missing content",
    question="How much accuracy is lost as 10, 30, 50 and 80 per cent of each modality's rows go missing, and what "
    "helps against it?",
    reading="The same rows are taken from all models, drawn for each modality and seed. A line that stays flat "
    "belongs to a model that does not need the content, or copes without it; the dashed line is a model that never "
    "saw any. SiBraR and GUME are made for items of which little is known. Modality dropout and the wrappers are held "
    "against the same model without them at the same share.",
    arms=_arms,
)
