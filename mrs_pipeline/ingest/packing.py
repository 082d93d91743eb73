"""Tables packed as `.gz` or `.zst`: their endings, their bytes, and their unpacked copies in a temporary folder.

A copy is made once for each state of a file and process, a block at a time; it may not fill the disk.
"""

import gzip
import io
import shutil
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Final, cast

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.encodings import copies_folder

PACKED: Final = (".gz", ".zst")
"""Endings of files that are unpacked while they are read."""
RESERVE: Final = 1 << 30
"""Bytes of the disk that an unpacked copy leaves free."""

_BLOCK: Final = 1 << 20


def data_suffix(path: Path) -> str:
    """The ending that says the format, in small letters: `.csv` of `log.csv` and of `log.CSV.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = len(suffixes) > 1 and suffixes[-1] in PACKED and suffixes[-2] != ".parquet"
    return "".join(suffixes[-2:-1] if packed else suffixes[-1:])


def data_stem(path: Path) -> str:
    """The name without the endings of format and packing: `log` of `log.csv.gz`."""
    return path.with_suffix("").stem if path.suffix.lower() in PACKED else path.stem


def is_packed(path: Path) -> bool:
    """Whether the file's name says that it is packed."""
    return path.suffix.lower() in PACKED


def plain(path: Path, name: str) -> Path:
    """The file itself, or its unpacked copy.

    Raises:
        InputError: it cannot be unpacked, or its content does not fit on the disk.
    """
    if not is_packed(path):
        return path
    status = path.stat()
    return _copied(path, name, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _copied(path: Path, name: str, _size: int, _modified: int) -> Path:
    room = shutil.disk_usage(copies_folder()).free - RESERVE
    # The ending of the copy is that of the format: readers go by it.
    with NamedTemporaryFile("wb", dir=copies_folder(), suffix=data_suffix(path), delete=False) as copy:
        try:
            with path.open("rb") as packed, unpacked_stream(packed, path.suffix.lower()) as stream:
                while block := stream.read(_BLOCK):
                    copy.write(block)
                    if copy.tell() > room:
                        raise InputError(
                            f"{name} has more than {copy.tell() / 1e9:.1f} GB unpacked, and the disk of temporary "
                            "files is nearly full; make room (TMPDIR names another place), or give it as Parquet"
                        )
        except InputError:
            Path(copy.name).unlink()
            raise
        except (EOFError, OSError, ValueError) as error:
            Path(copy.name).unlink()
            raise InputError(
                f"{name} cannot be unpacked ({error}); write it again, or download it again"
            ) from error
    return Path(copy.name)


def unpacked_stream(stream: IO[bytes], packing: str) -> IO[bytes]:
    """The bytes of a stream, unpacked if `packing` is one of `PACKED`."""
    if packing == ".gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=stream))
    if packing == ".zst":
        import pyarrow as pa

        return cast(
            IO[bytes], io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd"))
        )
    return stream
