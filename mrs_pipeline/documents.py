"""JSON, TOML and YAML documents that people or earlier runs left, read within bounds of size, depth and expansion.

A document is data: no tag of it makes an object, no alias of it grows beyond a bound, and what is wrong with it is said
in words, whatever the parser does. What a document means belongs to its reader.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from mrs_pipeline.errors import InputError

MOST_JSON: Final = 64 << 20
"""Bytes of a JSON document."""
MOST_YAML: Final = 256 << 10
"""Bytes of a YAML document."""
MOST_TOML: Final = 256 << 10
"""Bytes of a TOML document."""
MOST_VALUES: Final = 100_000
"""Values of a YAML document, each alias counted with all that it stands for."""
MOST_LEVELS: Final = 64
"""Levels of a YAML document."""

_PLAIN_TAGS: Final = ("!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")))


class DocumentError(ValueError):
    """What is wrong with a document, a clause: "this is not JSON".

    Attributes:
        line: where, if that is known.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line

    def of(self, path: Path, remedy: str) -> InputError:
        """The sentence: file, line, what is wrong, remedy."""
        place = f"{path}:{self.line}" if self.line else str(path)
        return InputError(f"{place}: {self}; {remedy}.")


@dataclass(frozen=True)
class YamlDocument:
    """One document of a YAML file.

    Attributes:
        value: what it holds.
        lines: line of each key at the top.
    """

    value: Any
    lines: Mapping[str, int]


def json_object(text: str) -> dict[str, Any]:
    """The object that a text holds.

    Raises:
        DocumentError: it is no JSON, is nested too deeply, or holds something else than an object.
    """
    found = _json(text)
    if not isinstance(found, dict):
        raise DocumentError(f"this holds {_kind(found)} where a JSON object belongs")
    return found


def json_file(path: Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        DocumentError: as `json_object`, or the file is no text, too large or cannot be read.
        FileNotFoundError: there is no file.
    """
    return json_object(_text(path, MOST_JSON))


def json_list_file(path: Path) -> list[Any]:
    """The list in a file; errors as of `json_file`."""
    found = _json(_text(path, MOST_JSON))
    if not isinstance(found, list):
        raise DocumentError(f"this holds {_kind(found)} where a JSON list belongs")
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DocumentError(f"this is not JSON ({error.msg})", error.lineno) from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, too many brackets
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DocumentError(f"this cannot be read as JSON ({reason})") from error


def toml_file(path: Path) -> dict[str, Any]:
    """The tables in a TOML file.

    Raises:
        DocumentError: it is no TOML, or cannot be read.
        FileNotFoundError: there is no file.
    """
    try:
        return tomllib.loads(_text(path, MOST_TOML))
    except tomllib.TOMLDecodeError as error:
        raise DocumentError(f"this is not TOML: {error}") from error


def yaml_file(path: Path) -> list[YamlDocument]:
    """The documents in a YAML file; none where it is empty or holds comments only.

    Raises:
        DocumentError: it is no YAML, a tag wants to make an object, a key stands twice, or it is too large or deep,
            also once its aliases are expanded.
        FileNotFoundError: there is no file.
    """
    text = _text(path, MOST_YAML)
    try:
        lines = _bounded(text)
        documents = [YamlDocument(*pair) for pair in zip(yaml.safe_load_all(text), lines, strict=True)]
        return [] if [each.value for each in documents] == [None] else documents
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError(
            f"this is not YAML: {error.problem or error.context}", mark.line + 1 if mark else None
        ) from error
    except yaml.YAMLError as error:
        raise DocumentError(f"this is not YAML: {str(error).splitlines()[0]}") from error
    except ValueError as error:  # a date that there is not, a number of too many digits
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(f"this holds a value that cannot be read ({error})") from error


def _text(path: Path, most: int) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DocumentError(f"this cannot be read ({error.strerror})") from error
    if len(content) > most:
        raise DocumentError(f"this is larger than {most >> 10:,} KiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"this is not UTF-8 text (byte {error.start:,})", content.count(b"\n", 0, error.start) + 1
        ) from error


def _bounded(text: str) -> list[dict[str, int]]:
    """The lines of the keys at the top of each document, once event by event has been found within bounds."""
    walk = _Walk()
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        walk.see(event)
    return walk.lines


class _Walk:
    """Counts what a YAML document would become, without making it."""

    def __init__(self) -> None:
        self.lines: list[dict[str, int]] = []
        self._open: list[_Open] = []
        self._sizes: dict[str, int] = {}

    def see(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._add(self._size_of(event), event)
        elif isinstance(event, yaml.ScalarEvent):
            self._require_plain(event)
            self._add(1, event, key=event.value)
            if event.anchor:
                self._sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            self._require_plain(event)
            if len(self._open) == MOST_LEVELS:
                raise DocumentError(f"this is nested deeper than {MOST_LEVELS} levels", _line(event))
            self._open.append(_Open(event.anchor, isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self._open.pop()
            if done.anchor:
                self._sizes[done.anchor] = done.size
            self._add(done.size, event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._sizes = {}
            self.lines.append({})

    def _size_of(self, event: yaml.AliasEvent) -> int:
        if event.anchor not in self._sizes:
            raise DocumentError(
                f"this has an alias *{event.anchor} without a finished &{event.anchor}", _line(event)
            )
        return self._sizes[event.anchor]

    def _add(self, size: int, event: yaml.Event, key: str | None = None) -> None:
        if not self._open:
            return
        around = self._open[-1]
        around.size += size
        if around.size > MOST_VALUES:
            raise DocumentError(
                f"this stands for more than {MOST_VALUES:,} values once its aliases are expanded",
                _line(event),
            )
        if around.takes_key():
            if key is None:
                raise DocumentError("this has a key that is no word; quote it", _line(event))
            if key in around.keys:
                raise DocumentError(f"this says {key!r} twice", _line(event))
            around.keys.add(key)
            if len(self._open) == 1:
                self.lines[-1][key] = _line(event)
        around.parts += 1

    def _require_plain(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None and event.tag not in _PLAIN_TAGS:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            raise DocumentError(
                f"this has the tag {tag[:60]}, which is refused: settings are plain values", _line(event)
            )


class _Open:
    """A list or mapping that has not ended yet."""

    def __init__(self, anchor: str | None, mapping: bool) -> None:
        self.anchor, self.mapping = anchor, mapping
        self.size, self.parts = 1, 0
        self.keys: set[str] = set()

    def takes_key(self) -> bool:
        """Whether the next part is a key."""
        return self.mapping and self.parts % 2 == 0


def _line(event: yaml.Event) -> int:
    return int(event.start_mark.line) + 1 if event.start_mark else 0


def _kind(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return "a text"
        case _:
            return "a single value"
