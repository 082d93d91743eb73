"""Interactions and content with the user's own ids, and how they are split. What a model is given is made here."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import ValidationError

from mrs_pipeline.api.content import encoded, encoder_options, files_by_item, from_array, from_frame
from mrs_pipeline.api.frames import AnyTable, as_frame, as_series, column, seconds
from mrs_pipeline.api.ids import Ids
from mrs_pipeline.encoders.options import EncoderOptions
from mrs_pipeline.errors import InputError
from mrs_pipeline.schema import SPLIT_LABELS
from mrs_pipeline.splits.labelling import label
from mrs_pipeline.splits.labels import LabelArray
from mrs_pipeline.splits.options import SplitOptions
from mrs_pipeline.taxonomy import Modality
from mrs_pipeline.types import FeatureMatrix, Interactions, TrainingData

_USER, _ITEM, _TIME, _GIVEN = "user", "item", "time", "given"


@dataclass(frozen=True, repr=False, eq=False)
class Dataset:
    """What users did, what items are like, and which rows train, validate and test. Never changed: each step is new.

    Made by `Dataset.of`.
    """

    users: Ids
    items: Ids
    rows: pl.DataFrame
    """user, item (dense numbers), time where known, given where the source has labels; by user, time and item."""
    features: Mapping[str, FeatureMatrix] = field(default_factory=dict)
    """Modality -> matrix, row n is item n."""
    labels: LabelArray | None = None
    """[rows] positions in `schema.SPLITS`, -1 for rows that take no part; None before `split`."""

    @classmethod
    def of(
        cls,
        interactions: AnyTable,
        *,
        user: str = "user_id",
        item: str = "item_id",
        time: str | None = None,
        rating: str | None = None,
        min_rating: float | None = None,
        split: str | None = None,
        items: Any = None,
        deduplicate: Literal["last", "first", "none"] = "last",
    ) -> Self:
        """A dataset of interactions, one a row, in any order.

        Args:
            interactions: Polars, pandas or Arrow table, or a dictionary of columns.
            user: column of the users; strings or whole numbers.
            item: column of the items.
            time: column of dates, datetimes or numbers; sequence models and splits by time need it.
            rating: column of ratings, for `min_rating`.
            min_rating: lowest rating that counts as liking; rows below are left out.
            split: column that says `train`, `valid` or `test` of each row; `split` draws them otherwise.
            items: further items of the catalogue, ids or a table with the column `item`; without interactions they are
                cold.
            deduplicate: which of several rows of one user with one item stays.

        Raises:
            InputError: a column is absent or holds what it cannot, or no row is left.
        """
        frame = as_frame(interactions, "the interactions")
        if (rating is None) != (min_rating is None):
            raise InputError(
                "`rating` names the column and `min_rating` the lowest that counts; give both or neither"
            )
        if rating is not None:
            frame = frame.filter(column(frame, rating, "the interactions") >= min_rating)
        named = {
            user: "user",
            item: "item",
            **({time: "time"} if time else {}),
            **({split: "split"} if split else {}),
        }
        if len(named) < 2 + bool(time) + bool(split):
            raise InputError("`user`, `item`, `time` and `split` must name different columns")
        columns = {name: column(frame, name, "the interactions") for name in named}
        if frame.is_empty():
            raise InputError("the interactions have no row (left); check the table, or lower `min_rating`")
        users, catalogue = Ids.of(user, columns[user]), Ids.of(item, columns[item], *_further(items, item))
        rows = pl.DataFrame(
            {
                _USER: users.find(_plain(columns[user]), user),
                _ITEM: catalogue.find(_plain(columns[item]), item),
            }
        )
        if time:
            rows = rows.with_columns(pl.Series(_TIME, seconds(columns[time], f"the column '{time}'")))
        if split:
            rows = rows.with_columns(columns[split].cast(pl.String).alias(_GIVEN))
        rows = _in_order(_once(rows, deduplicate))
        dataset = cls(users, catalogue, rows)
        return dataset.split("given") if split else dataset

    def with_features(
        self,
        modality: str,
        source: Any,
        *,
        ids: Any = None,
        encoder: str | None = None,
        folder: str | Path | None = None,
        workers: int | None = 0,
        **options: Any,
    ) -> Self:
        """This dataset with features of one modality; what it had of that modality before is replaced.

        `source` is one of:

        - an array [n, F], with the item of each row in `ids`;
        - a table with the item column and either columns of numbers or one column of vectors;
        - a table with the item column and texts, with an `encoder`, such as `encoder="tfidf_svd", columns=["title"]`;
        - a folder of files named by item, with an `encoder`, such as `encoder="color_gradient"`;
        - a table with the item column and a column of paths below `folder`, called as the modality, with an `encoder`.

        Items without a row, text or file are missing: models mask them.

        Args:
            modality: text, image, audio or video.
            source: see above.
            ids: the item of each row of an array.
            encoder: as `encoder:` in a defs.yaml.
            folder: what paths in a table are relative to and may not leave.
            workers: processes that decode media; 0 for none, None for one a core where it pays.
            options: further settings of the encoder.

        Raises:
            InputError: source, ids and encoder do not fit together; the sentence says what to change.
        """
        if modality not in tuple(Modality):
            raise InputError(f"there is no modality '{modality}'; there are {', '.join(Modality)}")
        if encoder is not None:
            settings = encoder_options(modality, encoder, options)
            matrix = self._encoded(settings, source, folder, workers)
        elif options or folder is not None:
            raise InputError(
                f"{next(iter(options), 'folder')}= is a setting of an encoder; name one with `encoder=`"
            )
        elif isinstance(source, str | Path):
            raise InputError("a folder needs an `encoder=`, for instance encoder='color_gradient' for images")
        elif ids is not None:
            matrix = from_array(modality, source, ids, self.items)
        elif isinstance(source, np.ndarray):
            raise InputError("an array needs `ids=`, the item of each of its rows")
        else:
            frame = as_frame(source, f"the features '{modality}'")
            column(frame, self.items.name, f"the features '{modality}'")
            matrix = from_frame(modality, frame, self.items)
        return replace(self, features={**self.features, modality: matrix})

    def split(self, strategy: str = "random", **options: Any) -> Self:
        """This dataset with every row labelled train, valid or test.

        Args:
            strategy: `random`, `leave_one_out` or `global_time`, as `split:` in a defs.yaml.
            options: `valid`, `test`, `cold_items`, `seed`.

        Raises:
            InputError: there is no such strategy or setting, or the rows lack what it needs.
        """
        try:
            chosen = SplitOptions.model_validate({"strategy": strategy, **options})
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "split"
            raise InputError(f"split, {place}: {first['msg'].removeprefix('Value error, ')}") from error
        given = self.rows[_GIVEN].to_list() if _GIVEN in self.rows.columns else None
        labelled = label(chosen, self._numbers(_USER), self._numbers(_ITEM), self._times(), given)
        return replace(self, labels=labelled.labels)

    @property
    def train(self) -> pl.DataFrame:
        """The rows to learn from, with the user's own ids."""
        return self._part("train")

    @property
    def valid(self) -> pl.DataFrame:
        """The rows that choose epochs."""
        return self._part("valid")

    @property
    def test(self) -> pl.DataFrame:
        """The rows that `evaluate` looks for."""
        return self._part("test")

    def interactions(self, split: str) -> Interactions:
        """The rows of one split by dense number; InputError before `split`."""
        rows = self.rows.filter(self._of(split))
        users, items = (rows[name].to_numpy(writable=True) for name in (_USER, _ITEM))
        times = rows[_TIME].to_numpy(writable=True) if _TIME in rows.columns else None
        return Interactions(users, items, len(self.users), len(self.items), times)

    def training_data(self) -> TrainingData:
        """What fitting may see; no test row is among it."""
        return TrainingData(self.interactions("train"), self.interactions("valid"), dict(self.features))

    def __repr__(self) -> str:
        parts = [f"{len(self.rows)} interactions", f"{len(self.users)} users", f"{len(self.items)} items"]
        parts += [
            f"{modality} {matrix.values.shape[1]} wide for {int(matrix.present.sum())} items"
            for modality, matrix in self.features.items()
        ]
        if self.labels is not None:
            parts += [f"{int((self.labels == code).sum())} {name}" for code, name in enumerate(SPLIT_LABELS)]
        return f"Dataset({', '.join(parts)})"

    def _encoded(
        self, settings: EncoderOptions, source: Any, folder: str | Path | None, workers: int | None
    ) -> FeatureMatrix:
        modality = settings.modality
        if isinstance(source, str | Path):
            paths = files_by_item(Path(source), modality, self.items)
            root = Path(source).resolve().parent
            return encoded(settings, self.items, paths.to_frame(), root, workers)
        frame = as_frame(source, f"the source of '{modality}'")
        ids = _plain(column(frame, self.items.name, f"the source of '{modality}'"))
        if ids.n_unique() < len(ids):
            raise InputError(
                f"the source of '{modality}' has two rows for item {ids.filter(ids.is_duplicated())[0]!r}"
            )
        numbered = frame.drop(self.items.name).with_columns(
            pl.Series("item", self.items.find(ids, f"'{modality}'"))
        )
        order = pl.DataFrame({"item": np.arange(len(self.items))})
        texts = order.join(numbered, on="item", how="left", maintain_order="left").drop("item")
        if folder is None and modality != Modality.TEXT:
            raise InputError(f"paths of {modality} files need `folder=`, what they are relative to")
        return encoded(settings, self.items, texts, Path(folder or ".").resolve(), workers)

    def _of(self, split: str) -> pl.Series:
        if self.labels is None:
            raise InputError(
                "the dataset is not split yet; call `.split()`, for instance data.split('leave_one_out')"
            )
        return pl.Series(self.labels == SPLIT_LABELS.index(split))

    def _part(self, split: str) -> pl.DataFrame:
        rows = self.rows.filter(self._of(split))
        parts = [self.users.column(rows[_USER].to_numpy()), self.items.column(rows[_ITEM].to_numpy())]
        return pl.DataFrame(parts + ([rows[_TIME]] if _TIME in rows.columns else []))

    def _numbers(self, name: str) -> npt.NDArray[np.int64]:
        return np.asarray(self.rows[name].to_numpy())

    def _times(self) -> npt.NDArray[np.int64] | None:
        return self._numbers(_TIME) if _TIME in self.rows.columns else None


def _further(items: Any, name: str) -> list[pl.Series]:
    if items is None:
        return []
    if isinstance(items, pl.DataFrame | pl.LazyFrame | Mapping) or hasattr(items, "columns"):
        return [column(as_frame(items, "the items"), name, "the items")]
    return [as_series(items, "the items")]


def _plain(ids: pl.Series) -> pl.Series:
    return ids.cast(pl.String) if isinstance(ids.dtype, pl.Categorical | pl.Enum) else ids


def _once(rows: pl.DataFrame, deduplicate: str) -> pl.DataFrame:
    """One row for each pair, the last or first by time and then by row."""
    if deduplicate not in ("last", "first", "none"):
        raise InputError(f"deduplicate='{deduplicate}' is none of last, first and none")
    if deduplicate == "none":
        return rows
    ordered = rows.sort(_TIME, maintain_order=True) if _TIME in rows.columns else rows
    keep: Literal["last", "first"] = "last" if deduplicate == "last" else "first"
    return ordered.unique(subset=[_USER, _ITEM], keep=keep, maintain_order=True)


def _in_order(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort([name for name in (_USER, _TIME, _ITEM) if name in rows.columns], maintain_order=True)
