"""Closures kept on the disk between processes: a process that finds them reads and parses no source file.

They are kept by the fingerprint of all files of the packages, this one among them, so any edit asks for others. What
is damaged, of another format or cannot be read counts as absent; a folder that cannot be written keeps nothing. The
folder may be deleted at any time. It is `$MRS_CACHE`, or `mrs_pipeline` in the user's folder of caches.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from mrs_pipeline.code.closure import Closure

CACHE_VARIABLE: Final = "MRS_CACHE"
MOST_STATES: Final = 8
"""How many states of the packages are kept, the latest; each is about a megabyte."""

_FORMAT: Final = 1


@dataclass
class Kept:
    """Closures of one state of some packages.

    Attributes:
        closures: question -> its answer.
        read: paths below the folders of the packages that were read to answer them, as `top/path`.
    """

    closures: dict[str, Closure] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)


def question(keys: Collection[str], stop: Collection[str]) -> str:
    """The name of a question: roots in their order, and where not to go on."""
    return hashlib.sha256(json.dumps([list(keys), sorted(stop)]).encode()).hexdigest()[:32]


def recall(fingerprint: str) -> Kept:
    """What is kept for a state of the packages; nothing where there is nothing that can be read."""
    folder = _folder()
    if folder is None:
        return Kept()
    try:
        return _parsed((folder / f"{fingerprint}.json").read_bytes())
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return Kept()  # what is not there, or damaged, is made again


def remember(fingerprint: str, kept: Kept) -> None:
    """Keep closures for a state of the packages beside what is kept for it already; older states make room."""
    folder = _folder()
    if folder is None:
        return
    before = recall(fingerprint)
    both = Kept(before.closures | kept.closures, before.read | kept.read)
    with suppress(OSError):  # what cannot be kept is found again by the next process
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _replace(folder / f"{fingerprint}.json", _text(both))
        # unfinished files that killed processes have left are among them
        states = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for old in states[:-MOST_STATES]:
            old.unlink(missing_ok=True)


def _folder() -> Path | None:
    """Where closures are kept; None where the user has no folder of caches."""
    try:
        base = os.environ.get(CACHE_VARIABLE) or Path(
            os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", __name__.partition(".")[0]
        )
    except RuntimeError:  # no home
        return None
    return Path(base, "code")


def _replace(path: Path, text: str) -> None:
    """Write a file so that others see all of it or the one before."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _text(kept: Kept) -> str:
    """Every pair of a key and its digest once, and closures as numbers of pairs."""
    numbers: dict[tuple[str, str], int] = {}
    closures = {
        name: [
            each.digest,
            [numbers.setdefault(pair, len(numbers)) for pair in each.definitions.items()],
            sorted(each.boundaries),
        ]
        for name, each in kept.closures.items()
    }
    body = json.dumps({"pairs": list(numbers), "closures": closures, "read": sorted(kept.read)})
    return json.dumps({"format": _FORMAT, "digest": _digest(body), "body": body})


def _parsed(data: bytes) -> Kept:
    """What a file keeps; ValueError or another error of its shape where it is damaged."""
    outer = json.loads(data)
    body = outer["body"]
    if outer["format"] != _FORMAT or outer["digest"] != _digest(body):
        raise ValueError("of another format, or damaged")
    inner = json.loads(body)
    pairs = [(key, digest) for key, digest in inner["pairs"]]
    closures = {name: _closure(pairs, each) for name, each in inner["closures"].items()}
    return Kept(closures, set(inner["read"]))


def _closure(pairs: list[tuple[str, str]], written: Any) -> Closure:
    digest, numbers, boundaries = written
    definitions: Mapping[str, str] = MappingProxyType(dict([pairs[number] for number in numbers]))
    found = Closure(definitions, frozenset(boundaries))
    found.__dict__["digest"] = digest  # it is computed when first asked for, and here it was asked for before
    return found


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
