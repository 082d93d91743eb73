"""Settings of models: what all of them have, and how settings that cannot work are refused."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mrs_pipeline.errors import InputError

SearchSpace = Mapping[str, tuple[object, ...]]
"""Field of a `Config` -> values that tuning may choose from."""


@dataclass(frozen=True)
class NeighbourSetting:
    """How many neighbours a graph must hold for each row.

    Attributes:
        setting: name of the field that asks for them.
        count: how many.
    """

    setting: str
    count: int


class ModelConfig(BaseModel):
    """Settings of a model. Subclasses add fields with bounds, the paper's defaults and a docstring each."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    search_space: ClassVar[SearchSpace] = {}

    def wrapped(self) -> tuple[str, ...]:
        """Names of other models that a model with these settings is made of; their code is part of its own."""
        return ()

    former_names: ClassVar[Mapping[str, str]] = {}
    """Name that a field once had -> its name."""

    @model_validator(mode="before")
    @classmethod
    def _no_former_names(cls, values: object) -> object:
        return refuse_former_names(values, cls.former_names)

    @property
    def item_neighbours(self) -> NeighbourSetting | None:
        """How wide the item graphs must be; None for a model without item graphs."""
        return None

    @property
    def user_neighbours(self) -> NeighbourSetting | None:
        """How wide the graph of users must be; None for a model without that graph."""
        return None

    def misfit(self, modalities: Collection[str]) -> str | None:  # noqa: ARG002
        """What of these settings cannot work with features of `modalities`, and the remedy; None where all can."""
        return None


ConfigT = TypeVar("ConfigT", bound=ModelConfig)


class GradientConfig(ModelConfig):
    """Settings of a model that is trained by gradient steps on embeddings."""

    embedding_size: int = Field(default=64, ge=1, le=4096)
    """Width D of user and item vectors."""
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    """Adam's step size."""


def validated(kind: type[ConfigT], overrides: Mapping[str, object], whose: str) -> ConfigT:
    """Settings of a `kind` with `overrides` in place of defaults; InputError says what does not fit and `whose`."""
    try:
        return kind.model_validate(overrides)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        where = f", setting '{place}'" if place else ""
        raise InputError(f"{whose}{where}: {first['msg'].removeprefix('Value error, ')}") from error


def refuse_former_names(values: object, former_names: Mapping[str, str]) -> object:
    """`values` as they are, for a pydantic validator of mode `before`.

    Raises:
        ValueError: they name a setting as it was once called; the sentence says how it is called now.
    """
    for old, new in former_names.items():
        if isinstance(values, Mapping) and old in values:
            raise ValueError(f"{old} is now called {new}; write `{new}: {values[old]}`")
    return values
