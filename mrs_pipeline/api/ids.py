"""The ids of users or of items, and the dense numbers that models know them by."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from mrs_pipeline.api.frames import as_series, checked_ids
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import IntArray

_SHOWN = 3


@dataclass(frozen=True)
class Ids:
    """Distinct ids in ascending order; the id in row n has the number n.

    Attributes:
        name: the column's name in the user's own tables, and in those that come back.
        values: [n] ids of the user's own type.
    """

    name: str
    values: pl.Series

    @classmethod
    def of(cls, name: str, *parts: pl.Series) -> "Ids":
        """The distinct ids of some columns; InputError where their types differ."""
        checked = [checked_ids(part, f"the column '{name}'") for part in parts]
        first = checked[0]
        same = [_cast(part, first.dtype, f"the column '{name}'") for part in checked]
        return cls(name, pl.concat([part.rename(name) for part in same]).unique().sort())

    def __len__(self) -> int:
        return len(self.values)

    def numbers(self, ids: Any, what: str) -> IntArray:
        """[rows] int64 the number of each id; InputError names some that are not known."""
        given = checked_ids(as_series(ids, what), what)
        found = self.find(given, what)
        unknown = found < 0
        if unknown.any():
            strangers = given.filter(pl.Series(unknown)).unique(maintain_order=True)
            shown = ", ".join(repr(each) for each in strangers.head(_SHOWN).to_list())
            more = f" and {len(strangers) - _SHOWN} more" if len(strangers) > _SHOWN else ""
            raise InputError(f"{what}: {self.name} {shown}{more} is not among the {len(self)} that are known")
        return found

    def find(self, ids: pl.Series, what: str) -> IntArray:
        """[rows] int64 the number of each id, -1 for one that is not known."""
        known = self.values.to_frame("id").with_row_index("number")
        asked = (
            _cast(ids, self.values.dtype, what).to_frame("id")
            if len(ids)
            else self.values.head(0).to_frame("id")
        )
        rows = asked.join(known, on="id", how="left", maintain_order="left")
        return np.asarray(rows["number"].cast(pl.Int64).fill_null(-1).to_numpy())

    def column(self, numbers: IntArray) -> pl.Series:
        """[rows] the ids of some numbers."""
        return self.values.gather(pl.Series(numbers)).rename(self.name)

    def texts(self) -> list[str]:
        """[n] the ids as text, as encoders and files name items."""
        return self.values.cast(pl.String).to_list()


def _cast(ids: pl.Series, wanted: pl.DataType, what: str) -> pl.Series:
    if ids.dtype == wanted:
        return ids
    if ids.dtype.is_integer() and wanted.is_integer():
        return ids.cast(wanted, strict=False)  # what does not fit is no known id
    raise InputError(
        f"{what} is of type {ids.dtype}, but the ids that are known are {wanted}; convert one of them"
    )
