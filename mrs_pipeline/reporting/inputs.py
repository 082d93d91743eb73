"""What a report is made of: frame schemas, frozen dataclasses. No drawing, no HTML, no reading of the lake.

Every frame may be absent (`pl.DataFrame()`), except `metrics`: the report then leaves that section out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.options import COMPARED
from mrs_pipeline.tables.columns import frame_types

FrameSchema = Mapping[str, pl.DataType]

_KEYS: Final = ("dataset", "window", "model", "seed")
METRIC_FRAME: Final[FrameSchema] = frame_types(
    *_KEYS,
    "slice",
    "metric",
    "k",
    "value",
    "ci_low",
    "ci_high",
    "chance",
    "candidates",
    "n_users",
    "protocol",
    "data_digest",
    "code_digest",
    "stale",
)
"""Long: one row a (run, slice, metric, k). `slice` is all, warm, cold or new users; `stale` rows are never ranked.

A run is compared under the `protocol` of its rows of slice `all`; other slices may name theirs there."""
RUN_FRAME: Final[FrameSchema] = frame_types(
    *_KEYS,
    "cells",
    "modalities",
    "epochs",
    "best_epoch",
    "seconds",
    "seconds_per_epoch",
    "seconds_evaluation",
    "peak_memory_mb",
    "n_parameters",
    "config",
    "select_value",
    "solved",
    "trials",
)
"""One row a run; `cells`: values of `taxonomy.Cell`; `select_value`: the validation score at `best_epoch`."""
HISTORY_FRAME: Final[FrameSchema] = frame_types(*_KEYS, "epoch", "seconds:epoch", "term", "value:term")
"""Long: one row a (run, epoch, term); the term `VALID_TERM` is the selection metric on validation."""
USER_METRIC_FRAME: Final[FrameSchema] = frame_types(*_KEYS, "user")
"""Wide: one row a (run, user), with one column a metric: `recall@20`, `cold_recall@20` of the slice `cold`, ..."""
CHECK_FRAME: Final[FrameSchema] = frame_types("name", "asset", "severity", "passed", "description:check")
QUARANTINE_FRAME: Final[FrameSchema] = frame_types("reason", "rows")
SPLIT_ROWS: Final[FrameSchema] = frame_types("split", "rows")
OVER_TIME: Final[FrameSchema] = frame_types("period", "split", "rows")
"""Interactions a period (its first day) and split; periods of one length, e.g. months."""
COVERAGE_FRAME: Final[FrameSchema] = frame_types("feature_set", "present:count", "missing")
FEATURE_FRAME: Final[FrameSchema] = frame_types(
    "feature_set", "width", "effective_rank", "mean_norm", "duplicates"
)

VALID_TERM: Final = "valid"
"""The `term` of a history row that holds the validation metric instead of a loss."""

Counts = npt.NDArray[np.int64]


def conform(frame: pl.DataFrame, schema: FrameSchema, name: str) -> pl.DataFrame:
    """Give `frame` the schema's types; NaN becomes null, columns beyond the schema stay behind it.

    Args:
        frame: any frame with the schema's columns, or one without any column (then: no rows).
        schema: column -> type.
        name: what the frame is, for the message.

    Raises:
        InputError: a column is missing or cannot be read as its type.
    """
    if not frame.columns:
        return pl.DataFrame(schema=schema)
    missing = [column for column in schema if column not in frame.columns]
    if missing:
        raise InputError(
            f"The report's {name} frame lacks the column {missing[0]!r}; it needs {', '.join(schema)}."
        )
    try:
        typed = frame.with_columns(pl.col(column).cast(dtype) for column, dtype in schema.items())
    except pl.exceptions.PolarsError as error:
        raise InputError(f"The report's {name} frame holds a value of another type: {error}") from error
    return typed.select(*schema, pl.exclude(*schema)).with_columns(pl.selectors.float().fill_nan(None))


@dataclass(frozen=True)
class DataStatistics:
    """What went into one dataset's window, and what was left out.

    Attributes:
        dataset: key of the dataset.
        window: the window these numbers describe.
        rows_read: raw interaction rows read.
        rows_kept: rows in `core.interactions`.
        n_users: users that survived the filters.
        n_items: items, warm and cold.
        quarantine: `QUARANTINE_FRAME` rows.
        splits: `SPLIT_ROWS` rows.
        over_time: `OVER_TIME` rows; empty where the source has no time.
        item_counts: interactions of each item, any order.
        user_counts: interactions of each user, any order.
        coverage: `COVERAGE_FRAME` rows, one a feature set.
        features: `FEATURE_FRAME` rows, one a feature set.
    """

    dataset: str
    window: str
    rows_read: int
    rows_kept: int
    n_users: int
    n_items: int
    quarantine: pl.DataFrame = field(default_factory=pl.DataFrame)
    splits: pl.DataFrame = field(default_factory=pl.DataFrame)
    over_time: pl.DataFrame = field(default_factory=pl.DataFrame)
    item_counts: Counts = field(default_factory=lambda: np.zeros(0, np.int64))
    user_counts: Counts = field(default_factory=lambda: np.zeros(0, np.int64))
    coverage: pl.DataFrame = field(default_factory=pl.DataFrame)
    features: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def density(self) -> float:
        """Share of the user-item matrix that is filled; the report's template shows it."""
        cells = self.n_users * self.n_items
        return self.rows_kept / cells if cells else 0.0


