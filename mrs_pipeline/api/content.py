"""Item features from what people have at hand: arrays, tables, texts, folders of media."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import TypeAdapter, ValidationError

from mrs_pipeline.api.frames import as_series, checked_ids
from mrs_pipeline.api.ids import Ids
from mrs_pipeline.encoders.engine import extract
from mrs_pipeline.encoders.options import EncoderOptions
from mrs_pipeline.encoders.registry import FeatureOptions
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.encoders.store import MATRIX, PRESENT
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import FeatureMatrix

_ADAPTER: TypeAdapter[EncoderOptions] = TypeAdapter(FeatureOptions)


def from_array(name: str, values: npt.ArrayLike, ids: Any, items: Ids) -> FeatureMatrix:
    """Rows of numbers, each belonging to the item named in the same place of `ids`.

    A row without any finite number is missing; so is every item without a row. Rows of items outside the catalogue
    are left out.

    Raises:
        InputError: the shapes do not fit, an id comes twice, none is known, or a row is partly NaN or infinite.
    """
    what = f"features '{name}'"
    array = np.asarray(values)
    rows = checked_ids(as_series(ids, f"the ids of {what}"), f"the ids of {what}")
    if array.ndim != 2 or array.dtype.kind not in "fiub" or not array.shape[1]:
        raise InputError(
            f"{what} must be a table of numbers, rows by columns, not {array.dtype} of shape {array.shape}"
        )
    if len(array) != len(rows):
        raise InputError(f"{what} has {len(array)} rows, but {len(rows)} ids; give one id a row")
    if rows.n_unique() < len(rows):
        raise InputError(f"{what} has two rows for item {rows.filter(rows.is_duplicated())[0]!r}; keep one")
    place = items.find(rows, f"the ids of {what}")
    if not (place >= 0).any():
        raise InputError(
            f"{what}: none of its {len(rows)} ids is an item of the dataset, such as {items.values[0]!r}; check "
            "them, or list further items with `items=`"
        )
    array, place = array[place >= 0], place[place >= 0]
    finite = np.isfinite(array)
    broken = finite.any(axis=1) & ~finite.all(axis=1)
    if broken.any():
        item = items.values[int(place[np.flatnonzero(broken)[0]])]
        raise InputError(
            f"{what}: the row of item {item!r} is partly NaN or infinite; fill it, or leave the row out"
        )
    return _aligned(name, array, finite.all(axis=1), place, len(items))


def _aligned(
    name: str,
    rows: npt.NDArray[Any],
    usable: npt.NDArray[np.bool_],
    place: npt.NDArray[np.int64],
    n_items: int,
) -> FeatureMatrix:
    present = np.zeros(n_items, dtype=np.bool_)
    present[place[usable]] = True
    values = np.zeros((n_items, rows.shape[1]), dtype=np.float32)
    values[place[usable]] = rows[usable]
    return FeatureMatrix(values, present, name)


def from_frame(name: str, frame: pl.DataFrame, items: Ids) -> FeatureMatrix:
    """A table with the item's id and either one column of vectors or columns of numbers; nulls are missing.

    Raises:
        InputError: the columns are of other types, or vectors differ in length; further as `from_array`.
    """
    columns = frame.drop(items.name)
    vectors = [each for each in columns if isinstance(each.dtype, pl.Array | pl.List)]
    if len(vectors) == 1 and columns.width == 1:
        return from_array(name, _vectors(name, vectors[0]), frame[items.name], items)
    texts = [each.name for each in columns if not (each.dtype.is_numeric() or each.dtype == pl.Boolean)]
    if texts or not columns.width:
        found = f"column '{texts[0]}' is {columns[texts[0]].dtype}" if texts else "there is no other column"
        raise InputError(
            f"features '{name}' need numbers beside '{items.name}', but {found}; name an `encoder=` for texts and "
            "media, or drop the column"
        )
    numbers = columns.select(pl.all().cast(pl.Float32).fill_null(float("nan"))).to_numpy()
    return from_array(name, numbers, frame[items.name], items)


def _vectors(name: str, column: pl.Series) -> npt.NDArray[np.float32]:
    lists = column.cast(pl.List(pl.Float32)) if isinstance(column.dtype, pl.Array) else column
    widths = lists.list.len().drop_nulls().unique()
    if len(widths) != 1:
        raise InputError(
            f"features '{name}': vectors in column '{column.name}' differ in length ({widths.sort().to_list()[:4]}); "
            "make them one"
        )
    width = int(widths[0])
    try:
        fixed = lists.cast(pl.Array(pl.Float32, width))
    except pl.exceptions.PolarsError as error:
        raise InputError(f"features '{name}': column '{column.name}' holds no vectors of numbers") from error
    values = np.full((len(column), width), np.nan, dtype=np.float32)
    there = column.is_not_null().to_numpy()
    values[there] = fixed.drop_nulls().to_numpy()
    return values


def encoder_options(modality: str, encoder: str, options: Mapping[str, Any]) -> EncoderOptions:
    """Settings of an encoder, as an entry of `features:` would give them; InputError says what does not fit."""
    try:
        return _ADAPTER.validate_python({"modality": modality, "encoder": encoder, **options})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        words = first["msg"].removeprefix("Value error, ")
        raise InputError(
            f"encoder '{encoder}' for {modality}{f', {place}' if place else ''}: {words}"
        ) from error


def encoded(
    options: EncoderOptions, items: Ids, columns: pl.DataFrame, media_root: Path, workers: int | None
) -> FeatureMatrix:
    """What an encoder makes of texts or media; items without content, or whose content is unusable, are missing.

    Args:
        options: of the encoder.
        items: the catalogue.
        columns: texts, or paths below `media_root`, with a row an item of the catalogue in its order.
        media_root: folder of the media.
        workers: processes that decode; 0 for none, None for one a core where it pays.
    """
    numbered = pl.DataFrame({"item": np.arange(len(items)), "item_id": items.texts()})
    with tempfile.TemporaryDirectory() as work:
        directory = Path(work) / "features"
        settings = EngineSettings(workers=workers)
        report = extract(options, numbered.hstack(columns), media_root, directory, settings=settings)
        if not report.present:
            first = f": {report.failed[0].path}: {report.failed[0].reason}" if report.failed else ""
            raise InputError(f"features '{report.name}': no item has usable content{first}")
        return FeatureMatrix(
            np.load(directory / MATRIX, allow_pickle=False),
            np.load(directory / PRESENT, allow_pickle=False),
            report.name,
        )


def files_by_item(folder: Path, modality: str, items: Ids) -> pl.Series:
    """[items] the file of each item below `folder`, named by its id; null where there is none.

    Raises:
        InputError: there is no such folder, no file fits an item, or two files have one item's name.
    """
    from mrs_pipeline.database import connect
    from mrs_pipeline.ingest.media import from_folder

    root = folder.resolve()
    if not root.is_dir():
        raise InputError(f"there is no folder {folder}; name the one with the {modality} files")
    with connect() as con:
        table = from_folder(con, root.parent, modality, root.name)
        assert table is not None
        found = con.sql(f'SELECT key, path FROM "{table.name}"').pl()
    wanted = pl.DataFrame({"key": items.texts()}, schema={"key": pl.String})
    paths = wanted.join(found, on="key", how="left", maintain_order="left")["path"]
    if not len(paths) or paths.null_count() == len(paths):
        raise InputError(
            f"{folder} holds no {modality} file named by an item of the dataset (such as {items.texts()[0]!r} with an "
            "ending); name the files by item, or give a table with their paths and `folder=`"
        )
    return paths.rename(modality)
