"""Reading media files without trusting them: inside one folder, regular files only, bounded in size.

What is inside the bytes is the business of `images.py`, `audio.py` and `video.py`.
"""

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from mrs_pipeline.encoders.base import Content, ContentError, bytes_digest, require_columns
from mrs_pipeline.encoders.options import MediaOptions
from mrs_pipeline.remote.media import RemoteMedia, media_of

MEGABYTE = 1_000_000


def media_references(options: MediaOptions, items: pl.DataFrame) -> pl.Series:
    """[rows] the item's path inside the media folder; null where the item has none."""
    column = options.column or str(options.modality)
    require_columns(options, items, [column])
    path = pl.col(column).cast(pl.String).str.strip_chars().replace("", None)
    return items.select(path=path)["path"]


@dataclass(frozen=True)
class MediaFolder:
    """The one folder that media may come from.

    Attributes:
        root: the folder.
        max_bytes: larger files are refused unread.
        remote: where the files themselves are, if the folder is the copy of a remote one.
    """

    root: Path
    max_bytes: int
    remote: RemoteMedia | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "remote", media_of(self.root))

    def resolve(self, reference: str) -> Path:
        """The regular file behind a relative path; ContentError if absent, outside, empty or too large."""
        try:
            root = self.root.resolve()
            path = (root / reference).resolve()
            if not path.is_relative_to(root):
                raise ContentError("path leaves the media folder")
            status = path.stat()
        except FileNotFoundError:
            raise ContentError("file not found") from None
        except (OSError, ValueError, RuntimeError) as error:
            # Not the whole message: it holds the path on this machine.
            raise ContentError(f"path cannot be used: {getattr(error, 'strerror', None) or error}") from None
        self._require_usable(status)
        return path

    def _require_usable(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise ContentError("not a regular file")
        if status.st_size == 0:
            raise ContentError("file is empty")
        if status.st_size > self.max_bytes:
            raise ContentError(
                f"file has {status.st_size / MEGABYTE:,.1f} MB, "
                f"more than max_file_mb = {self.max_bytes / MEGABYTE:g}"
            )

    def read(self, reference: str) -> Content:
        """The bytes of a file and their digest; InputError where a remote folder does not answer."""
        path = self.resolve(reference)
        try:
            if self.remote is not None:
                data = self.remote.read(self._below(path), self.max_bytes + 1)
            else:
                with path.open("rb") as file:
                    data = file.read(self.max_bytes + 1)
        except FileNotFoundError:
            raise ContentError("file not found") from None
        except OSError as error:
            raise ContentError(f"file cannot be read: {error.strerror}") from None
        return Content(bytes_digest(data), len(data), data)

    def locate(self, reference: str) -> Content:
        """The path of a file and the digest of its bytes, for content too large to hold in memory."""
        path = self.resolve(reference)
        try:
            if self.remote is not None:
                path = self.remote.fetch(self._below(path), self.max_bytes)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        except FileNotFoundError:
            raise ContentError("file not found") from None
        except OSError as error:
            raise ContentError(f"file cannot be read: {error.strerror}") from None
        return Content(digest, path.stat().st_size, path)

    def _below(self, path: Path) -> str:
        return path.relative_to(self.root.resolve()).as_posix()


def media_folder(options: MediaOptions, root: Path) -> MediaFolder:
    """The media folder with the bounds of the options."""
    return MediaFolder(root, int(options.max_file_mb * MEGABYTE))
