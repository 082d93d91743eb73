"""What an entry of a dataset's `features:` list may say, and the name of the feature set that it makes.

Loads in milliseconds: no torch, scikit-learn or scikit-image here, they belong in the encoder's own file. How
the work is done (processes, device, chunks) changes no number and is `EngineSettings`, not an option of a
feature set.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mrs_pipeline.taxonomy import Modality

_SLUG = r"^[a-z][a-z0-9_]{0,39}$"


class EncoderOptions(BaseModel):
    """What every feature set can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    NEUTRAL: ClassVar[frozenset[str]] = frozenset({"name", "batch_size"})
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


class TfidfSvdOptions(TextOptions):
    """Latent semantic analysis: TF-IDF weights projected on their first singular vectors."""

    encoder: Literal["tfidf_svd"]
    dimensions: int = Field(default=128, ge=1, le=4096)
    """Singular vectors kept; fewer where the vocabulary or the catalogue is smaller."""
    max_vocabulary: int = Field(default=50_000, ge=1)
    """Most frequent terms kept."""
    min_items: int = Field(default=2, ge=1)
    """Terms found in fewer items are dropped (unless that leaves none)."""
    analyzer: Literal["word", "char_wb"] = "word"
    """`char_wb` counts runs of 2 to 4 characters: for languages written without spaces."""
    seed: int = Field(default=0, ge=0)
    """Of the randomised singular value decomposition."""


class ColorGradientOptions(ImageOptions):
    """Colour histogram and histogram of oriented gradients, without any learned weights."""

    encoder: Literal["color_gradient"]
    size: int = Field(default=128, ge=32, le=1024)
    """Side in pixels to which an image is scaled before it is measured."""
    color_bins: tuple[int, int, int] = (8, 3, 3)
    """Bins for hue, saturation and value."""
    orientations: int = Field(default=9, ge=1, le=36)
    """Directions of the gradient histogram."""
    cells: int = Field(default=4, ge=1, le=16)
    """Cells along one side of the image."""


class IdentityOptions(EncoderOptions):
    """A matrix that somebody else has computed, aligned with this catalogue."""

    encoder: Literal["identity"]
    matrix: str
    """Name of one of the source's ready matrices."""


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


class LogMelOptions(AudioOptions):
    """Statistics of the log-mel spectrogram and of its cepstrum, without any learned weights."""

    encoder: Literal["log_mel"]
    window_seconds: float = Field(default=10, ge=0.1, le=120)
    """Length of a window."""
    bands: int = Field(default=64, ge=8, le=256)
    """Mel bands."""
    coefficients: int = Field(default=20, ge=2, le=64)
    """Cepstral coefficients (MFCC); fewer than bands."""

    @model_validator(mode="after")
    def _fewer_than_bands(self) -> Self:
        if self.coefficients >= self.bands:
            raise ValueError(f"coefficients {self.coefficients} must be fewer than bands {self.bands}")
        return self


class PretrainedOptions(EncoderOptions):
    """What every encoder with pretrained weights can be told.

    Weights are read as safetensors only, and no code that comes with a model is ever run.
    """

    NEUTRAL: ClassVar[frozenset[str]] = EncoderOptions.NEUTRAL | {"model", "revision", "batch_tokens"}
    """Model and revision enter the fingerprint as what they resolve to (see `pretrained.py`)."""

    model: str = Field(min_length=1)
    """A folder (absolute, or beginning with `./`, `../`, `~` or an environment variable), or a hub id."""
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """The commit of a hub model, in full: a branch can move. Folders have none."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the forward pass. bfloat16 is twice as fast on most machines; float16 needs a GPU."""
    normalize: bool = True
    """Scale vectors to length one."""

    @property
    def is_folder(self) -> bool:
        """Whether `model` is a path, not a hub id."""
        return self.model.startswith(("/", "./", "../", "~", "$"))

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if not self.is_folder and self.revision is None:
            raise ValueError(
                f"model {self.model} needs a revision: the full 40-digit commit of the hub model, so that the "
                f"vectors cannot change unseen (a folder is written ./like/this)"
            )
        return self


