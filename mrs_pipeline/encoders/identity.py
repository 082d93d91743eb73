"""Ready-made feature matrices aligned with the catalogue: npy, CSV or Parquet, by item id or by row order.

Where such a file lies and which row is which item is the source's knowledge (`ReadyMatrix`). A row that is
all zero or holds a non-finite value counts as failed, which is what publishers mean by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mrs_pipeline.encoders.base import Content, Encoder, bytes_digest
from mrs_pipeline.encoders.options import IdentityOptions
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import FloatArray


@dataclass(frozen=True)
class ReadyMatrix:
    """A matrix file and how its rows are told apart.

    Attributes:
        path: `.npy` (two dimensions), `.csv` or `.parquet` (numeric columns, or one column of equal-length
            lists).
        id_column: the column with the item ids (CSV, Parquet).
        row_ids: [rows] item id of each row, where the order of rows says it.
    """

    path: Path
    id_column: str | None = None
    row_ids: Sequence[str] | None = None

    @cached_property
    def _table(self) -> pl.DataFrame:
        try:
            if self.path.suffix == ".parquet":
                return pl.read_parquet(self.path)
            return pl.read_csv(self.path, infer_schema_length=None)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(
                f"{self.path}: cannot be read as a feature matrix ({error}); check the file"
            ) from error

    @cached_property
    def values(self) -> npt.NDArray[Any]:
        """[rows, F]; npy files stay on disk and are mapped."""
        if self.path.suffix == ".npy":
            return self._mapped()
        if self.path.suffix not in (".csv", ".parquet"):
            raise InputError(
                f"{self.path}: feature matrices are read from .npy, .csv and .parquet files only"
            )
        column = self._id_column()
        return self._numbers(self._table if column is None else self._table.drop(column))

    def _mapped(self) -> npt.NDArray[Any]:
        try:
            values: npt.NDArray[Any] = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{self.path}: cannot be read as a NumPy matrix ({error}); check the file"
            ) from error
        if values.ndim != 2 or values.dtype.kind not in "fiu":
            raise InputError(
                f"{self.path}: holds {values.dtype} of shape {values.shape}; a feature matrix is numeric "
                f"with two dimensions (rows, features)"
            )
        return values

    def _numbers(self, table: pl.DataFrame) -> npt.NDArray[Any]:
        if table.width == 1 and isinstance(table.dtypes[0], pl.Array | pl.List):
            return self._stacked(table.to_series())
        for name, dtype in table.schema.items():
            if not dtype.is_numeric():
                raise InputError(
                    f"{self.path}: column '{name}' holds {dtype}, not numbers; "
                    f"name it as id_column or remove it"
                )
        return table.cast(pl.Float32).fill_null(float("nan")).to_numpy()

    def _stacked(self, vectors: pl.Series) -> npt.NDArray[Any]:
        lengths = vectors.list.len() if isinstance(vectors.dtype, pl.List) else None
        if lengths is not None and lengths.n_unique() != 1:
            raise InputError(
                f"{self.path}: the vectors of column '{vectors.name}' differ in length; they must not"
            )
        return np.array(vectors.to_list(), dtype=np.float32)

    def _id_column(self) -> str | None:
        if self.id_column is not None and self.id_column not in self._table.columns:
            raise InputError(
                f"{self.path}: has no column '{self.id_column}' with item ids; its columns are "
                f"{', '.join(self._table.columns[:10])}"
            )
        return self.id_column

    def ids(self) -> pl.Series:
        """[rows] item ids; InputError if they are unknown, too few, too many, or repeated."""
        column = None if self.path.suffix == ".npy" else self._id_column()
        if column is not None:
            ids = self._table[column].cast(pl.String)
        elif self.row_ids is not None:
            ids = pl.Series(self.row_ids, dtype=pl.String)
        else:
            raise InputError(
                f"{self.path}: nothing says which row is which item; give id_column or a row order"
            )
        return self._checked(ids.rename("item_id"))

    def _checked(self, ids: pl.Series) -> pl.Series:
        if len(ids) != len(self.values):
            raise InputError(
                f"{self.path}: has {len(self.values)} rows for {len(ids)} item ids; "
                f"the two must be equal in number"
            )
        repeated = ids.filter(ids.is_duplicated() & ids.is_not_null())
        if len(repeated):
            raise InputError(
                f"{self.path}: item id '{repeated[0]}' occurs more than once; keep one row an item"
            )
        return ids


class IdentityEncoder(Encoder):
    """Row i of the result is the ready row of item i."""

    def __init__(self, options: IdentityOptions, matrix: ReadyMatrix) -> None:
        super().__init__(options)
        self._matrix = matrix

    @property
    def dimensions(self) -> int:
        """Columns of the ready matrix."""
        return int(self._matrix.values.shape[1])

    def prepare(self, items: pl.DataFrame) -> None:
        """Find the row of each item; InputError if there is none at all: then the ids are of another kind."""
        ready = self._matrix.ids().to_frame().with_row_index("row").drop_nulls()
        ids = items.select(pl.col("item_id").cast(pl.String))
        self._rows = ids.join(ready, on="item_id", how="left", maintain_order="left")["row"].cast(pl.String)
        if self._rows.null_count() == len(items):
            raise InputError(
                f"{self._matrix.path}: none of its {len(ready)} item ids is in the catalogue (whose first is "
                f"'{ids['item_id'][0]}'); check the id column or the row order"
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
