"""The copy of a remote folder on this machine: its tables as they are, its media as empty stand-ins.

A copy lies below `data/remote` of the home and can be deleted. Before it is used it is brought up to date: what has
another state (ETag, time, size) is fetched, what is gone is removed, and everything that was fetched is put in place
only once all of it has come. A stand-in has its object's size and a time made of its state, and takes no room: media
are read from the object itself when they are decoded (`media`). Memory is a block a download; disk is the size of the
tables, asked for before anything is fetched.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from mrs_pipeline.errors import InputError
from mrs_pipeline.remote.address import Address
from mrs_pipeline.remote.filesystem import absent, bounded, speaking
from mrs_pipeline.remote.listing import Remote, listing, remote
from mrs_pipeline.remote.media import MARKER, mount

REMOTE_FOLDER: Final = "data/remote"
"""Where the copies are, below the project's home."""
FRESH_SECONDS: Final = 20.0
"""How long a copy counts as up to date in the process that looked."""

_LOG = logging.getLogger(__name__)
_AT_ONCE: Final = 4
_ATTEMPTS: Final = 3
_RESERVE: Final = 1 << 30
"""Bytes of the disk that a copy leaves free."""
_looked: dict[str, float] = {}


def mirrored(address: Address, home_root: Path, media: Collection[str]) -> Path:
    """The folder of this machine that stands for an address, up to date.

    Args:
        address: a folder, or a file, which stands for a folder that holds it alone.
        home_root: the copy is kept below it.
        media: endings (`.jpg`) of files that are not fetched.

    Raises:
        InputError: nothing is there, no access, no answer, no room, or it changes faster than it can be read.
    """
    place = home_root / REMOTE_FOLDER / address.key
    root = place / address.title
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / ".lock"):
        if time.monotonic() - _looked.get(str(place), -FRESH_SECONDS) >= FRESH_SECONDS or not root.is_dir():
            _Copy(address, place, root, tuple(media)).update()
            _looked[str(place)] = time.monotonic()
    mount(root, address)
    return root


def forget() -> None:
    """Look again at every address when it is next asked for."""
    _looked.clear()


@dataclass(frozen=True)
class _Copy:
    address: Address
    place: Path
    root: Path
    media: tuple[str, ...]

    def update(self) -> None:
        """Bring the copy to the state of the address, or leave it as it was."""
        now = listing(self.address)
        if not now:
            raise absent(self.address)
        before = self._index()
        incoming = self.place / ".incoming"
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir(parents=True)
        try:
            changed = {
                name: each
                for name, each in now.items()
                if not each.state or before.get(name) != each.state or not (self.root / name).is_file()
            }
            tables = {name: each for name, each in changed.items() if not self._is_media(name)}
            self._fetch(tables, incoming)
            gone = self._settle(changed, tables, incoming, now)
            self._write_index({name: each.state for name, each in now.items()})
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        if changed or gone:
            _LOG.info(
                "%s: %d of %d files fetched, %d media stay there, %d removed",
                self.address.url,
                len(tables),
                sum(not self._is_media(name) for name in now),
                sum(self._is_media(name) for name in now),
                gone,
            )

    def _is_media(self, name: str) -> bool:
        return name.lower().endswith(self.media)

    def _fetch(self, tables: Mapping[str, Remote], incoming: Path) -> None:
        """Download files side by side, each as a number below `incoming`."""
        from tqdm import tqdm

        sizes = [each.size for each in tables.values()]
        known = sum(size or 0 for size in sizes)
        room = shutil.disk_usage(incoming).free - _RESERVE
        if known > room:
            raise InputError(
                f"{self.address.url} needs {_size(known)} on this machine, and {_size(max(room, 0))} are free below "
                f"{self.place}; make room, or give a folder with fewer files"
            )
        total = known if None not in sizes else None
        with (
            tqdm(
                total=total, unit="B", unit_scale=True, desc=self.address.title, leave=False, disable=None
            ) as bar,
            ThreadPoolExecutor(_AT_ONCE) as pool,
        ):
            jobs = [
                pool.submit(self._download, name, each, incoming / str(number), room, bar.update)
                for number, (name, each) in enumerate(tables.items())
            ]
            try:
                for job in jobs:
                    job.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _download(
        self, name: str, wanted: Remote, target: Path, room: int, progress: Callable[[int], Any]
    ) -> None:
        """One file, whole and of one state.

        What a list says of an object need not be what a question after it says, so states before and after are both
        asked for. The index keeps the list's, which is older: a change in between is fetched the next time.
        """
        for _ in range(_ATTEMPTS):
            try:
                with speaking(self.address) as system:
                    before = remote(system.info(wanted.path), wanted.path)
                    most = before.size if before.size is not None else room
                    system.get_file(wanted.path, str(target), callback=bounded(name, most, progress))
                    after = remote(system.info(wanted.path), wanted.path)
            except FileNotFoundError as error:
                raise InputError(
                    f"{self.address.url}: {name} was removed while it was read; run the command again"
                ) from error
            if before == after and after.size in (None, target.stat().st_size):
                return
        raise InputError(
            f"{self.address.url}: {name} changes while it is read; run the command again once it is complete"
        )

    def _settle(
        self,
        changed: Mapping[str, Remote],
        tables: Mapping[str, Remote],
        incoming: Path,
        now: Mapping[str, Remote],
    ) -> int:
        """Put in place what came, make stand-ins, remove what is gone; returns how many are."""
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / MARKER).write_text(self.address.url, encoding="utf-8")
        numbers = {name: number for number, name in enumerate(tables)}
        gone = [path for path in _files(self.root) if path.relative_to(self.root).as_posix() not in now]
        for path in gone:
            path.unlink()
        _remove_empty(self.root)
        for name, each in changed.items():
            target = self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if name in numbers:
                source = incoming / str(numbers[name])
                if each.state or not _same(source, target):
                    source.replace(target)
            else:
                _stand_in(target, each, incoming / "stand-in")
        return len(gone)

    def _index(self) -> dict[str, str]:
        """Name -> state of what was fetched last."""
        try:
            found = json.loads((self.place / "index.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write_index(self, states: Mapping[str, str]) -> None:
        temporary = self.place / ".index.json"
        temporary.write_text(json.dumps(states), encoding="utf-8")
        temporary.replace(self.place / "index.json")


def _stand_in(target: Path, each: Remote, temporary: Path) -> None:
    """An empty file of the object's size whose time says its state."""
    with temporary.open("wb") as file:
        file.truncate(each.size or 0)
    moment = int(hashlib.sha256(f"{each.state}{each.size}".encode()).hexdigest()[:12], 16) * 1000
    os.utime(temporary, ns=(moment, moment))
    temporary.replace(target)


def _same(left: Path, right: Path) -> bool:
    if not right.is_file() or left.stat().st_size != right.stat().st_size:
        return False
    with left.open("rb") as one, right.open("rb") as other:
        return hashlib.file_digest(one, "sha256").digest() == hashlib.file_digest(other, "sha256").digest()


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and path.name != MARKER]


def _remove_empty(root: Path) -> None:
    for place in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
        if not any(place.iterdir()):
            place.rmdir()


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
