"""Settings that readers have in common: where files are and how their columns are called.

Only declarations: this module is imported while definitions load, so it stays light (pydantic, no DuckDB). What one
reader alone can be told stands in its own file; which readers there are, in `registry`.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mrs_pipeline.ingest.encodings import known_encoding
from mrs_pipeline.ingest.ids import IdOptions
from mrs_pipeline.ingest.time_units import TimeUnit
from mrs_pipeline.remote.address import secret_in
from mrs_pipeline.taxonomy import Modality

_STRICT = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

InteractionColumn = Literal["user_id", "item_id", "timestamp", "rating", "split"]

COLUMN_NAME = re.compile(r"[^\W\d_A-Z][^\WA-Z]*")
"""How a column of the lake may be called: letters of any script (no Latin capitals), digits and _."""

MEDIA_FOLDERS = {Modality.IMAGE: "images", Modality.AUDIO: "audio", Modality.VIDEO: "video"}


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


def _without_secrets(path: str) -> str:
    fault = secret_in(path)
    if fault:
        raise ValueError(fault)
    return path


_Matrix = Annotated[MatrixOptions, BeforeValidator(_bare_file, json_schema_input_type=str | MatrixOptions)]

SourcePath = Annotated[str, AfterValidator(_without_secrets)]
"""Where a source lies; an address that holds a key is refused."""


class SourceOptions(BaseModel):
    """What every reader is told: which one it is. A reader adds its own settings in a class below this one."""

    model_config = _STRICT

    reader: str
    """Name of the reader."""

    @property
    def place(self) -> str:
        """Where the raw files come from, for people."""
        return self.reader


class FileSourceOptions(SourceOptions):
    """What a reader of a folder of files is told."""

    path: SourcePath
    """The folder, absolute or relative to the project, a `.zip`, or an address such as `s3://bucket/folder` or
    `https://host/file.csv.gz`; `$NAME` stands for an environment variable."""
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
    matrices: dict[str, _Matrix] = Field(default_factory=dict)
    """Ready-made features: name -> file, or `{file, ids}`."""

    @property
    def place(self) -> str:
        """The folder."""
        return self.path

    @model_validator(mode="after")
    def _ids_are_columns(self) -> "FileSourceOptions":
        for name in ("user_id", "item_id"):
            if self.interaction_columns.get(name, name) is None:
                raise ValueError(f"source.interaction_columns: {name} is needed, so it cannot be null")
        return self

    @model_validator(mode="after")
    def _names_are_columns(self) -> "FileSourceOptions":
        for name in self.item_columns:
            if not COLUMN_NAME.fullmatch(name):
                raise ValueError(
                    f"source.item_columns: '{name}' cannot be a column; use lower-case letters of any script, digits "
                    "and _"
                )
        if Modality.TEXT in self.media_folders:
            raise ValueError("source.media_folders: text comes from columns, not from a folder")
        return self
