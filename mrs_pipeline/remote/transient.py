"""Faults of network and storage that pass by themselves: worth another try, unlike a mistake in data or settings."""

import errno
import re
from collections.abc import Iterator
from typing import Final

_PASSING: Final = frozenset(
    {
        errno.EAGAIN,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EPIPE,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
_NAMES: Final = re.compile(
    r"(Connection|Connect|Endpoint|Disconnected|Timeout|Timed?Out|Throttl|SlowDown|IncompleteRead)"
)
"""What libraries of object storage and HTTP call such faults; they have no base in common."""
_LIBRARIES: Final = frozenset(
    {"aiohttp", "aiobotocore", "botocore", "fsspec", "gcsfs", "google", "http", "requests", "s3fs", "urllib3"}
)
_BUSY: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses of HTTP by which a server says: later."""


def is_transient(error: BaseException) -> bool:
    """Whether an error, or what it was raised from, may be gone at the next try.

    >>> is_transient(ConnectionResetError()), is_transient(FileNotFoundError("a.csv"))
    (True, False)
    """
    return any(_passes(cause) for cause in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _passes(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and error.errno in _PASSING:
        return True
    if type(error).__module__.partition(".")[0] not in _LIBRARIES:
        return False
    status = getattr(error, "status", None) or getattr(error, "code", None)
    return status in _BUSY or bool(_NAMES.search(type(error).__name__))
