"""What travels over HTTP: requests with their bounds, answers, problems."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from mrs_pipeline.serving.connections import Connection

MAX_K = 200
MAX_HISTORY = 1000
Id = Annotated[str, Field(min_length=1, max_length=200)]
"""A user's or item's id."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class FilterRequest(_Strict):
    """Which items a list may hold."""

    exclude: list[Id] = Field(default_factory=list, max_length=10_000)
    """Ids that it may not."""
    available: list[Id] | None = Field(default=None, max_length=100_000)
    """Ids that alone it may hold."""
    where: dict[Id, Id] = Field(default_factory=dict, max_length=10)
    """Attribute of the catalogue -> the value that an item must have."""


_ONE_OF_TWO: Final[dict[str, Any]] = {
    "oneOf": [
        {"required": ["user"], "properties": {"user": {"type": "string"}}},
        {"required": ["history"], "properties": {"history": {"type": "array"}}},
    ]
}


class Wanted(_Strict):
    """Whom a list is for: a user, or a history of anybody; one of the two."""

    model_config = ConfigDict(json_schema_extra=_ONE_OF_TWO)

    user: Id | None = None
    """Id of a user."""
    history: list[Id] | None = Field(default=None, max_length=MAX_HISTORY)
    """Ids of items, oldest first."""


class ListRequest(Wanted, FilterRequest):
    """A list that is asked for."""

    k: int = Field(default=10, ge=1, le=MAX_K)
    """Most places."""


class ExplanationRequest(Wanted):
    """An item whose place is to be explained."""

    item: Id
    """What is shown."""


class PlaceAnswer(BaseModel):
    """One place of a list."""

    rank: int
    item_id: str
    title: str | None
    score: float
    picture: str | None
    new: bool


class ListAnswer(BaseModel):
    """A list, best first, and what ranked it."""

    model: str
    version: str
    window: str
    ranked_by: str
    notice: str | None
    places: list[PlaceAnswer]


class ReasonAnswer(BaseModel):
    """An item of the history that speaks for the shown one."""

    item_id: str
    title: str | None
    picture: str | None
    share: float
    alike: dict[str, float]


class ExplanationAnswer(BaseModel):
    """Why an item is shown."""

    item_id: str
    title: str | None
    picture: str | None
    score: float
    sentence: str
    exact: bool
    named: str | None
    paths: dict[str, float]
    excess: dict[str, float]
    reasons: list[ReasonAnswer]
    nearest: dict[str, list[str]]
    known: list[Connection]


class NewItemAnswer(BaseModel):
    """An item that was added."""

    item_id: str
    modalities: list[str]
    seconds: float
    nearest: dict[str, list[PlaceAnswer]]


class Health(BaseModel):
    """What is served."""

    status: str
    dataset: str
    window: str
    model: str
    version: str
    users: int
    items: int
    new_items: int
    search: str
    histories: bool
    takes_new_items: bool
    similar_by: list[str]
    attributes: list[str]
    texts: list[str]
    media: list[str]
    swaps: int
    serving_since: float
    trouble: str | None


class Problem(BaseModel):
    """What is wrong with a request, in one sentence."""

    detail: str
