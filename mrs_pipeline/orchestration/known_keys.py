"""Which keys a `defs.yaml` may have at a place, for the sentence that refuses one: "did you mean"."""

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.open_settings import ByName, OneOf


def known_keys(place: Sequence[str]) -> list[str]:
    """The keys beside the last part of a place such as `("training", "epochs")`; none where the place is unknown."""
    kinds: list[Any] = [DatasetConfig]
    for part in place[:-1]:
        kinds = [below for kind in kinds for below in _below(kind, part)]
    return list(dict.fromkeys(key for kind in kinds for key in _keys(kind)))


def _keys(kind: Any) -> Iterator[str]:
    for each in _plain(kind):
        if isinstance(each, ByName):
            yield from each.registry
        elif isinstance(each, type) and issubclass(each, BaseModel):
            yield from each.model_fields


def _below(kind: Any, part: str) -> Iterator[Any]:
    """What may stand under `part` of something of this kind; places inside lists and unions stay where they are."""
    for each in _plain(kind):
        if isinstance(each, ByName):
            if part in each.registry:
                yield each.registry[part].Config
        elif isinstance(each, type) and issubclass(each, BaseModel):
            field = each.model_fields.get(part)
            if field is not None:
                yield field.annotation
                yield from field.metadata
            elif part.isdecimal():  # a place in a list
                yield each


def _plain(kind: Any) -> Iterator[Any]:
    """The classes and registries in an annotation, through lists, unions and `Annotated`."""
    if isinstance(kind, OneOf):
        yield from kind.every()
    elif isinstance(kind, ByName) or not get_args(kind):
        yield kind
    else:
        for part in (*get_args(kind), *getattr(kind, "__metadata__", ())):
            yield from _plain(part)
