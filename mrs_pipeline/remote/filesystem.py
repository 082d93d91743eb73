"""The file systems of fsspec: opened by protocol, and what they have to say put into one sentence."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.remote.address import Address

_LIBRARIES: Final = {"s3": "s3fs", "gs": "gcsfs", "http": "aiohttp"}
_SPEAKERS: Final = (
    "aiobotocore",
    "aiohttp",
    "asyncio",
    "botocore",
    "fsspec",
    "gcsfs",
    "google",
    "requests",
    "s3fs",
)
"""Packages whose errors are about the place and the way to it, not about this program."""
_LOCAL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What a disk of this machine says."""
_DENIED: Final = (401, 403)
_ABSENT: Final = 404
_LONGEST: Final = 160


def filesystem(protocol: str) -> Any:
    """The file system of a protocol, one in each process; credentials are those of environment and configuration.

    Raises:
        InputError: its package is not installed.
    """
    return _opened(protocol, os.getpid())


@lru_cache(maxsize=8)
def _opened(protocol: str, _process: int) -> Any:
    try:
        import fsspec
        from fsspec.config import conf

        settings: dict[str, Any] = {}
        if protocol == "http":
            given = conf.get("http", {}).get("client_kwargs", {})
            # A file that is sent as gzip is kept as it is, like on any other storage.
            settings = {"client_kwargs": {"trust_env": True, **given, "auto_decompress": False}}
        elif protocol != "memory":
            settings = {"use_listings_cache": False}
        return fsspec.filesystem(protocol, skip_instance_cache=protocol != "memory", **settings)
    except ImportError as error:
        raise InputError(
            f"{protocol}:// needs the package {_LIBRARIES.get(protocol, 'fsspec')}, which is not installed; run "
            "`pip install 'mrs-pipeline[remote]'`"
        ) from error


@contextmanager
def speaking(address: Address) -> Iterator[Any]:
    """The file system of an address; what goes wrong on the way is one sentence.

    Raises:
        InputError: no such place, no access, no answer.
        FileNotFoundError: an object is not there, to be judged by who asked for it.
    """
    try:
        yield filesystem(address.protocol)
    except FileNotFoundError as error:
        # The file system of HTTP says this of everything; the cause knows better.
        if not address.is_http or error.__cause__ is None or _status(error) == _ABSENT:
            raise
        raise InputError(_sentence(address, error.__cause__)) from error
    except Exception as error:
        if not _speaks_of_the_way(error):
            raise
        raise InputError(_sentence(address, error)) from error


def absent(address: Address) -> InputError:
    """The sentence for a place with nothing at it."""
    return InputError(
        f"nothing is at {address.url}; correct the address, or check that these credentials may list it"
    )


def bounded(name: str, most: int, progress: Callable[[int], Any] | None = None) -> Any:
    """What fsspec tells of the bytes that come; refuses more than `most` of them with an InputError."""
    from fsspec.callbacks import Callback

    class Counter(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            super().relative_update(inc)
            if progress is not None:
                progress(inc)
            if self.value > most:
                raise InputError(
                    f"{name} has more bytes than the server announced or this disk has room for; run the command again"
                )

    return Counter()


def _speaks_of_the_way(error: BaseException | None) -> bool:
    if isinstance(error, OSError):
        return error.errno not in _LOCAL
    return error is not None and type(error).__module__.partition(".")[0] in _SPEAKERS


def _sentence(address: Address, error: BaseException) -> str:
    status = _status(error)
    if isinstance(error, PermissionError) or status in _DENIED or "Credential" in type(error).__name__:
        return (
            f"access to {address.url} is denied ({_first_line(error)}); give credentials by the environment "
            "(AWS_PROFILE, AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS) or the configuration of fsspec, see "
            "docs/data.md"
        )
    return (
        f"{address.url} cannot be reached ({_first_line(error)}); check the address, the network and the endpoint "
        "(AWS_ENDPOINT_URL), then run the command again"
    )


def _status(error: BaseException | None) -> int | None:
    """The answer of an HTTP server, wherever in the chain of causes it stands."""
    while error is not None:
        status = getattr(error, "status", None) or getattr(error, "code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:_LONGEST].rstrip(". ")
