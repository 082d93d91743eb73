"""Video by its frames: evenly spaced, each encoded by any image encoder, pooled over time.

Models that look at several frames together are `video_transformer.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from mrs_pipeline.encoders.base import Content, Encoder, Surroundings
from mrs_pipeline.encoders.files import MediaFolder, media_folder, media_references
from mrs_pipeline.encoders.options import VideoOptions
from mrs_pipeline.encoders.registry import ImageFeatureOptions, open_encoder
from mrs_pipeline.encoders.video import FrameSampler
from mrs_pipeline.types import FloatArray


class FramesOptions(VideoOptions):
    """Evenly spaced frames of a clip, each encoded as an image, pooled over time."""

    encoder: Literal["frames"]
    image: ImageFeatureOptions
    """How a frame is encoded; an entry as for the modality image."""
    frames: int = Field(default=8, ge=1, le=256)
    """Frames of a clip."""
    pooling: Literal["mean", "max"] = "mean"
    """Over the frames."""
    batch_size: int = Field(default=8, ge=1, le=4096)
    """Most clips in one call of the image encoder."""

    @model_validator(mode="after")
    def _vectors_of_frames(self) -> Self:
        if self.image.token_shape is not None:
            raise ValueError(
                "image.pooling: none keeps regions, and frames are pooled as vectors; choose another"
            )
        return self


class FramesEncoder(Encoder):
    """Payloads are lists of what the image encoder takes."""

    Options = FramesOptions
    in_processes = True

    def __init__(self, options: FramesOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._settings = options
        self._image = open_encoder(options.image, surroundings.media_root, surroundings.settings)
        self._folder = media_folder(options, surroundings.media_root)

    def ingredients(self) -> Sequence[str]:
        """The image encoder decides."""
        return (self._image.fingerprint,)

    @property
    def made_with(self) -> Mapping[str, str]:
        """What the image encoder is made with."""
        return self._image.made_with

    def keep(self, made_with: Mapping[str, str]) -> None:
        """Handed on to the image encoder."""
        self._image.keep(made_with)

    def check_settings(self) -> None:
        """What the image encoder refuses."""
        self._image.check_settings()

    @property
    def dimensions(self) -> int:
        """As wide as an image's vector."""
        return self._image.dimensions

    def references(self, items: pl.DataFrame) -> pl.Series:
        """Paths inside the media folder."""
        return media_references(self._settings, items)

    def loader(self) -> "_FramesLoader":
        """Decodes the frames and prepares them as images."""
        options = self._settings
        sampler = FrameSampler(options.frames, options.max_seconds, options.max_pixels)
        return _FramesLoader(self._folder, sampler, self._image.loader())

    def encode(self, payloads: Sequence[list[Any]]) -> FloatArray:
        """[B, F] vectors of the frames, pooled; a clip whose frames give nothing is left zero."""
        flat = [frame for frames in payloads for frame in frames]
        size = self._image.options.batch_size
        vectors = np.concatenate(
            [self._image.encode(flat[at : at + size]) for at in range(0, len(flat), size)]
        )
        by_clip = vectors.reshape(len(payloads), self._settings.frames, -1)  # [B, T, F]
        pooled: FloatArray = by_clip.mean(axis=1) if self._settings.pooling == "mean" else by_clip.max(axis=1)
        return pooled


@dataclass(frozen=True)
class _FramesLoader:
    folder: MediaFolder
    sampler: FrameSampler
    image: Any

    def read(self, reference: str) -> Content:
        return self.folder.locate(reference)

    def decode(self, content: Content) -> list[Any]:
        return [self.image.prepare(frame) for frame in self.sampler.read(content.data)]
