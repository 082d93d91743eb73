"""Settings of a source: where its files are and how their columns are called.

Only declarations: this module is imported while definitions load, so it stays light (pydantic, no DuckDB).
Opening a source is `opening.open_source`; finding files is each reader's business.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mrs_pipeline.ingest.encodings import known_encoding
from mrs_pipeline.ingest.ids import IdOptions
from mrs_pipeline.ingest.values import TimeUnit
from mrs_pipeline.taxonomy import Modality

_STRICT = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

InteractionColumn = Literal["user_id", "item_id", "timestamp", "rating", "split"]

COLUMN_NAME = re.compile(r"[^\W\d_A-Z][^\WA-Z]*")
"""How a column of the lake may be called: letters of any script (no Latin capitals), digits and _."""

MEDIA_FOLDERS = {Modality.IMAGE: "images", Modality.AUDIO: "audio", Modality.VIDEO: "video"}

DEMO_FOLDER = "data/raw/demo"
"""Where the demonstration catalogue is written, below the project's home."""


class MatrixOptions(BaseModel):
    """One ready-made feature matrix."""

    model_config = _STRICT

    file: str
    """`.npy` with one row an item, or a table (CSV, Parquet, ...) of an item column and number columns."""
    ids: str | None = None
    """For `.npy`: a file with the item id of each row; without it, rows follow the items file."""


def _bare_file(value: Any) -> Any:
    """`video: features.csv` is short for `video: {file: features.csv}`."""
    return {"file": value} if isinstance(value, str) else value


class DemoOptions(BaseModel):
    """Size of the demonstration catalogue."""

    model_config = _STRICT

    users: int = Field(default=1000, ge=50, le=20_000)
    """Listeners; about thirty interactions each."""
    items: int = Field(default=600, ge=40, le=5_000)
    """Records, released over the twelve months of 2024."""
    seed: int = Field(default=2024, ge=0)
    """Same seed, same files."""


class SourceOptions(BaseModel):
    """Where a dataset's raw files are and how they are read."""

    model_config = _STRICT

    reader: Literal["folder", "mmrec", "demo"] = "folder"
    """`folder`: CSV, TSV, Parquet, JSON Lines; `mmrec`: `.inter` and `*_feat.npy`; `demo`: made on demand."""
    path: str | None = None
    """The folder: absolute, or relative to the project; `$NAME` stands for an environment variable."""
    interactions: str | None = None
    """File, folder or pattern below `path`; by default `interactions.*` or the files of `interactions/`."""
    items: str | None = None
    """File below `path`; by default `items.*`; without one, items are those of the interactions."""
    interaction_columns: dict[InteractionColumn, str | None] = Field(default_factory=dict)
    """Our name -> the file's name, where they differ, e.g. `user_id: customer`; `timestamp: null` for a column that is
    not to be read."""
    columns: tuple[str, ...] | None = None
    """Names of the columns of interaction files without a header, in order; `-` for one that is not used."""
    items_header: tuple[str, ...] | None = None
    """The same for an items file without a header."""
    encoding: Annotated[str | None, AfterValidator(lambda name: name and known_encoding(name))] = None
    """Encoding of text files that are not UTF-8, such as `latin-1`, `cp1252` or `shift_jis`."""
    ids: IdOptions = IdOptions()
    """Which spellings of a user's or an item's identifier mean the same, and which mean none."""
    time_unit: TimeUnit = "auto"
    """What numbers in the time column count: `s`, `ms`, `us` or `ns` since 1970, `day` since 1970, `excel` days or
    `year`; `auto` tells seconds and milliseconds apart by their size."""
    item_columns: dict[str, str] = Field(default_factory=dict)
    """The same for items: item_id, title, description, image, audio, video, or a new attribute name."""
    media_folders: dict[Modality, str] = Field(default_factory=lambda: dict(MEDIA_FOLDERS))
    """Where files named by item id lie, for modalities without a column in the items file."""
    matrices: dict[str, Annotated[MatrixOptions, BeforeValidator(_bare_file)]] = Field(default_factory=dict)
    """Ready-made features: name -> file, or `{file, ids}`."""
    demo: DemoOptions | None = None
    """Size and seed, for the reader `demo` only."""

    @model_validator(mode="after")
    def _parts_fit(self) -> "SourceOptions":
        if self.reader == "demo" and self.path is not None:
            raise ValueError(f"source.path does not go with reader: demo, which writes to {DEMO_FOLDER}")
        if self.reader != "demo" and self.path is None:
            raise ValueError(
                f"source.path is missing; the reader '{self.reader}' needs the folder of the raw files"
            )
        if self.reader != "demo" and self.demo is not None:
            raise ValueError(f"source.demo goes with reader: demo, not with reader: {self.reader}")
        return self

    @model_validator(mode="after")
    def _ids_are_columns(self) -> "SourceOptions":
        for name in ("user_id", "item_id"):
            if self.interaction_columns.get(name, name) is None:
                raise ValueError(f"source.interaction_columns: {name} is needed, so it cannot be null")
        return self

    @model_validator(mode="after")
    def _names_are_columns(self) -> "SourceOptions":
        for name in self.item_columns:
            if not COLUMN_NAME.fullmatch(name):
                raise ValueError(
                    f"source.item_columns: '{name}' cannot be a column; use lower-case letters of any script, digits "
                    "and _"
                )
        if Modality.TEXT in self.media_folders:
            raise ValueError("source.media_folders: text comes from columns, not from a folder")
        return self
