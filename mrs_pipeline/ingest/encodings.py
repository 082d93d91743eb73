"""Text files in other encodings than UTF-8: recognised, and copied to UTF-8, which is all that DuckDB reads well.

Copies live in a temporary folder of this process, one for each file and state of it.
"""

import codecs
import tempfile
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from mrs_pipeline.errors import InputError

_MARKS: Final = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_BLOCK: Final = 1 << 20
_SAMPLE: Final = 1 << 20
_UNDEFINED: Final = (0x81, 0x8D, 0x8F, 0x90, 0x9D)
"""Bytes without a meaning in cp1252."""


def known_encoding(name: str) -> str:
    """The name, if Python has such a text encoding; ValueError otherwise."""
    try:
        if not codecs.lookup(name)._is_text_encoding:
            raise LookupError
    except LookupError:
        raise ValueError(
            f"there is no text encoding {name!r}; write one such as latin-1, cp1252, utf-16, shift_jis or gb18030"
        ) from None
    return name


def marked_encoding(path: Path) -> str | None:
    """UTF-16, where the file begins with its byte order mark."""
    with path.open("rb") as stream:
        return _MARKS.get(stream.read(2))


def likely_encoding(path: Path) -> str:
    """What a text that is not UTF-8 most likely is, by its first bytes beyond ASCII: for proposals only."""
    with path.open("rb") as stream:
        while block := stream.read(_SAMPLE):
            if 0 in block:
                return "utf-16-le" if block.find(b"\0") % 2 else "utf-16-be"
            high = [byte for byte in block if byte >= 0x80]
            if high:
                return "latin-1" if any(byte in _UNDEFINED for byte in high) else "cp1252"
    return "cp1252"


def as_utf8(path: Path, name: str, encoding: str) -> Path:
    """A copy of a text file in UTF-8, made once for each state of the file.

    Raises:
        InputError: the file is not in that encoding; names the byte.
    """
    status = path.stat()
    return _copied(path, name, encoding, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _copied(path: Path, name: str, encoding: str, _size: int, _modified: int) -> Path:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    with (
        (
            tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", newline="", dir=copies_folder(), suffix=path.suffix, delete=False
            )
        ) as copy,
        path.open("rb") as stream,
    ):
        offset = 0
        try:
            while block := stream.read(_BLOCK):
                copy.write(decoder.decode(block))
                offset += len(block)
            copy.write(decoder.decode(b"", final=True))
        except UnicodeDecodeError as error:
            raise InputError(
                f"{name} is not {encoding} text: byte {offset + error.start:,}; name another encoding (`--encoding` of "
                "`mrs init`, source.encoding)"
            ) from error
    return Path(copy.name)


@cache
def copies_folder() -> str:
    """The temporary folder of this process for copies of raw files."""
    return _temporary().name


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="mrs-utf8-")


def remove_copies() -> None:
    """Delete the copies, for processes that end without Python's own clearing up."""
    if _temporary.cache_info().currsize:
        _temporary().cleanup()
