"""Items that training has not seen: from a text, a picture, a sound to a vector of the model, without any training.

The content is encoded as the catalogue's was; the model is built once more with the item as one that has no
interactions, and gets its trained weights (`fitting.with_new_items`). An item's vector is then what it would have been
had it been in the catalogue, cold, from the start, but for what others' neighbours would have made of it.
"""

import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from mrs_pipeline.encoders.base import ContentError, Encoder, FittedEncoder
from mrs_pipeline.encoders.identity import IdentityOptions
from mrs_pipeline.encoders.options import TextOptions
from mrs_pipeline.encoders.registry import open_encoder
from mrs_pipeline.errors import InputError
from mrs_pipeline.fitting import takes_new_items, with_new_items
from mrs_pipeline.serving.bundle import Bundle
from mrs_pipeline.tasks.files import engine_settings
from mrs_pipeline.types import FeatureMatrix, FloatArray

MOST: Final = 1000
"""New items that are held; what is more belongs in the catalogue."""


class TakenError(InputError):
    """An id that the catalogue has already."""


@dataclass(frozen=True)
class NewItem:
    """An item that was added while serving.

    Attributes:
        item_id: its id.
        title: as it was given.
        content: modality -> encoded row [F].
        vector: [D] of the model.
        picture: the picture as it was sent; None without one.
    """

    item_id: str
    title: str | None
    content: Mapping[str, FloatArray]
    vector: FloatArray
    picture: bytes | None = None


@dataclass(frozen=True)
class Newcomers:
    """The items that were added while serving, for one bundle; never changed, each addition makes another."""

    items: Mapping[str, NewItem] = field(default_factory=dict)

    @property
    def ids(self) -> frozenset[str]:
        """Their ids."""
        return frozenset(self.items)

    def plus(self, item: NewItem) -> "Newcomers":
        """With one more, in the place of one of the same id.

        Raises:
            InputError: there are too many.
        """
        if len(self.items) >= MOST and item.item_id not in self.items:
            raise InputError(
                f"{MOST} items have been added; add them to the catalogue and run the pipeline again"
            )
        return Newcomers({**self.items, item.item_id: item})


class ContentEncoders:
    """The encoders of a dataset's feature sets, opened when they are first asked; one item at a time."""

    def __init__(self, bundle: Bundle) -> None:
        self._stage, self._shelf = bundle.stage, bundle.shelf
        self._open: dict[str, Encoder] = {}
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="mrs-upload-")

    def encode(self, texts: Mapping[str, str], media: Mapping[str, bytes]) -> dict[str, FloatArray]:
        """Modality -> row [F] of one item; modalities of which nothing was given are absent.

        Args:
            texts: column of the catalogue -> text.
            media: modality -> the bytes of a file.

        Raises:
            InputError: a content cannot be used; the sentence is the encoder's.
        """
        found = {}
        with self._lock:  # encoders keep state while they work
            for modality, sets in self._stage.config.model_features.items():
                row = self._row(sets[0], texts, media)
                if row is not None:
                    found[modality] = row
        return found

    def close(self) -> None:
        """Remove what was uploaded."""
        self._folder.cleanup()

    def _row(self, name: str, texts: Mapping[str, str], media: Mapping[str, bytes]) -> FloatArray | None:
        options = self._stage.config.feature(name)
        modality = str(options.modality)
        if isinstance(options, IdentityOptions):
            return None
        if isinstance(options, TextOptions):
            columns = {column: texts.get(column) for column in options.columns}
            if not any(columns.values()):
                return None
            return self._encoded(name, pl.DataFrame({"item": [0], **columns}), modality)
        if not media.get(modality):
            return None
        path = Path(self._folder.name) / f"{modality}.upload"
        path.write_bytes(media[modality])
        column = getattr(options, "column", None) or modality
        try:
            return self._encoded(name, pl.DataFrame({"item": [0], column: [path.name]}), modality)
        finally:
            path.unlink()

    def _encoded(self, name: str, item: pl.DataFrame, modality: str) -> FloatArray:
        encoder = self._encoder(name)
        reference = encoder.references(item)[0]
        if reference is None:
            raise InputError(f"{modality}: nothing was given")
        loader = encoder.loader()
        try:
            payloads = encoder.arrange([loader.decode(loader.read(reference))])
        except ContentError as error:
            raise InputError(f"{modality}: {error}") from error
        row = np.asarray(encoder.encode(payloads)[0], dtype=np.float32)
        if not np.isfinite(row).all() or not row.any():
            raise InputError(f"{modality}: the encoder finds nothing in it")
        return row

    def _encoder(self, name: str) -> Encoder:
        if name not in self._open:
            options = self._stage.config.feature(name)
            encoder = open_encoder(options, Path(self._folder.name), engine_settings(self._stage))
            if isinstance(
                encoder, FittedEncoder
            ):  # learned from the catalogue, as it was when it was encoded
                references = encoder.references(self._shelf.items).drop_nulls()
                encoder.fit(_texts(encoder, references), len(references))
            self._open[name] = encoder
        return self._open[name]


def _texts(encoder: Encoder, references: pl.Series) -> Iterator[object]:
    loader = encoder.loader()
    return (loader.decode(loader.read(reference)) for reference in references)


def new_item(
    bundle: Bundle,
    item_id: str,
    content: Mapping[str, FloatArray],
    title: str | None = None,
    picture: bytes | None = None,
) -> NewItem:
    """The item with its vector of the model.

    Raises:
        InputError: the model takes no new items, has nothing to go by, or the id is taken.
    """
    if item_id in bundle.shelf.places:
        raise TakenError(f"there is an item '{item_id}' already; give the new one another id")
    reason = takes_new_items(bundle.model)
    if reason:
        raise InputError(reason)
    known = {name: row for name, row in content.items() if name in bundle.data.features}
    if not known:
        wanted = ", ".join(bundle.data.features)
        raise InputError(f"{bundle.name} goes by {wanted}; give at least one of them")
    rows = {}
    for name, matrix in bundle.data.features.items():
        values = np.zeros((1, matrix.values.shape[1]), np.float32)
        if name in known:
            values[0] = known[name]
        rows[name] = FeatureMatrix(values, np.array([name in known]), name)
    grown = with_new_items(bundle.model, bundle.data, rows)
    import torch

    with torch.no_grad():
        vector = grown.representations()[1][-1].cpu().numpy().astype(np.float32)
    return NewItem(item_id, title, content, vector, picture)
