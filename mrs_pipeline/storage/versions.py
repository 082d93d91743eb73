"""What each code version stood for: the definitions and settings behind a digest, one JSON file a version.

A stored thing carries the digest only. To say in words what has changed since it was made, both sides must be known.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrs_pipeline.documents import json_file


@dataclass(frozen=True)
class VersionRecord:
    """What a version was computed from.

    Attributes:
        definitions: qualified name -> digest of each definition that the task's code reached.
        settings: the settings that decided the result, by name.
    """

    definitions: Mapping[str, str]
    settings: Mapping[str, Any]


class VersionStore:
    """The records under one folder. A record never changes, so writers need no lock."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, version: str, record: VersionRecord) -> None:
        """Keep a record, unless it is kept already."""
        path = self._path(version)
        if path.is_file():
            return
        self.root.mkdir(parents=True, exist_ok=True)
        temporary = self.root / f".{uuid.uuid4().hex[:12]}.json"
        content = {"definitions": dict(record.definitions), "settings": dict(record.settings)}
        temporary.write_text(json.dumps(content, sort_keys=True), encoding="utf-8")
        temporary.replace(path)

    def read(self, version: str) -> VersionRecord | None:
        """The record of a version; None where none is kept or it cannot be read."""
        path = self._path(version)
        try:
            content = json_file(path)
            return VersionRecord(content["definitions"], content["settings"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # it serves explanations only: without it a change is told without its name

    def _path(self, version: str) -> Path:
        return self.root / f"{version}.json"
