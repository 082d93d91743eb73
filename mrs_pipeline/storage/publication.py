"""A home's results in object storage: `MRS_STORE=s3://bucket/folder`. The home's folders are a copy of what is there.

Below the address stand `blobs/<sha256>`, the files under their digests, which never change, and
`refs/<unit>/<number>.json`, the n-th publication of a unit: which files it consists of. Files are put first, the ref
last and only if no other writer has created that number: a reader finds a whole unit or the previous one. Of two
machines that publish a unit at once the first is kept, and the second takes it over with a warning; what was made from
what is in provenance, so that the tasks behind it judge for themselves whether they are due.

Only `create` is asked of the storage (S3's and GCS' conditional put): no lock, no clock, no listing that is in order.
Pulled is what is newer there or gone here, pushed what is newer here; both look at one listing and at the heads of all
units. Nothing is ever removed from the store because it is gone here: folders of a home may be deleted to make room.
"""

import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from mrs_pipeline.documents import json_object
from mrs_pipeline.errors import InputError
from mrs_pipeline.remote.address import address_of, is_address
from mrs_pipeline.remote.objects import Objects
from mrs_pipeline.storage.digests import file_digest
from mrs_pipeline.storage.home import STORE_VARIABLE, Home
from mrs_pipeline.storage.units import Unit, is_inner_name, is_unit_name, units

_INDEX: Final = ".store.json"
_INCOMING: Final = ".incoming"
_AT_ONCE: Final = 8
_ATTEMPTS: Final = 3
_KEPT: Final = 1
"""Former publications of a unit whose refs stay, for readers that have just seen them."""
_LOG = logging.getLogger("mrs_pipeline")


@dataclass
class _Known:
    """What this machine knows of a unit: the publication it has, and the stamp of its files then."""

    number: int
    stamp: list[int] | None


def publication(home: Home) -> "Publication | None":
    """The store that `MRS_STORE` names; None where results stay on this machine.

    Raises:
        InputError: the address cannot be used.
    """
    text = os.environ.get(STORE_VARIABLE)
    if not text:
        return None
    if not is_address(text):
        raise InputError(
            f"{STORE_VARIABLE} is '{text}', which is no address: write one such as s3://bucket/folder, or unset it; "
            "for a shared disk put the home itself there"
        )
    return Publication(home, Objects(address_of(text)))


