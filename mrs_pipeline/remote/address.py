"""Addresses such as `s3://bucket/folder`: which texts are some, and what one may not hold. No library, no network."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from mrs_pipeline.errors import InputError

PROTOCOLS: Final = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "http": "http",
    "https": "http",
    "memory": "memory",
}
"""How an address begins -> the file system of fsspec that reads it."""

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_SECRET: Final = re.compile(
    r"(?i)(key|token|secret|signature|password|passwd|credential|auth|\bsig\b|x-amz-|x-goog-|awsaccesskeyid)"
)
_ENDINGS: Final = re.compile(r"(\.[a-z]{2,8}){1,2}$", re.IGNORECASE)
_DIGITS: Final = 12


@dataclass(frozen=True)
class Address:
    """Where a folder or a file lies.

    Attributes:
        url: as it was written, without a `/` at its end.
        protocol: the file system of fsspec that reads it.
    """

    url: str
    protocol: str

    @property
    def is_http(self) -> bool:
        """Whether it is behind HTTP, which lists no folders."""
        return self.protocol == "http"

    @property
    def last(self) -> str:
        """The last part of its path, decoded; empty where there is none."""
        path = urlsplit(self.url).path if self.is_http else self.url.partition("://")[2]
        return unquote(PurePosixPath(path).name) if self.is_http else PurePosixPath(path).name

    @property
    def title(self) -> str:
        """A name for it that is a good name of a folder: `shop` of `s3://bucket/shop`, `log` of `.../log.csv.gz`."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", _ENDINGS.sub("", self.last)).strip("._-")
        return name[:40] or "source"

    @property
    def key(self) -> str:
        """Digest of the address: tells the copies of different ones apart."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:_DIGITS]


def is_address(text: str) -> bool:
    """Whether a text is an address and no path of this machine."""
    return _SCHEME.match(text) is not None


def address_of(text: str) -> Address:
    """The address that a text is.

    Raises:
        InputError: no file system reads it, nothing stands behind `://`, or it holds credentials.
    """
    found = _SCHEME.match(text)
    scheme = found.group(1).lower() if found else ""
    if scheme not in PROTOCOLS or "::" in text:
        raise InputError(
            f"'{_shown(text)}' cannot be read: an address begins with one of "
            f"{', '.join(f'{each}://' for each in PROTOCOLS)}; copy the files to one of these or to this machine"
        )
    fault = secret_in(text)
    if fault:
        raise InputError(fault)
    if not text.partition("://")[2].strip("/"):
        raise InputError(f"'{text}' names no place; write one such as {scheme}://bucket/folder")
    return Address(text.rstrip("/"), PROTOCOLS[scheme])


def secret_in(text: str) -> str | None:
    """A sentence where an address holds credentials, which settings and messages would give away."""
    if not is_address(text):
        return None
    parts = urlsplit(text)
    named = next(
        (name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if _SECRET.search(name)), None
    )
    if "@" in parts.netloc:
        held = "a user or a key before the @"
    elif named is not None:
        held = f"'{named}' behind the ?"
    else:
        return None
    return (
        f"'{_shown(text)}' holds {held}; take it out and give credentials by the environment (AWS_PROFILE, "
        "AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS) or the configuration of fsspec, see docs/data.md"
    )


def _shown(text: str) -> str:
    """The address without what may be secret."""
    bare = text.partition("?")[0]
    return re.sub(r"://[^/@]*@", "://", bare)