class TextTransformerOptions(TextOptions, PretrainedOptions):
    """A language model of the `transformers` library (BERT, RoBERTa, E5, MiniLM ...), one vector a text."""

    encoder: Literal["transformer"]
    pooling: Literal["cls", "mean", "last"] | None = None
    """First token, mean over tokens, or last token; if not given, the sentence-transformers files say it."""
    prefix: str | None = None
    """Put before each text (E5 wants `passage: `); if not given, the sentence-transformers files say it."""
    max_tokens: int = Field(default=512, ge=1)
    """Longer texts are cut here, or where the model ends."""
    batch_size: int = Field(default=256, ge=1, le=4096)
    """Most texts in one forward pass."""
    batch_tokens: int | None = Field(default=None, ge=1)
    """Most tokens, padding included, in one forward pass; if not given, 8192 on a GPU and 2048 on a CPU, which likes
    tensors that stay near its caches."""


class ImageTransformerOptions(ImageOptions, PretrainedOptions):
    """A vision model of the `transformers` library (ViT, DINOv2, ResNet, Swin ...), one vector an image."""

    encoder: Literal["transformer"]
    pooling: Literal["cls", "mean"]
    """The class token, or the mean over patches (the only one for models without a class token)."""


class AudioTransformerOptions(AudioOptions, PretrainedOptions):
    """An audio model of the `transformers` library (AST, CLAP, Wav2Vec2, HuBERT, Whisper's encoder)."""

    encoder: Literal["transformer"]
    pooling: Literal["cls", "mean"] | None = None
    """Over time within a window; must be left out for CLAP, which has its own. Windows are averaged."""
    window_seconds: float | None = Field(default=None, ge=0.1, le=120)
    """Length of a window; the model's own length if not given, 10 s where it has none."""
    batch_size: int = Field(default=8, ge=1, le=4096)
    """Most windows in one forward pass."""


class VideoTransformerOptions(VideoOptions, PretrainedOptions):
    """A video model of the `transformers` library (VideoMAE, TimeSformer), one vector a clip."""

    encoder: Literal["transformer"]
    pooling: Literal["cls", "mean"]
    """The class token, or the mean over patches of all frames."""
    batch_size: int = Field(default=4, ge=1, le=4096)
    """Most clips in one forward pass."""


class ClipTextOptions(TextOptions, PretrainedOptions):
    """The text tower of CLIP or SigLIP: texts in the same space as the images of `clip` with the same model."""

    modality: Literal[Modality.TEXT]
    encoder: Literal["clip"]
    batch_size: int = Field(default=128, ge=1, le=4096)
    """Most texts in one forward pass."""


class ClipImageOptions(ImageOptions, PretrainedOptions):
    """The image tower of CLIP or SigLIP."""

    modality: Literal[Modality.IMAGE]
    encoder: Literal["clip"]


_ImageEncoderOptions = Annotated[
    ColorGradientOptions | ImageTransformerOptions | ClipImageOptions, Field(discriminator="encoder")
]


class FramesOptions(VideoOptions):
    """Evenly spaced frames of a clip, each encoded as an image, pooled over time."""

    NEUTRAL: ClassVar[frozenset[str]] = EncoderOptions.NEUTRAL | {"image"}
    """The image encoder's own fingerprint counts, not the words that named it."""

    encoder: Literal["frames"]
    image: _ImageEncoderOptions
    """How a frame is encoded; an entry as for the modality image."""
    frames: int = Field(default=8, ge=1, le=256)
    """Frames of a clip."""
    pooling: Literal["mean", "max"] = "mean"
    """Over the frames."""
    batch_size: int = Field(default=8, ge=1, le=4096)
    """Most clips in one call of the image encoder."""


_Transformer = Annotated[
    TextTransformerOptions | ImageTransformerOptions | AudioTransformerOptions | VideoTransformerOptions,
    Field(discriminator="modality"),
]
_Clip = Annotated[ClipTextOptions | ClipImageOptions, Field(discriminator="modality")]

FeatureOptions = Annotated[
    TfidfSvdOptions
    | ColorGradientOptions
    | LogMelOptions
    | IdentityOptions
    | FramesOptions
    | _Transformer
    | _Clip,
    Field(discriminator="encoder"),
]
"""One entry of `features:`. `transformer` and `clip` exist for several modalities, which then must be named."""


def feature_set_name(options: EncoderOptions) -> str:
    """`<modality>_<encoder>`, or `<modality>_<name>` where the options carry a name of their own."""
    return f"{options.modality}_{options.name or options.encoder}"