class Publication:
    """A home and the store of its results. One process of a machine pulls or pushes at a time."""

    def __init__(self, home: Home, objects: Objects) -> None:
        self.home = home
        self.objects = objects

    def pull(self) -> int:
        """Takes over what is newer there; how many units.

        Raises:
            InputError: no access, no answer, or what is there was not written by mrs.
        """
        with self._index() as known:
            return self._pull(known)

    def push(self) -> int:
        """Publishes what is newer here; how many units.

        Raises:
            InputError: no access or no answer.
        """
        with self._index() as known:
            here = {unit.name: unit for unit in units(self.home.root)}
            changed = [
                unit for name, unit in here.items() if name not in known or known[name].stamp != unit.stamp()
            ]
            published = [self._publish(unit, known) for unit in changed]
            if not all(published):
                self._pull(known)
            return sum(published)

    def _publish(self, unit: Unit, known: dict[str, _Known]) -> bool:
        """Whether this machine was the first to publish after what it has."""
        number = known[unit.name].number + 1 if unit.name in known else 1
        with unit.writing():
            stamp, files = unit.stamp(), unit.files()
            digests = {path.relative_to(unit.folder).as_posix(): file_digest(path) for path in files}
            for path, digest in zip(files, digests.values(), strict=True):
                self.objects.upload(path, f"blobs/{digest}")
        ref = json.dumps({"unit": unit.name, "files": digests}).encode()
        if not self.objects.create(_ref(unit.name, number), ref):
            _LOG.warning("%s was published by another machine first: its content is taken over", unit.name)
            known[unit.name] = _Known(number - 1, stamp)
            return False
        known[unit.name] = _Known(number, stamp)
        if number > _KEPT + 1:
            self.objects.remove([_ref(unit.name, number - 1 - _KEPT)])
        return True

    def _pull(self, known: dict[str, _Known]) -> int:
        newer = {
            name: number
            for name, number in self._latest().items()
            if name not in known or number > known[name].number or Unit(self.home.root, name).stamp() is None
        }
        for name in newer:
            stamp = Unit(self.home.root, name).stamp()
            if stamp is not None and (name not in known or known[name].stamp != stamp):
                _LOG.warning(
                    "%s was made here and published by another machine: its content is taken over", name
                )
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            taken = [pool.submit(self._take_over, Unit(self.home.root, name), newer[name]) for name in newer]
            try:
                for name, job in zip(newer, taken, strict=True):
                    known[name] = job.result()
            finally:
                pool.shutdown(cancel_futures=True)
        return len(newer)

    def _take_over(self, unit: Unit, number: int) -> _Known:
        """Puts a publication of a unit in place, or a later one where that one is gone."""
        incoming = self.home.data / _INCOMING / uuid.uuid4().hex
        for _ in range(_ATTEMPTS):
            incoming.mkdir(parents=True)
            try:
                digests = self._files(unit, number)
                for digest in set(digests.values()):
                    self._fetch(digest, incoming / digest)
                with unit.writing():
                    self._put_in_place(unit, digests, incoming)
            except FileNotFoundError:
                number = self._latest(unit.name)[
                    unit.name
                ]  # published again meanwhile, so that this ref is gone
            else:
                return _Known(number, unit.stamp())
            finally:
                shutil.rmtree(incoming)
        raise InputError(f"{self._where(unit)} changes faster than it can be read; run the command again")

    def _files(self, unit: Unit, number: int) -> dict[str, str]:
        """Name of each file -> its digest, the head last."""
        try:
            record = json_object(self.objects.read(_ref(unit.name, number)).decode())
            digests: Mapping[str, Any] = record["files"]
            sound = bool(digests) and all(
                is_inner_name(name) and _is_digest(digest) for name, digest in digests.items()
            )
        except (ValueError, KeyError, AttributeError) as error:
            raise self._foreign(unit) from error
        if record["unit"] != unit.name or not sound:
            raise self._foreign(unit)
        return dict(digests)

    def _fetch(self, digest: str, file: Path) -> None:
        self.objects.download(f"blobs/{digest}", file)
        if file_digest(file) != digest:
            raise InputError(
                f"{self.objects.address.url}/blobs/{digest} is not what was written; remove it there, and run the "
                "dataset again from a home that has it"
            )

    def _put_in_place(self, unit: Unit, digests: Mapping[str, str], incoming: Path) -> None:
        kept = {unit.folder / name for name in digests}
        for name, digest in digests.items():
            target = unit.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = incoming / f"{digest}.copy"
            shutil.copyfile(incoming / digest, temporary)  # two files may have one content
            temporary.replace(target)
        unit.remove_others(kept)

    def _latest(self, below: str = "") -> dict[str, int]:
        """Unit -> number of its latest publication."""
        prefix = f"{below}/" if below else ""
        found: dict[str, int] = {}
        for name in self.objects.names(f"refs/{below}".rstrip("/")):
            unit, _, number = f"{prefix}{name}".rpartition("/")
            if not is_unit_name(unit) or not number.removesuffix(".json").isdigit():
                raise self._foreign(Unit(self.home.root, unit))
            found[unit] = max(found.get(unit, 0), int(number.removesuffix(".json")))
        return found

    def _foreign(self, unit: Unit) -> InputError:
        return InputError(
            f"{self._where(unit)} was not written by mrs; remove it there, or name another folder"
        )

    def _where(self, unit: Unit) -> str:
        return f"{self.objects.address.url}/refs/{unit.name}"

    @contextmanager
    def _index(self) -> Iterator[dict[str, _Known]]:
        """What this machine knows of the store at this address, kept also where the block fails half way."""
        data = self.home.data
        data.mkdir(parents=True, exist_ok=True)
        with FileLock(data / f"{_INDEX}.lock"):
            shutil.rmtree(data / _INCOMING, ignore_errors=True)
            known = self._read(data / _INDEX)
            try:
                yield known
            finally:
                record = {name: [each.number, each.stamp] for name, each in sorted(known.items())}
                temporary = data / f"{_INDEX}.new"
                temporary.write_text(json.dumps({"store": self.objects.address.url, "units": record}))
                temporary.replace(data / _INDEX)

    def _read(self, file: Path) -> dict[str, _Known]:
        try:
            record = json_object(file.read_text(encoding="utf-8"))
            if record["store"] != self.objects.address.url:
                return {}
            return {name: _Known(number, stamp) for name, (number, stamp) in record["units"].items()}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {}  # everything is looked at again


def _ref(unit: str, number: int) -> str:
    return f"refs/{unit}/{number:012d}.json"


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64 and not set(text) - set("0123456789abcdef")
