"""Who listens to what in the demonstration catalogue: tastes, popularity, releases, drifting activity.

Pure NumPy, no files. The planted truth is a mixture over eight tastes for each record and each listener. A
listener picks records by taste, popularity and freshness, and a little by a hidden liking that no content
shows: others' behaviour tells more than content, and content is all there is for a new record.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mrs_pipeline.ingest.demo.options import DemoOptions
from mrs_pipeline.ingest.demo.tastes import TASTES

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MONTHS: Final = 12
FIRST_MONTH: Final = "2024-01"

CONTENT: Final = ("text", "image", "audio")
"""Modalities of a record, in the order of their random streams."""
CLIP: Final = "video"
"""The modality of the few records that have a clip."""
CLIPS: Final = 72
"""Records with a clip, at most: a few seconds each of decoding and encoding."""

_T: Final = len(TASTES)
_EVENTS_PER_USER: Final = 35
_OLD_STOCK: Final = 0.5
"""Share of records that are on sale from the first day."""
_TRUE_STYLE: Final = 0.86
"""How often a modality shows the record's first taste; otherwise its second, or any."""
_MISSING: Final = 0.1
_TASTE_WEIGHT: Final = 7.0
_HIDDEN_WEIGHT: Final = 0.7
_ZIPF: Final = 0.6
_FROM_THE_START: Final = 0.7
"""Share of listeners that are there in the first month."""
_FRESHNESS: Final = (1.2, 0.5)
"""Bonus of a record in the month of its release and the next."""
_USER_BLOCK: Final = 1024

_STREAMS: Final = {"records": 1, "listeners": 2, "events": 3, "content": 4, "clips": 5}


@dataclass(frozen=True)
class Records:
    """The catalogue's planted truth.

    Attributes:
        taste: [I] first taste.
        mixture: [I, T] how much of each taste a record has; rows sum to 1.
        release: [I] month 0..11.
        popularity: [I] log weight, Zipf-like.
        quality: [I] what ratings add for it.
        hidden: [I, 4] what listeners like about it beyond its content.
        style: modality -> [I] the taste that this modality shows.
        missing: modality -> [I] whether this modality is absent.
    """

    taste: Ints
    mixture: Floats
    release: Ints
    popularity: Floats
    quality: Floats
    hidden: Floats
    style: dict[str, Ints]
    missing: dict[str, Bools]


@dataclass(frozen=True)
class Listeners:
    """The users' planted truth.

    Attributes:
        start, end: [U, T] tastes in the first and in the last month.
        joined: [U] month of the first interaction.
        activity: [U, 12] expected interactions a month.
        bias: [U] what ratings add for them.
        hidden: [U, 4] counterpart of `Records.hidden`.
    """

    start: Floats
    end: Floats
    joined: Ints
    activity: Floats
    bias: Floats
    hidden: Floats


@dataclass(frozen=True)
class Month:
    """One month of interactions, in the order of time.

    Attributes:
        users, items: [E] numbers from 0.
        times: [E] datetime64[s], UTC.
        ratings: [E] 1..5.
    """

    users: Ints
    items: Ints
    times: npt.NDArray[np.datetime64]
    ratings: Ints


def stream(options: DemoOptions, name: str, *numbers: int) -> np.random.Generator:
    """An independent random stream for one purpose: changing one part leaves the others as they are."""
    return np.random.default_rng([options.seed, _STREAMS[name], *numbers])


def plant_records(options: DemoOptions) -> Records:
    """Draw the catalogue."""
    rng, I = stream(options, "records"), options.items  # noqa: E741 - shape letter
    taste = rng.permutation(np.arange(I) % _T)
    second = (taste + rng.integers(1, _T, I)) % _T
    first_share = rng.uniform(0.65, 1.0, I)
    mixture = np.zeros((I, _T))
    mixture[np.arange(I), taste] = first_share
    mixture[np.arange(I), second] += 1 - first_share
    new = rng.random(I) >= _OLD_STOCK
    clips = stream(options, "clips")
    return Records(
        taste=taste,
        mixture=mixture,
        release=np.where(new, rng.integers(1, MONTHS, I), 0),
        popularity=-_ZIPF * np.log(rng.permutation(I) + 1.0),
        quality=rng.normal(0, 0.35, I),
        hidden=rng.normal(0, 1, (I, 4)),
        style={name: _styles(rng, taste, second) for name in CONTENT} | {CLIP: _styles(clips, taste, second)},
        missing={name: rng.random(I) < _MISSING for name in CONTENT} | {CLIP: _without_clip(clips, I)},
    )


