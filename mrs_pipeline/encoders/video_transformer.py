"""Video by a pretrained model that looks at several frames together: VideoMAE, TimeSformer and their like.

Frame by frame with an image encoder is `frames.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from pydantic import Field

from mrs_pipeline.encoders.base import Content, Surroundings
from mrs_pipeline.encoders.files import MediaFolder, media_folder, media_references
from mrs_pipeline.encoders.image_transformer import pooled_patches
from mrs_pipeline.encoders.network import NetworkEncoder
from mrs_pipeline.encoders.options import Precision, PretrainedOptions, VideoOptions
from mrs_pipeline.encoders.pixels import PixelArray, Pixels, open_pixels
from mrs_pipeline.encoders.pretrained import TransformersNetwork
from mrs_pipeline.encoders.video import FrameSampler
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import FloatArray

if TYPE_CHECKING:
    from torch import Tensor


class VideoTransformerOptions(VideoOptions, PretrainedOptions):
    """A video model of the `transformers` library (VideoMAE, TimeSformer), one vector a clip."""

    encoder: Literal["transformer"]
    precision: Precision = "auto"
    """Of the forward pass: see the `transformer` of texts; without int8."""
    pooling: Literal["cls", "mean"]
    """The class token, or the mean over patches of all frames."""
    batch_size: int = Field(default=4, ge=1, le=4096)
    """Most clips in one forward pass."""


class VideoTransformerEncoder(NetworkEncoder):
    """Payloads are the prepared pixels of the frames of a clip, [T, ...]."""

    network: TransformersNetwork

    Options = VideoTransformerOptions
    in_processes = True

    def __init__(self, options: VideoTransformerOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._settings = options
        self.network = TransformersNetwork(options, surroundings.settings)
        self._folder = media_folder(options, surroundings.media_root)

    def check_settings(self) -> None:
        """InputError for models of something else than clips of a fixed number of frames."""
        if not hasattr(self.network.config, "num_frames"):
            raise InputError(
                f"{self.network.folder.path}: {self.network.config.model_type} is no model of frames together; write "
                f"encoder: frames with this model as its image entry"
            )

    @cached_property
    def _pixels(self) -> Pixels:
        return open_pixels(self.network.folder)

    @cached_property
    def dimensions(self) -> int:
        """Width of the vectors, found by encoding a black clip."""
        from PIL import Image

        frame = self._pixels.prepare(Image.new("RGB", (64, 64)))
        return int(self.encode([np.stack([frame] * self.network.config.num_frames)]).shape[1])

    def references(self, items: pl.DataFrame) -> pl.Series:
        """Paths inside the media folder."""
        return media_references(self._settings, items)

    def loader(self) -> "_ClipLoader":
        """Decodes as many frames as the model takes."""
        options = self._settings
        sampler = FrameSampler(self.network.config.num_frames, options.max_seconds, options.max_pixels)
        return _ClipLoader(self._folder, sampler, self._pixels)

    def encode(self, payloads: Sequence[PixelArray]) -> FloatArray:
        """[B, F] one vector a clip."""
        return self.network.run({"clips": np.stack(payloads)}, self._forward)

    def _forward(self, module: Any, clips: "Tensor") -> "Tensor":
        frames = self._pixels.normalize(clips.flatten(0, 1)).to(module.dtype)  # [B * T, 3, H, W]
        pixel_values = frames.reshape(*clips.shape[:2], *frames.shape[1:])
        return pooled_patches(module, self._settings.pooling, pixel_values=pixel_values)


@dataclass(frozen=True)
class _ClipLoader:
    folder: MediaFolder
    sampler: FrameSampler
    pixels: Pixels

    def read(self, reference: str) -> Content:
        return self.folder.locate(reference)

    def decode(self, content: Content) -> PixelArray:
        return np.stack([self.pixels.prepare(frame) for frame in self.sampler.read(content.data)])
