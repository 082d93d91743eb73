"""What an experiment is made of: its question, and its arms, models that differ in one thing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Modalities = Sequence[str]
"""The modalities that a dataset's models receive, in alphabetical order; of an experiment on feature sets, the names of
all that the dataset lists, in its order."""


@dataclass(frozen=True)
class Arm:
    """One thing to train and measure.

    Attributes:
        name: for people; unique in its experiment.
        model: name in the registry.
        settings: overrides of the dataset's settings of that model.
        series: arms of one series belong together in plots (a branch of the taxonomy, a model).
        modalities: the modalities that it sees; None for all.
        removed: share of each modality's rows that is taken away before anything else, 0 to 1.
        missing: how absent rows are filled, see `dataset.DatasetConfig.missing`; None as the dataset says.
        parts: whether the parts of its vectors are measured one by one, beside the whole.
        training: overrides of the dataset's training options; the budget comes on top.
        against: name of the arm that it is held against, its own for a further control; the first arm if None.
    """

    name: str
    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    series: str = ""
    modalities: tuple[str, ...] | None = None
    removed: float = 0.0
    missing: str | None = None
    parts: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)
    against: str | None = None


@dataclass(frozen=True)
class Experiment:
    """A question and how it is answered.

    Attributes:
        name: what `mrs experiment` calls it.
        title: a headline.
        question: what is asked, a sentence.
        reading: how to read table and plots, for somebody who sees them for the first time.
        arms: the dataset's modalities -> arms; the first one is the control that others are held against, unless
            they name another.
        cost: whether seconds and memory are part of the question.
        least_modalities: how many modalities the dataset must have.
        raw: whether arms learn from raw content.
        sets: whether arms choose among feature sets: what they name as modalities are feature sets then, and the
            dataset must have several of one modality.
    """

    name: str
    title: str
    question: str
    reading: str
    arms: Callable[[Modalities], Sequence[Arm]]
    cost: bool = False
    least_modalities: int = 1
    raw: bool = False
    sets: bool = False
