"""From `source.path` to a folder of this machine: a folder, an unpacked `.zip`, or the copy of a remote place."""

from pathlib import Path
from typing import Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.archives import unpacked
from mrs_pipeline.ingest.media import MEDIA_SUFFIXES
from mrs_pipeline.ingest.paths import SourceAbsent, expand_pattern, expanded
from mrs_pipeline.remote.address import address_of, is_address
from mrs_pipeline.remote.mirror import mirrored

_MEDIA: Final = tuple(suffix for suffixes in MEDIA_SUFFIXES.values() for suffix in suffixes)
_ARCHIVE: Final = ".zip"


def source_folder(path: str, home_root: Path) -> Path:
    """The existing folder that `source.path` names; copies and unpacked archives lie below the home.

    Raises:
        SourceAbsent: the folder is not there.
        InputError: it is no folder, or what it names cannot be fetched or unpacked.
    """
    if is_remote(path):
        root = mirrored(address_of(expanded(path)), home_root, _MEDIA)
        archive = root / address_of(expanded(path)).last
        return unpacked(archive, home_root) if _is_archive(archive) else root
    root = expand_pattern(path, home_root)
    if not root.exists():
        raise SourceAbsent(
            f"source folder {root} does not exist; correct source.path ('{path}') or put the data there"
        )
    if _is_archive(root):
        return unpacked(root, home_root)
    if not root.is_dir():
        raise InputError(
            f"source.path {root} is a file; name its folder, and the file under source.interactions"
        )
    return root


def is_remote(path: str) -> bool:
    """Whether `source.path` is an address, perhaps by a variable; SourceAbsent where the variable is not set."""
    return is_address(expanded(path))


def _is_archive(path: Path) -> bool:
    return path.suffix.lower() == _ARCHIVE and path.is_file()
