"""Images by a pretrained vision model: pixels in, class token or patch mean out.

ViT, DINOv2, BEiT, Swin, ResNet, ConvNeXT and their like: whatever `AutoModel` opens and whose last hidden
state is a sequence of tokens or a map of channels. Two-tower models (CLIP, SigLIP) are `clip.py`.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from mrs_pipeline.encoders.base import Box, Encoder, Surroundings
from mrs_pipeline.encoders.files import media_folder, media_references
from mrs_pipeline.encoders.network import NetworkEncoder
from mrs_pipeline.encoders.options import ImageOptions, PretrainedOptions, RegionOptions
from mrs_pipeline.encoders.pixels import PixelArray, PixelLoader, Pixels, open_pixels
from mrs_pipeline.encoders.pooling import first_token, patch_mean
from mrs_pipeline.encoders.pretrained import TransformersNetwork
from mrs_pipeline.encoders.token_maps import kept_regions, patch_maps
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import FloatArray

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


class ImageTransformerOptions(ImageOptions, RegionOptions, PretrainedOptions):
    """A vision model of the `transformers` library (ViT, DINOv2, ResNet, Swin ...), one vector an image."""

    encoder: Literal["transformer"]
    pooling: Literal["cls", "mean", "none"]
    """The class token, or the mean over patches (the only one for models without a class token), or all patches, for
    models that attend to regions."""


class ImageTransformerEncoder(NetworkEncoder):
    """Payloads are prepared pixels."""

    network: TransformersNetwork

    Options = ImageTransformerOptions
    in_processes = True

    def __init__(self, options: ImageTransformerOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._settings = options
        self.network = TransformersNetwork(options, surroundings.settings)
        self._folder = media_folder(options, surroundings.media_root)

    @cached_property
    def _pixels(self) -> Pixels:
        return open_pixels(self.network.folder)

    @cached_property
    def dimensions(self) -> int:
        """Width of the vectors, found by encoding a black image."""
        return blank_dimensions(self, self.loader())

    def check_settings(self) -> None:
        """InputError for two-tower models, which need another encoder."""
        if "vision_config" in self.network.folder.read_json("config.json"):
            raise InputError(
                f"{self.network.folder.path}: has a text and a vision tower; write encoder: clip for this model"
            )

    def references(self, items: pl.DataFrame) -> pl.Series:
        """Paths inside the media folder."""
        return media_references(self._settings, items)

    def loader(self) -> PixelLoader:
        """Reads, decodes, prepares pixels."""
        return PixelLoader(self._folder, self._settings.max_pixels, self._pixels)

    def seen_part(self, width: int, height: int) -> Box | None:
        """As pixels are prepared."""
        return self._pixels.seen_part(width, height)

    def encode(self, payloads: Sequence[PixelArray]) -> FloatArray:
        """[B, F] one vector an image, or its regions one after the other [B, T D]."""
        found = self.network.run({"pixels": np.stack(payloads)}, self._forward)
        return found.reshape(len(found), -1)

    def _forward(self, module: Any, pixels: "Tensor") -> "Tensor":
        values = self._pixels.normalize(pixels).to(module.dtype)
        shape = self._settings.token_shape
        if shape is not None:
            hidden = module(pixel_values=values).last_hidden_state
            sides = (values.shape[-2], values.shape[-1])
            return kept_regions(patch_maps(hidden, special_tokens(module), sides), shape, self._settings)
        return pooled_patches(module, self._settings.pooling, pixel_values=values)


def blank_dimensions(encoder: Encoder, loader: PixelLoader) -> int:
    """Width of the vectors of an image encoder, found by encoding a black image."""
    from PIL import Image

    return int(encoder.encode([loader.prepare(Image.new("RGB", (64, 64)))]).shape[1])


def pooled_patches(module: "Module", pooling: str, **inputs: "Tensor") -> "Tensor":
    """[B, D] class token or patch mean of the last hidden state of a vision or video model.

    Raises:
        InputError: the class token is wanted and the architecture has none.
    """
    hidden = module(**inputs).last_hidden_state
    n_special = special_tokens(module)
    if pooling == "mean":
        return patch_mean(hidden, n_special)
    if hidden.dim() == 4 or n_special == 0:
        raise InputError(f"{type(module).__name__} has no class token; write pooling: mean for this model")
    return first_token(hidden)


def special_tokens(module: "Module") -> int:
    """Tokens before the patches: class, distillation and register tokens that the embeddings hold."""
    embeddings = getattr(module, "embeddings", None)
    names = ("cls_token", "distillation_token", "register_tokens")
    tokens = [token for name in names if (token := getattr(embeddings, name, None)) is not None]
    return sum(int(token.shape[1]) for token in tokens)
