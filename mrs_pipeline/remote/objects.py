"""Writing to object storage: objects below an address, put whole, and one kind that is only ever created.

What the objects mean is `storage.publication`. `create` is the one promise that writers on several machines build on:
of two that create an object one is told that it is there already.
"""

from collections.abc import Sequence
from pathlib import Path

from mrs_pipeline.errors import InputError
from mrs_pipeline.remote.address import Address
from mrs_pipeline.remote.filesystem import speaking

_PRECONDITION = ("PreconditionFailed", "ConditionalRequestConflict", "conditionNotMet", "412", "409")
"""What servers answer to the second writer of an object that may only be created."""


class Objects:
    """The objects below an address."""

    def __init__(self, address: Address) -> None:
        """Raises InputError for an address that cannot be written to."""
        if address.is_http:
            raise InputError(
                f"{address.url} cannot be written to; give an address such as s3://bucket/folder"
            )
        self.address = address

    def names(self, below: str) -> list[str]:
        """Names of all objects below a folder, from the folder on, sorted; empty where there are none."""
        with speaking(self.address) as system:
            root = system._strip_protocol(f"{self.address.url}/{below}").rstrip("/")
            try:
                found = system.find(root)
            except FileNotFoundError:
                return []
        return sorted(path.removeprefix(root).lstrip("/") for path in found)

    def read(self, name: str) -> bytes:
        """An object's bytes; FileNotFoundError where it is gone."""
        with speaking(self.address) as system:
            data: bytes = system.cat_file(self._path(name))
        return data

    def create(self, name: str, data: bytes) -> bool:
        """Put a small object that must not be there yet; whether it was not."""
        with speaking(self.address) as system:
            try:
                system.pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                if any(word in str(error) for word in _PRECONDITION):
                    return False
                raise
        return True

    def upload(self, file: Path, name: str) -> None:
        """Put a file, unless an object of that name and size is there."""
        with speaking(self.address) as system:
            path = self._path(name)
            try:
                there = system.info(path)["size"] == file.stat().st_size
            except FileNotFoundError:
                there = False
            if not there:
                system.put_file(str(file), path)

    def download(self, name: str, file: Path) -> None:
        """Fetch an object into a file; FileNotFoundError where it is gone."""
        with speaking(self.address) as system:
            system.get_file(self._path(name), str(file))

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects that may be gone already."""
        with speaking(self.address) as system:
            for name in names:
                try:
                    system.rm_file(self._path(name))
                except FileNotFoundError:
                    continue

    def _path(self, name: str) -> str:
        return f"{self.address.url}/{name}"
