"""Media of a copied folder, read from the objects themselves: whole into memory, or into one temporary file.

A process that has opened a source knows which folders are copies (`mount`). Nothing else makes a folder one, so no
folder of raw files can send a reader to an address.
"""

import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.remote.address import Address
from mrs_pipeline.remote.filesystem import bounded, speaking

MARKER: Final = ".mrs-remote"
"""A file in every copy: its media are stand-ins, not to be read without the address."""

_mounts: dict[Path, Address] = {}


@dataclass(frozen=True)
class RemoteMedia:
    """Where the media of a copy are.

    Attributes:
        address: of the folder.
    """

    address: Address

    def read(self, name: str, most: int) -> bytes:
        """At most so many bytes of an object; FileNotFoundError where it is gone, InputError where nobody answers."""
        with speaking(self.address) as system:
            data: bytes = system.cat_file(self._path(name), start=0, end=most)
        return data

    def fetch(self, name: str, most: int) -> Path:
        """A temporary file with an object's bytes; the next one of this process takes its place. Errors as `read`."""
        target = Path(_temporary()) / f"media{Path(name).suffix}"
        with speaking(self.address) as system:
            system.get_file(self._path(name), str(target), callback=bounded(name, most))
        return target

    def _path(self, name: str) -> str:
        one_file = self.address.last == name
        return self.address.url if one_file else f"{self.address.url}/{name}"


def mount(root: Path, address: Address) -> None:
    """Say that a folder is the copy of an address."""
    _mounts[root.resolve()] = address


def media_of(root: Path) -> RemoteMedia | None:
    """Where the media below a folder are to be read from; None for a folder that is no copy.

    Raises:
        InputError: it is a copy whose address has not been opened.
    """
    address = _mounts.get(root.resolve())
    if address is None and (root / MARKER).is_file():
        raise InputError(f"{root} is the copy of a remote folder; name that folder's address instead")
    return RemoteMedia(address) if address else None


@cache
def _temporary() -> str:
    folder = tempfile.mkdtemp(prefix="mrs-media-")
    # Worker processes end without Python's own clearing up.
    Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=0)
    return folder


def remove_temporary() -> None:
    """Delete the temporary file, for processes that end without any clearing up."""
    if _temporary.cache_info().currsize:
        shutil.rmtree(_temporary(), ignore_errors=True)
