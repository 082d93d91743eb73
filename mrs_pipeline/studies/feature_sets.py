"""Beyond the survey's six: how much do results hang on the encoder? Feature sets of a modality beside each other."""

from collections.abc import Iterator, Sequence
from typing import Final

from mrs_pipeline.studies.base import Arm, Experiment, Modalities

_BACKBONE: Final = {"backbone": "lightgcn", "fusion": "sum"}
_SCALED: Final = {
    "vbpr": "VBPR",
    "fusion": "fusion",
    "mgcn": "MGCN",
    "freedom": "FREEDOM",
    "bm3": "BM3",
    "knn_fusion": "KNN fusion",
}


def by_modality(sets: Sequence[str]) -> dict[str, list[str]]:
    """Modality -> names of its feature sets, in the order of the dataset; a set's name begins with its modality."""
    found: dict[str, list[str]] = {}
    for name in sets:
        found.setdefault(name.partition("_")[0], []).append(name)
    return found


def first_and_other(sets: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A set a modality: the first that the dataset lists, which its models receive, and the last."""
    names = by_modality(sets).values()
    return tuple(each[0] for each in names), tuple(each[-1] for each in names)


def _features(sets: Modalities) -> Sequence[Arm]:
    return [Arm("no content", "lightgcn", series="no content"), *_alone(sets), *_together(sets)]


def _alone(sets: Modalities) -> Iterator[Arm]:
    for modality, names in by_modality(sets).items():
        for name in names:
            control = names[0] if name != names[0] else None
            yield Arm(name, "fusion", _BACKBONE, modality, (name,), against=control)


def _together(sets: Modalities) -> Iterator[Arm]:
    first, other = first_and_other(sets)
    if len(first) > 1:
        yield Arm("all, first sets", "fusion", _BACKBONE, "all modalities", first)
        if other != first:
            yield Arm(
                "all, other sets", "fusion", _BACKBONE, "all modalities", other, against="all, first sets"
            )


def _scaling(sets: Modalities) -> Sequence[Arm]:
    first, other = first_and_other(sets)
    return [
        arm
        for model, title in _SCALED.items()
        for arm in (
            Arm(
                f"{title}, other sets",
                model,
                series="other sets",
                modalities=other,
                against=f"{title}, other sets",
            ),
            Arm(
                f"{title}, first sets",
                model,
                series="first sets",
                modalities=first,
                against=f"{title}, other sets",
            ),
        )
    ]


FEATURES: Final = Experiment(
    name="features",
    title="Encoders beside each other",
    question="How much more do models make of vectors by a trained encoder than of word counts and colours?",
    reading="All arms propagate over the same interactions (LightGCN) and differ in the vectors that are added. The "
    "first feature set of a modality is held against no content, every other one against the first of its modality: a "
    "difference below zero says that the first, which the dataset's models receive, is the better one.",
    arms=_features,
    sets=True,
)

SCALING: Final = Experiment(
    name="scaling",
    title="What better features are worth, by model",
    question="Which models gain from better features, and which do not notice them?",
    reading="Each model is trained twice from the same seeds: with the last feature set that the dataset lists for "
    "each modality, and with the first, which is held against it. Modalities with one set are the same in both.",
    arms=_scaling,
    sets=True,
)