@dataclass(frozen=True)
class ItemCard:
    """One item as the report shows it.

    Attributes:
        title: text from the catalogue, shown escaped.
        image: a `data:image/...;base64,` URI made by `thumbnails.thumbnail`, or None.
        note: a few words under the title, e.g. the reason or the score.
        hit: the item is among the user's held-out ones.
    """

    title: str
    image: str | None = None
    note: str = ""
    hit: bool = False

    def __post_init__(self) -> None:
        """Refuse an image that a browser would have to fetch."""
        if self.image is not None and not self.image.startswith(
            ("data:image/jpeg;base64,", "data:image/png;base64,")
        ):
            raise InputError(
                f"The picture of {self.title!r} is no inline JPEG or PNG; make it with thumbnails.thumbnail."
            )


@dataclass(frozen=True)
class SampleUser:
    """One user's history and what models recommend to them, best first.

    Attributes:
        user_id: the user as the source calls them.
        model: the leading model.
        history: what they took, latest first.
        recommended: the leading model's list.
        other: the best model of the other kind (with content, or without), else popularity; "" where there is neither.
        recommended_by_other: its list.
    """

    user_id: str
    model: str
    history: tuple[ItemCard, ...]
    recommended: tuple[ItemCard, ...]
    other: str = ""
    recommended_by_other: tuple[ItemCard, ...] = ()


@dataclass(frozen=True)
class PlaceEvidence:
    """What speaks for one recommended item.

    Attributes:
        item: what is recommended, the score in its note.
        sentence: the explanation in words.
        shares: (path, share of the score against an average item, width of its bar 0..1), the largest first.
        alike: (modality, the item of the history that is most like it in that modality).
    """

    item: ItemCard
    sentence: str
    shares: tuple[tuple[str, str, float], ...]
    alike: tuple[tuple[str, ItemCard], ...]


@dataclass(frozen=True)
class ExplainedList:
    """The first places of one user's list with their evidence."""

    user_id: str
    model: str
    places: tuple[PlaceEvidence, ...]


@dataclass(frozen=True)
class ModelCost:
    """What a model costs beside training.

    Attributes:
        stored_mb: what is kept of it on disk.
        extraction_seconds: to encode all items for the feature sets that it reads; None where it reads none, or where
            it is not known.
    """

    stored_mb: float | None = None
    extraction_seconds: float | None = None


@dataclass(frozen=True)
class PageLinks:
    """Other pages, relative to this one.

    Attributes:
        back: (title, address) of the pages above.
        below: heading -> (title, address) of pages about parts.
    """

    back: tuple[tuple[str, str], ...] = ()
    below: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportInputs:
    """Everything `html.report` shows.

    Attributes:
        title: heading of the page.
        generated: moment of generation as text, passed in so that the page is a function of its inputs.
        metrics: `METRIC_FRAME` rows of one or many datasets, windows, models and seeds; must not be empty.
        runs: `RUN_FRAME` rows.
        history: `HISTORY_FRAME` rows.
        user_metrics: `USER_METRIC_FRAME` rows plus metric columns, in one frame or in several; needed for paired tests.
        checks: `CHECK_FRAME` rows.
        data: statistics, one a dataset (of the window the report leads with).
        samples: example users.
        gallery: lists with their evidence.
        costs: model -> what it costs beside training, in the window the report leads with.
        links: to other pages.
        board: the leaderboard as it is stored; ranked here from the metrics if None.
        provenance: label -> value for the footer: git commit, versions, digests.
        metrics_shown: metric columns of the leaderboard; the first one ranks.
        popularity_model: name of the non-personal reference.
    """

    title: str
    generated: str
    metrics: pl.DataFrame
    runs: pl.DataFrame = field(default_factory=pl.DataFrame)
    history: pl.DataFrame = field(default_factory=pl.DataFrame)
    user_metrics: pl.DataFrame | Iterable[pl.DataFrame] = ()
    checks: pl.DataFrame = field(default_factory=pl.DataFrame)
    data: tuple[DataStatistics, ...] = ()
    samples: tuple[SampleUser, ...] = ()
    gallery: tuple[ExplainedList, ...] = ()
    costs: Mapping[str, ModelCost] = field(default_factory=dict)
    links: PageLinks = field(default_factory=PageLinks)
    board: pl.DataFrame | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    metrics_shown: tuple[str, ...] = COMPARED
    popularity_model: str = "most_pop"


@dataclass(frozen=True)
class ItemNeighbours:
    """An item and the items nearest to it in a feature set, nearest first, with the cosine in `note`."""

    item: ItemCard
    nearest: tuple[ItemCard, ...]


@dataclass(frozen=True)
class FeaturePageInputs:
    """Everything `html.feature_page` shows of one feature set.

    Attributes:
        dataset: key of the dataset.
        name: `<modality>_<encoder>`.
        generated: moment of generation as text.
        present: items with a row.
        missing: items without content, or whose content could not be read.
        spectrum: [min(I, F)] singular values of the centred matrix, any order; may be empty.
        norms: [present] Euclidean norms of the rows; may be empty.
        shuffled: mean cosine of items that share users, for shuffled vectors, once a shuffle; may be empty.
        observed: the same for the vectors as they are.
        neighbours: a dozen items with their nearest ones.
        facts: label -> value, e.g. width, encoder revision, items a second.
        failures: `QUARANTINE_FRAME`-shaped rows: why content could not be read.
        links: to other pages.
    """

    dataset: str
    name: str
    generated: str
    present: int
    missing: int
    spectrum: npt.NDArray[np.floating] = field(default_factory=lambda: np.zeros(0, np.float64))
    norms: npt.NDArray[np.floating] = field(default_factory=lambda: np.zeros(0, np.float64))
    shuffled: tuple[float, ...] = ()
    observed: float = 0.0
    neighbours: tuple[ItemNeighbours, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    failures: pl.DataFrame = field(default_factory=pl.DataFrame)
    links: PageLinks = field(default_factory=PageLinks)

    @property
    def coverage(self) -> float:
        """Share of items with a row."""
        return self.present / max(self.present + self.missing, 1)