def _without_clip(rng: np.random.Generator, items: int) -> Bools:
    """[items] True for all but one record in eight, and at most `CLIPS`."""
    missing = np.ones(items, dtype=np.bool_)
    missing[rng.permutation(items)[: min(CLIPS, items // 8)]] = False
    return missing


def _styles(rng: np.random.Generator, taste: Ints, second: Ints) -> Ints:
    draw, anything = rng.random(len(taste)), rng.integers(0, _T, len(taste))
    other = np.where(draw < (1 + _TRUE_STYLE) / 2, second, anything)
    return np.where(draw < _TRUE_STYLE, taste, other)


def plant_listeners(options: DemoOptions) -> Listeners:
    """Draw the users."""
    rng, U = stream(options, "listeners"), options.users
    start = rng.dirichlet(np.full(_T, 0.22), U)
    drift = np.where(rng.random(U) < 0.3, rng.uniform(0.3, 0.8, U), 0.0)[:, None]
    joined = np.where(rng.random(U) < _FROM_THE_START, 0, rng.integers(1, MONTHS - 2, U))
    months = np.arange(MONTHS)
    trend = np.exp(rng.normal(-0.03, 0.08, U)[:, None] * months) * (months >= joined[:, None])
    activity = rng.lognormal(0, 0.7, U)[:, None] * trend
    return Listeners(
        start=start,
        end=(1 - drift) * start + drift * rng.dirichlet(np.full(_T, 0.22), U),
        joined=joined,
        activity=activity * (_EVENTS_PER_USER * U / activity.sum()),
        bias=rng.normal(0, 0.3, U),
        hidden=rng.normal(0, 1, (U, 4)),
    )


def listen(options: DemoOptions, records: Records, listeners: Listeners) -> Iterator[Month]:
    """The twelve months, one by one; nobody meets a record twice."""
    heard = np.zeros((options.users, options.items), np.bool_)
    for month in range(MONTHS):
        rng = stream(options, "events", month)
        wanted, appeal = rng.poisson(listeners.activity[:, month]), _appeal(records, month)
        parts = []
        for start in range(0, options.users, _USER_BLOCK):
            block = np.arange(start, min(start + _USER_BLOCK, options.users))
            match = _match(records, listeners, block, month)
            hidden = listeners.hidden[block] @ records.hidden.T / 2
            logits = np.where(heard[block], -np.inf, _TASTE_WEIGHT * match + _HIDDEN_WEIGHT * hidden + appeal)
            rows, items = _choose(rng, logits, wanted[block])
            heard[block[rows], items] = True
            parts.append((block[rows], items, match[rows, items]))
        choices = _Choices(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        yield _dated(rng, month, choices, _ratings(rng, records, listeners, choices))


@dataclass(frozen=True)
class _Choices:
    """What a block of users takes in one month: [e] each."""

    users: Ints
    items: Ints
    match: Floats


def _choose(rng: np.random.Generator, logits: Floats, wanted: Ints) -> tuple[Ints, Ints]:
    """(rows, items): `wanted[b]` items in proportion to exp(logits[b]), each once, by Gumbel's trick."""
    noisy = logits + rng.gumbel(size=logits.shape)
    count = np.minimum(wanted, np.isfinite(noisy).sum(axis=1))
    order = np.argsort(-noisy, axis=1, kind="stable")[:, : max(int(count.max()), 1)]
    taken = np.arange(order.shape[1]) < count[:, None]
    return np.nonzero(taken)[0], order[taken]


def _match(records: Records, listeners: Listeners, users: Ints, month: int) -> Floats:
    """[B, I] how well tastes agree in that month, 0..1."""
    part = month / (MONTHS - 1)
    tastes = (1 - part) * listeners.start[users] + part * listeners.end[users]
    match: Floats = tastes @ records.mixture.T
    return match


def _appeal(records: Records, month: int) -> Floats:
    """[I] what draws everyone: popularity and freshness; -inf for a record that is not out yet."""
    age = month - records.release
    fresh = np.select([age == 0, age == 1], _FRESHNESS, 0.0) * (month > 0)
    appeal: Floats = np.where(age < 0, -np.inf, records.popularity + fresh)
    return appeal


def _ratings(rng: np.random.Generator, records: Records, listeners: Listeners, choices: _Choices) -> Ints:
    noise = rng.normal(0, 0.65, len(choices.users))
    personal = listeners.bias[choices.users] + records.quality[choices.items]
    return np.clip(np.rint(2.9 + 2.0 * choices.match + personal + noise), 1, 5).astype(np.int64)


def _dated(rng: np.random.Generator, month: int, choices: _Choices, ratings: Ints) -> Month:
    """Spread a month's interactions over it, more of them in the evening, and put them in order."""
    users, items = choices.users, choices.items
    first = np.datetime64(FIRST_MONTH, "M") + month
    start, end = first.astype("datetime64[s]"), (first + 1).astype("datetime64[s]")
    days = int((end - start).astype(np.int64)) // 86_400
    evening = np.clip(rng.normal(19 * 3600, 3 * 3600, len(users)), 0, 86_399).astype(np.int64)
    times = start + (rng.integers(0, days, len(users)) * 86_400 + evening)
    order = np.lexsort((items, users, times))
    return Month(users[order], items[order], times[order], ratings[order])
