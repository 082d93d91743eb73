"""Ready-made feature matrices, aligned with the catalogue by item id.

Reading such a file and knowing which row is which item is the source's work (`ingest.matrices`). A row that is
all zero counts as failed, which is what publishers mean by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from mrs_pipeline.encoders.base import Content, Encoder, Surroundings, bytes_digest
from mrs_pipeline.encoders.options import EncoderOptions, feature_set_name
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import FloatArray


class IdentityOptions(EncoderOptions):
    """A matrix that somebody else has computed, aligned with this catalogue."""

    encoder: Literal["identity"]
    matrix: str
    """Name of one of the source's ready matrices."""


class IdentityEncoder(Encoder):
    """Row i of the result is the ready row of item i."""

    Options = IdentityOptions

    def __init__(self, options: IdentityOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        if surroundings.matrix is None:
            raise InputError(
                f"features: {feature_set_name(options)} reads the matrix '{options.matrix}', which the source "
                f"does not have; put the file into the source's folder or correct the name"
            )
        self._matrix = surroundings.matrix

    @property
    def dimensions(self) -> int:
        """Columns of the ready matrix."""
        return int(self._matrix.values.shape[1])

    def prepare(self, items: pl.DataFrame) -> None:
        """Find the row of each item; InputError if there is none at all: then the ids are of another kind."""
        ready = pl.DataFrame({"item_id": pl.Series(self._matrix.item_ids, dtype=pl.String)}).with_row_index(
            "row"
        )
        ids = items.select(pl.col("item_id").cast(pl.String))
        self._rows = ids.join(ready, on="item_id", how="left", maintain_order="left")["row"].cast(pl.String)
        if self._rows.null_count() == len(items):
            raise InputError(
                f"matrix '{self._matrix.name}': none of its {len(ready)} item ids is in the catalogue (whose first "
                f"is '{ids['item_id'][0]}'); check the column or file with the item ids, or the order of rows"
            )

    def references(self, items: pl.DataFrame) -> pl.Series:
        """Row numbers in the ready matrix."""
        return self._rows.gather(items["item"])

    def loader(self) -> "_RowLoader":
        """Reads one row."""
        return _RowLoader(self._matrix.values)

    def encode(self, payloads: Sequence[FloatArray]) -> FloatArray:
        """[B, F] the rows themselves."""
        return np.stack(payloads)


@dataclass(frozen=True)
class _RowLoader:
    values: npt.NDArray[Any]

    def read(self, reference: str) -> Content:
        row = np.ascontiguousarray(self.values[int(reference)])
        return Content(bytes_digest(row.data), row.nbytes, row)

    def decode(self, content: Content) -> FloatArray:
        row: FloatArray = content.data.astype(np.float32)
        return row
