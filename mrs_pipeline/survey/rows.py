"""The kinds of rows of the map: a system, an encoder, a domain."""

from dataclasses import dataclass
from enum import StrEnum

from mrs_pipeline.taxonomy import Cell


class SurveyAnswer(StrEnum):
    """What this project has for a system of the survey."""

    HERE = "here"
    """A model after the paper and, where there is one, its code."""
    STYLE = "-style"
    """A model built from text alone; its file says what is a guess."""
    OPTION = "option of"
    """A setting of another model or of training."""
    NEAREST = "nearest"
    """Not built; the model named has its idea, or most of it."""
    OUT = "out of scope"
    """It answers another question than which items a user takes next."""


def in_cells(*cells: Cell) -> frozenset[Cell]:
    """The cells that the list gives a system."""
    return frozenset(cells)


@dataclass(frozen=True)
class System:
    """One system of the authors' list.

    Attributes:
        name: as the list has it.
        venue: with year.
        domain: what it was tried on.
        cells: the cells that the list gives it.
        answer: what this project has.
        model: our model, or the nearest one; None where it is out of scope or an option of training.
        test: `file:function` of the formula test, the file without `test_formulas`; of rows that are here or `-style`.
        note: the option, what the nearest model lacks, or why it is out of scope.
        code: public repository that the model was held against.
        licence: of that code, where a file of its tree says so.
        without: cells of the list in which our model does not stand; the note says why.
    """

    name: str
    venue: str
    domain: str
    cells: frozenset[Cell]
    answer: SurveyAnswer
    model: str | None = None
    test: str | None = None
    note: str = ""
    code: str | None = None
    licence: str = "unknown"
    without: frozenset[Cell] = frozenset()

    @property
    def built(self) -> bool:
        """Whether a model of ours carries its name."""
        return self.answer in (SurveyAnswer.HERE, SurveyAnswer.STYLE)


@dataclass(frozen=True)
class SurveyEncoder:
    """One kind of encoder that the survey names.

    Attributes:
        name: as the survey has it.
        modality: of what.
        encoders: keys of our registry that do it; none where nothing does.
        note: how, or what to do instead.
    """

    name: str
    modality: str
    encoders: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Domain:
    """One field of use that the survey lists.

    Attributes:
        name: of the field.
        layouts: official layouts that are read as they are.
        note: what of it is not read.
    """

    name: str
    layouts: tuple[str, ...]
    note: str = ""
