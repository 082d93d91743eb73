"""What an entry of a dataset's `raw:` list may say: content that is decoded once and encoded while a model trains.

Loads in milliseconds, as `options` does.
"""

from typing import Annotated, Literal

from pydantic import Field

from mrs_pipeline.encoders.options import ImageOptions, PretrainedOptions, TextOptions
from mrs_pipeline.taxonomy import Modality


class PixelsOptions(ImageOptions):
    """Pictures scaled to one small square, for a small network from scratch."""

    modality: Literal[Modality.IMAGE]
    encoder: Literal["pixels"] = "pixels"
    dtype: Literal["uint8"] = "uint8"  # type: ignore[assignment]
    """Type of the stored pixels."""
    size: int = Field(default=64, ge=8, le=256)
    """Side in pixels; a picture takes 3 x size x size bytes."""


class TokensOptions(TextOptions):
    """Words of texts by number, for a small network from scratch.

    A word's number is its hash, so there is no vocabulary to learn or keep; two words may share a number.
    """

    modality: Literal[Modality.TEXT]
    encoder: Literal["tokens"] = "tokens"
    dtype: Literal["int32"] = "int32"  # type: ignore[assignment]
    """Type of the stored numbers."""
    length: int = Field(default=32, ge=1, le=512)
    """Words of a text; longer ones are cut."""
    vocabulary: int = Field(default=8192, ge=16, le=1_000_000)
    """Different numbers."""


class _NetworkOptions(PretrainedOptions):
    """A network that the models of the dataset start from; it is kept with the decoded content."""

    precision: Literal["float32"] = "float32"
    """Of the stored weights."""
    normalize: Literal[False] = False
    """No vectors are made here."""


class NetworkPixelsOptions(ImageOptions, _NetworkOptions):
    """Pictures as a vision model of the `transformers` library wants them, and the model."""

    modality: Literal[Modality.IMAGE]
    encoder: Literal["network"]
    dtype: Literal["uint8"] = "uint8"  # type: ignore[assignment]
    """Type of the stored pixels."""


class NetworkTokensOptions(TextOptions, _NetworkOptions):
    """Texts as a language model of the `transformers` library wants them, and the model."""

    modality: Literal[Modality.TEXT]
    encoder: Literal["network"]
    dtype: Literal["int32"] = "int32"  # type: ignore[assignment]
    """Type of the stored numbers."""
    length: int = Field(default=32, ge=2, le=512)
    """Tokens of a text; longer ones are cut."""


_Network = Annotated[NetworkPixelsOptions | NetworkTokensOptions, Field(discriminator="modality")]

RawOptions = Annotated[PixelsOptions | TokensOptions | _Network, Field(discriminator="encoder")]
"""One entry of `raw:`."""
