"""Directories with a manifest: feature matrices, graphs, checkpoints - what is arrays rather than rows.

Layout: `<root>/<key>/<key>/manifest.json` points at `<root>/<key>/<key>/<digest16>/`, which holds the files.
The manifest is replaced last and atomically, so a reader finds a finished directory or the previous one. What
the files mean belongs to those who write them (`encoders`, `training`); tables of rows belong to `lake`.
"""

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from filelock import FileLock

from mrs_pipeline.documents import DocumentError, json_file
from mrs_pipeline.errors import InputError, UnreadableError
from mrs_pipeline.storage.digests import file_digest, text_digest
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.storage.table import is_safe_name

JSON = str | int | float | bool | None | list["JSON"] | dict[str, "JSON"]
MANIFEST = "manifest.json"
_PARTIAL = ".partial"
_DIGEST_DIGITS = 16
_DIGEST = re.compile(r"[0-9a-f]{16,128}")


@dataclass(frozen=True)
class ArtifactManifest:
    """What an artifact is and what made it.

    Attributes:
        name: its keys joined by "/".
        digest: digest of its files' names and contents.
        provenance: code and inputs that made it.
        facts: what its writer wished to say about it.
        directory: where its files lie; valid until the artifact is written again.
    """

    name: str
    digest: str
    provenance: Provenance
    facts: Mapping[str, JSON]
    directory: Path


class ArtifactStore:
    """The artifacts under one folder. Safe to use from many processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def writing(
        self, *keys: str, provenance: Provenance, facts: dict[str, JSON], resume: bool = False
    ) -> Iterator[Path]:
        """Yield a directory to fill; when the block ends well it becomes the artifact.

        Writers of the same artifact wait for each other. The previous artifact stays readable until the end.
        `facts` may be filled inside the block.

        Args:
            keys: name of the artifact, e.g. "demo", "full", "image_color_gradient".
            provenance: code and inputs that make it.
            facts: JSON-able facts for the manifest.
            resume: start from the files that an interrupted writer left, and leave them to the next if
                interrupted oneself; the writer decides which of them still hold. Otherwise it starts empty.

        Raises:
            InputError: a key could not name a folder.
        """
        home = self._home(keys)
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / ".lock"):
            partial = home / _PARTIAL
            if not resume:
                _remove(partial)
            partial.mkdir(exist_ok=True)
            try:
                yield partial
                self._publish(home, partial, "/".join(keys), provenance, facts)
            except BaseException:
                if not resume:
                    _remove(partial)
                raise

    def exists(self, *keys: str) -> bool:
        """Whether the artifact has been written."""
        return (self._home(keys) / MANIFEST).is_file()

    def read(self, *keys: str) -> ArtifactManifest:
        """The artifact's manifest.

        Raises:
            InputError: it has not been written.
            UnreadableError: its manifest is damaged.
        """
        home = self._home(keys)
        if not (home / MANIFEST).is_file():
            raise InputError(
                f"{home.relative_to(self.root.parent)} has not been made yet: materialise it first."
            )
        try:
            record = json_file(home / MANIFEST)
            if not _DIGEST.fullmatch(record["digest"]):  # it names a folder
                raise ValueError("it has no digest")
            return ArtifactManifest(
                name=record["name"],
                digest=record["digest"],
                provenance=Provenance.from_json(record["provenance"]),
                facts=record["facts"],
                directory=home / record["digest"][:_DIGEST_DIGITS],
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreadableError(
                f"{home / MANIFEST} was not written by mrs ({_reason(error)}): remove it and run "
                f"`mrs run {keys[0]}`, which makes again what belongs there."
            ) from error

    def files(self, *keys: str) -> list[Path]:
        """The artifact's manifest and its files.

        Raises:
            InputError: it has not been written.
            UnreadableError: its manifest is damaged.
        """
        directory = self.read(*keys).directory
        held = sorted(path for path in directory.rglob("*") if path.is_file())
        return [self._home(keys) / MANIFEST, *held]

    def fault(self, *keys: str) -> str | None:
        """What is wrong with an artifact's files, in words; None where they are what was written."""
        try:
            manifest = self.read(*keys)
        except UnreadableError as error:
            return f"has no readable manifest ({_reason(error.__cause__)})"
        if not manifest.directory.is_dir():
            return "has lost its files"
        found = directory_digest(manifest.directory)
        return None if found == manifest.digest else "is not what was written"

    def names(self) -> list[tuple[str, ...]]:
        """Keys of every artifact, sorted."""
        return sorted(path.parent.relative_to(self.root).parts for path in self.root.rglob(MANIFEST))

    def discard(self, *keys: str) -> None:
        """Remove an artifact; what reads it must make it again."""
        home = self._home(keys)
        with FileLock(home / ".lock"):
            (home / MANIFEST).unlink()
            for directory in home.glob("[0-9a-f]" * _DIGEST_DIGITS):
                rmtree(directory)

    def _publish(
        self, home: Path, partial: Path, name: str, provenance: Provenance, facts: Mapping[str, JSON]
    ) -> None:
        digest = directory_digest(partial)
        record = {"name": name, "digest": digest, "provenance": provenance.to_json(), "facts": dict(facts)}
        text = json.dumps(record, indent=2, allow_nan=False)
        final = home / digest[:_DIGEST_DIGITS]
        if final.is_dir() and directory_digest(final) == digest:
            _remove(partial)  # the same content again: readers may be using it, so it stays
        else:
            _remove(final)  # damaged since it was written
            partial.replace(final)
        temporary = home / f".{uuid.uuid4().hex[:12]}.json"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(home / MANIFEST)
        self._remove_others(home, final)

    def _remove_others(self, home: Path, final: Path) -> None:
        for other in home.glob("[0-9a-f]" * _DIGEST_DIGITS):
            if other != final:
                rmtree(other)
        for leftover in home.glob(".*.json"):
            leftover.unlink()

    def _home(self, keys: tuple[str, ...]) -> Path:
        for key in keys:
            if not is_safe_name(key):
                raise InputError(
                    f"{key!r} cannot name an artifact: use letters, digits, '.', '_' and '-', beginning with "
                    "a letter or digit."
                )
        if not keys:
            raise ValueError("an artifact needs a name")
        return self.root.joinpath(*keys)


def directory_digest(directory: Path) -> str:
    """Digest of the relative names and contents of all files below a directory."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return text_digest(*(part for path in files for part in _name_and_digest(directory, path)))


def _reason(error: BaseException | None) -> str:
    """What is wrong with a manifest; what a document says of itself, else what its record lacks."""
    return str(error) if isinstance(error, DocumentError) else "it is no manifest"


def _name_and_digest(directory: Path, path: Path) -> tuple[str, str]:
    return path.relative_to(directory).as_posix(), file_digest(path)


def _remove(directory: Path) -> None:
    if directory.exists():
        rmtree(directory)
