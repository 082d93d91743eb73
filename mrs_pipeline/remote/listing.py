"""What lies at an address: each object's name below it, its size, and a text that changes whenever the object does."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.remote.address import Address
from mrs_pipeline.remote.filesystem import absent, speaking

_STATE: Final = (
    "ETag",
    "etag",
    "md5Hash",
    "Content-MD5",
    "Digest",
    "LastModified",
    "Last-Modified",
    "updated",
    "mtime",
    "created",
)
"""What file systems say of the state of an object, by their names for it; the first that is there counts,
since lists say less than questions after one object."""


@dataclass(frozen=True)
class Remote:
    """An object.

    Attributes:
        path: as the file system calls it.
        size: bytes; None where the server does not say.
        state: digest of what the server says of its state; empty where it says nothing.
    """

    path: str
    size: int | None
    state: str


def listing(address: Address) -> dict[str, Remote]:
    """Name below the address -> object, in name order; a file stands for a folder that holds it alone.

    Hidden objects (a part of the name begins with `.`) are left out.

    Raises:
        InputError: nothing is there, it cannot be reached, or a name cannot be one of this machine.
    """
    try:
        with speaking(address) as system:
            if address.is_http:
                return {_file_name(address): remote(system.info(address.url), address.url)}
            path = system._strip_protocol(address.url)
            found = system.find(path, detail=True)
    except FileNotFoundError as error:
        raise absent(address) from error
    if not found:
        raise absent(address)
    named = {name.removeprefix(path).strip("/") or address.last: info for name, info in found.items()}
    objects = {
        name: remote(info, info["name"])
        for name, info in sorted(named.items())
        if info.get("type") == "file" and _is_seen(name)
    }
    _require_possible(objects, address)
    return objects


def remote(info: Mapping[str, Any], path: str) -> Remote:
    """What a file system says of an object."""
    told = next((str(info[name]) for name in _STATE if info.get(name)), None)
    size = info.get("size")
    state = hashlib.sha256(f"{size} {told}".encode()).hexdigest()[:32] if told else ""
    return Remote(path, size, state)


def _is_seen(name: str) -> bool:
    return not any(part.startswith(".") and part.strip(".") for part in name.split("/"))


def _file_name(address: Address) -> str:
    if not address.last or address.last in (".", "..") or "/" in address.last or "\\" in address.last:
        raise InputError(
            f"{address.url} names no file, and HTTP lists no folders; give the address of one file, such as "
            "https://host/interactions.csv.gz or a .zip"
        )
    return address.last


def _require_possible(objects: Mapping[str, Remote], address: Address) -> None:
    """InputError for names that lead elsewhere, or that are a file and a folder at once."""
    folders = {str(parent) for name in objects for parent in PurePosixPath(name).parents}
    for name in objects:
        parts = name.split("/")
        if any(part in ("", ".", "..") for part in parts) or "\\" in name or "\0" in name:
            raise InputError(
                f"{address.url}: the object '{name}' cannot be a file of this machine; rename it"
            )
        if name in folders:
            raise InputError(
                f"{address.url}: '{name}' is an object and a folder of others; rename one of them"
            )
