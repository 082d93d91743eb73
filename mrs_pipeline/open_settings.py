"""Settings whose fields depend on what is registered: pydantic annotations that look a class up when they validate.

Declaring such a setting imports none of the classes. Errors keep their place, as if the class had been written down;
the JSON schema names every registered class and so loads them all.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializeAsAny,
    create_model,
)
from pydantic_core import CoreSchema, core_schema

JsonSchema = dict[str, Any]


def _as_written(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return entry


@dataclass(frozen=True)
class OneOf:
    """Annotates a base class of settings: the entry itself says which class below it is meant.

    Attributes:
        choose: an entry as written -> its class; ValueError says what is wrong with the choice.
        every: all classes that there are, for the JSON schema and the documentation.
        rewrite: an entry as written -> the entry that it stands for, before a class is chosen.
        short: JSON schemas of entries that are rewritten, which no class describes.
    """

    choose: Callable[[Mapping[str, Any]], type[BaseModel]]
    every: Callable[[], Iterable[type[BaseModel]]]
    rewrite: Callable[[Mapping[str, Any]], Mapping[str, Any]] = _as_written
    short: tuple[JsonSchema, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Entries become objects of the class they choose; an object of a class below the base is kept."""
        base = handler.generate_schema(Annotated[source, SerializeAsAny()])  # type: ignore[type-arg]  # no generic
        return core_schema.no_info_before_validator_function(self._parsed, base)

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        """Any of the classes, or what stands for one."""
        classes = [handler(each.__pydantic_core_schema__) for each in self.every()]
        return {"anyOf": [*classes, *self.short]}

    def _parsed(self, entry: Any) -> Any:
        if not isinstance(entry, Mapping):
            return entry
        meant = self.rewrite(entry)
        return self.choose(meant).model_validate(meant)


class Configurable(Protocol):
    """What a registry of models holds."""

    Config: Any


@dataclass(frozen=True)
class ByName:
    """Annotates `dict[str, BaseModel]`: each key is a registered name, its value that one's settings.

    Only the classes of the names that are written are loaded. A name without anything after it means the defaults.
    """

    registry: Mapping[str, type[Configurable]]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Settings in the order of the registry."""
        base = handler.generate_schema(dict[str, SerializeAsAny[BaseModel]])
        return core_schema.no_info_before_validator_function(self._parsed, base)

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        """One optional key a registered name."""
        schemas = {
            name: {"anyOf": [handler(each.Config.__pydantic_core_schema__), {"type": "null"}]}
            for name, each in self.registry.items()
        }
        return {"type": "object", "properties": schemas, "additionalProperties": False}

    def _parsed(self, written: Any) -> Any:
        if not isinstance(written, Mapping):
            return written
        known = {name: (self.registry[name].Config, ...) for name in self.registry if name in written}
        fields: dict[str, Any] = known
        section = create_model("Section", __config__=ConfigDict(extra="forbid"), **fields)
        given = {name: {} if settings is None else settings for name, settings in written.items()}
        parsed = section.model_validate(given)
        return {name: getattr(parsed, name) for name in known}
