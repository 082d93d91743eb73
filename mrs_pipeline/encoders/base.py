"""What an encoder is: it points at content, loads it (perhaps elsewhere), and turns batches into vectors.

Two kinds. A row-wise encoder looks at one item at a time, so a row stays valid while its content does. A
fitted one (`FittedEncoder`) learns from the whole corpus first, so every row depends on all of them. Files,
chunks, processes and resuming belong to `engine.py`; an encoder knows of none.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from mrs_pipeline.deciding import deciding
from mrs_pipeline.encoders.options import EncoderOptions
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import FloatArray, IntArray

Payload = Any
"""Loaded content on its way from `Loader.decode` to `Encoder.encode`; each encoder knows its own type."""


Box = tuple[float, float, float, float]
"""Left, top, right and bottom of a part of a picture, in shares of its sides; beyond 0 and 1 where it is padded."""


class ContentError(Exception):
    """The content of one item cannot be used; the message is the reason that quarantine shows."""


@dataclass(frozen=True)
class Content:
    """Raw content of one item, read but not yet decoded.

    Attributes:
        digest: hexadecimal digest of the content.
        size: bytes read.
        data: text, bytes, a path or a vector: what the loader's `decode` takes.
    """

    digest: str
    size: int
    data: Any


@dataclass(frozen=True)
class ReadyMatrix:
    """A matrix that somebody else has computed, read and checked.

    Attributes:
        name: as the settings call it, for messages.
        values: [R, F] numbers, may be a memory map.
        item_ids: [R] the item of each row, each once.
    """

    name: str
    values: npt.NDArray[Any]
    item_ids: Sequence[str]


@dataclass(frozen=True)
class Surroundings:
    """What an encoder may use besides its options; none of it is part of the fingerprint.

    Attributes:
        media_root: the folder that media paths are relative to and may not leave.
        settings: device and folder of pretrained models.
        matrix: what stands behind the `matrix` of the encoder `identity`.
    """

    media_root: Path
    settings: EngineSettings = field(default_factory=EngineSettings)
    matrix: ReadyMatrix | None = None


class Loader(Protocol):
    """Reads and decodes one item; crosses process borders, so it must pickle and carry no model."""

    def read(self, reference: str) -> Content:
        """The content behind a reference, bounded in size; ContentError if it cannot be had."""
        ...

    def decode(self, content: Content) -> Payload:
        """The content as the encoder wants it, bounded before decoding; ContentError if it is none."""
        ...


class Encoder(ABC):
    """One way to turn the content of one modality into vectors."""

    Options: ClassVar[type[EncoderOptions]]
    """What an entry of `features:` may say; `encoder: Literal["<its name>"]` is one of its fields."""

    in_processes: ClassVar[bool] = False
    """Whether loading is heavy enough for worker processes."""

    def __init__(self, options: EncoderOptions, surroundings: Surroundings) -> None:
        self.options = options
        self.surroundings = surroundings

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """F, the width of the vectors; for a fitted encoder known once it is fitted."""

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides a vector besides the item's content."""
        settings = json.dumps({**deciding(self.options), **self.made_with}, sort_keys=True)
        return texts_digest(settings, self.surroundings.settings.code, *self.ingredients())

    def ingredients(self) -> Sequence[str]:
        """What decides the vectors besides the options, for example digests of weights."""
        return ()

    @property
    def made_with(self) -> Mapping[str, str]:
        """What decides the vectors and is told to people: weights, and what the options leave to the machine."""
        return {}

    def keep(self, made_with: Mapping[str, str]) -> None:  # noqa: B027 - most encoders leave nothing to the machine
        """Choose what the options leave to the machine as it was for stored rows; empty for none stored."""

    def check_settings(self) -> None:  # noqa: B027 - most encoders accept whatever their options accept
        """Called before any work; InputError if the settings cannot be met, for example by the model named."""

    def prepare(self, items: pl.DataFrame) -> None:  # noqa: B027 - most encoders have nothing to look at
        """Look at the whole catalogue before any work; InputError if the settings cannot fit it."""

    @abstractmethod
    def references(self, items: pl.DataFrame) -> pl.Series:
        """Where the content of each item lies, [rows] of strings, null where the item has none."""

    @abstractmethod
    def loader(self) -> Loader:
        """What reads and decodes one reference."""

    @property
    def window(self) -> int:
        """Payloads gathered before they are cut into batches."""
        return self.options.batch_size

    def arrange(self, payloads: Sequence[Payload]) -> Sequence[Payload]:
        """A last look at a window's payloads together, before it is cut into batches (tokenising, say)."""
        return payloads

    def batches(self, payloads: Sequence[Payload]) -> list[IntArray]:
        """Positions of `payloads`, cut into batches; together they cover each position once."""
        size = self.options.batch_size
        return [np.arange(at, min(at + size, len(payloads))) for at in range(0, len(payloads), size)]

    def seen_part(self, width: int, height: int) -> Box | None:  # noqa: ARG002
        """What of a picture of that size the grid of regions covers; None where that is not known."""
        return None

    @abstractmethod
    def encode(self, payloads: Sequence[Payload]) -> FloatArray:
        """[B, F] float32. A row of zeros or with a non-finite value means: nothing can be made of it."""


class FittedEncoder(Encoder):
    """An encoder that learns from all present items before it can encode any."""

    corpus: str = ""
    """Digest of the corpus, set by the engine before anything else is asked."""

    def ingredients(self) -> Sequence[str]:
        """The corpus decides every vector."""
        return (self.corpus,)

    @abstractmethod
    def fit(self, payloads: Iterable[Payload], n_payloads: int) -> None:
        """Learn from the present items in their order; InputError if nothing can be learned."""


def texts_digest(*parts: str) -> str:
    """Hexadecimal digest of strings; where one ends and the next begins counts."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode()
        state.update(len(encoded).to_bytes(8, "little") + encoded)
    return state.hexdigest()


def bytes_digest(data: bytes | memoryview) -> str:
    """Hexadecimal digest of one item's content."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def require_columns(options: EncoderOptions, items: pl.DataFrame, columns: Sequence[str]) -> None:
    """InputError naming the first of `columns` that the item table lacks."""
    for column in columns:
        if column not in items.columns:
            have = ", ".join(items.columns)
            raise InputError(
                f"features: {options.modality} encoder {options.encoder} reads the item column "
                f"'{column}', which does not exist; the item table has {have}: "
                f"correct the entry or the source's column names"
            )
