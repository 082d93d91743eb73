"""Messages to people: what `notify.yaml` of a home says of them, and sending one through Apprise.

A message is about one cause. What has been sent is remembered in `data/notified.json`, so that a fault which a sensor,
a step and a run all meet is said once to each receiver, and again where it lasts. Addresses hold secrets: they stand
in environment variables, never in a file, and no log line shows one.
"""

import json
import logging
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mrs_pipeline.documents import DocumentError, json_file, yaml_file
from mrs_pipeline.errors import InputError
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.storage.home import Home

LOG = logging.getLogger("mrs_pipeline")
SETTINGS_FILE: Final = "notify.yaml"
MOST_TEXT: Final = 4000
"""Characters of a message's body."""
_STRICT = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
_REMEDY: Final = "write `to:` and below it `- url_from: NAME_OF_A_VARIABLE`, as docs/production.md shows"
_HOUR: Final = 3600.0
_LEDGER: Final = "notified.json"


class Event(StrEnum):
    """What a message can be about."""

    FAILURE = "failure"
    """A run failed."""
    FAILED_CHECK = "failed_check"
    """A check failed, among them: a file cannot be read."""
    PROMOTION = "promotion"
    """A champion was promoted, refused or rolled back."""
    DRIFT = "drift"
    """A window differs from the one before by more than the settings allow."""


class Receiver(BaseModel):
    """One address and what it wants to hear of."""

    model_config = _STRICT

    url_from: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
    """Environment variable that holds an Apprise address, such as `mailto://...`, `slack://...` or `jsons://...`."""
    events: tuple[Event, ...] = tuple(Event)
    """Which events; all of them by default."""


class NotifyOptions(BaseModel):
    """What `notify.yaml` says."""

    model_config = _STRICT

    to: tuple[Receiver, ...] = ()
    """Who is told."""
    remind_hours: float = Field(default=24.0, gt=0, le=8760)
    """Hours after which a cause that lasts is said again."""


@dataclass(frozen=True)
class Notification:
    """One message.

    Attributes:
        event: what it is about.
        title: a few words with the dataset's name.
        body: what happened and what can be done.
        cause: equal for messages of one cause; None for what is news each time.
    """

    event: Event
    title: str
    body: str
    cause: str | None = None


def read_options(root: Path) -> NotifyOptions:
    """The settings of a home; nobody is told where it has no `notify.yaml`.

    Raises:
        InputError: names file, key and remedy.
    """
    path = root / SETTINGS_FILE
    try:
        documents = yaml_file(path)
        value: Any = documents[0].value if documents else {}
        if len(documents) > 1 or not isinstance(value, dict):
            raise DocumentError("this does not map names of settings to values")
        return NotifyOptions.model_validate(value)
    except FileNotFoundError:
        return NotifyOptions()
    except DocumentError as error:
        raise error.of(path, _REMEDY) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {place}: {first['msg']}; {_REMEDY}.") from None


def send(home: Home, message: Notification) -> int:
    """Tell all who want to hear of the event and have not heard of the cause; returns how many were reached.

    Whoever cannot be reached is named in the log, by the variable, and told when the cause is met again. Nothing is
    raised: what a message is about must not fail of the message.
    """
    try:
        options = read_options(home.root)
    except InputError as error:
        LOG.warning("nobody is told of %r: %s", message.title, error)
        return 0
    wanted = [receiver.url_from for receiver in options.to if message.event in receiver.events]
    return sum(
        _deliver(name, message) or _forgotten(home, name, message)
        for name in _claimed(home, wanted, message, options.remind_hours)
    )


def settle(home: Home, causes: Sequence[str]) -> None:
    """Forget causes that are mended, so that they are news when they come back."""
    if not (home.data / _LEDGER).is_file():
        return
    ends = {text_digest(cause) for cause in causes}
    with _ledger(home) as told:
        for key in [key for key in told if key.partition(":")[2] in ends]:
            del told[key]


def _claimed(home: Home, names: Sequence[str], message: Notification, hours: float) -> list[str]:
    """Those of the receivers that are to be told, marked as told."""
    if message.cause is None or not names:
        return list(names)
    now = time.time()
    with _ledger(home) as told:
        for key in [key for key, moment in told.items() if now - moment > hours * _HOUR]:
            del told[key]
        fresh = [name for name in names if _key(name, message.cause) not in told]
        told.update({_key(name, message.cause): now for name in fresh})
    return fresh


def _forgotten(home: Home, name: str, message: Notification) -> bool:
    """Take back that a receiver was told; False."""
    if message.cause is not None:
        with _ledger(home) as told:
            told.pop(_key(name, message.cause), None)
    return False


@contextmanager
def _ledger(home: Home) -> Iterator[dict[str, float]]:
    """What has been said, `receiver:digest of the cause` -> seconds since 1970; written back when the block ends."""
    home.data.mkdir(parents=True, exist_ok=True)
    path = home.data / _LEDGER
    with FileLock(home.data / ".notified.lock"):
        try:
            told = {str(key): float(moment) for key, moment in json_file(path).items()}
        except FileNotFoundError:
            told = {}
        except (DocumentError, TypeError, ValueError) as error:
            LOG.warning("%s is begun again, causes that were told are told once more: %s", path, error)
            told = {}
        yield told
        temporary = path.with_name(f".notified-{uuid.uuid4().hex[:12]}.json")
        temporary.write_text(json.dumps(told), encoding="utf-8")
        temporary.replace(path)


def _key(name: str, cause: str) -> str:
    return f"{name}:{text_digest(cause)}"


def _deliver(name: str, message: Notification) -> bool:
    """Send to the address in a variable; whether it arrived."""
    address = os.environ.get(name, "").strip()
    if not address:
        LOG.warning("%s is not told of %r: the environment variable is not set", name, message.title)
        return False
    try:
        import apprise

        logging.getLogger("apprise").setLevel(
            logging.CRITICAL
        )  # its lines are ours, said below without the address
        receiver = apprise.Apprise()
        if not receiver.add(address):
            LOG.warning(
                "%s is not told of %r: the variable holds no address that Apprise knows", name, message.title
            )
            return False
        reached = receiver.notify(
            title=message.title,
            body=message.body[:MOST_TEXT],
            body_format=apprise.NotifyFormat.TEXT,
            notify_type=_kind(message.event),
        )
    except (
        Exception
    ) as error:  # of whatever library serves the address: a message must not fail what it is about
        LOG.warning("%s is not told of %r: %s", name, message.title, type(error).__name__)
        return False
    if not reached:
        LOG.warning("%s is not told of %r: the address cannot be reached", name, message.title)
    return bool(reached)


def _kind(event: Event) -> Any:
    import apprise

    kinds = {
        Event.FAILURE: apprise.NotifyType.FAILURE,
        Event.PROMOTION: apprise.NotifyType.INFO,
    }
    return kinds.get(event, apprise.NotifyType.WARNING)
