"""Images by colour and shape, without learned weights: histograms of HSV values and of oriented gradients.

Both halves are Hellinger-mapped (scaled to sum one, then square-rooted; Arandjelovic and Zisserman, CVPR
2012), so each has length one and their inner product is the Bhattacharyya coefficient; both together are
scaled to length one. Gradients: Dalal and Triggs, CVPR 2005, with their block normalisation. Learned image
encoders are other files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from mrs_pipeline.encoders.base import Content, Encoder, Surroundings
from mrs_pipeline.encoders.files import MediaFolder, media_folder, media_references
from mrs_pipeline.encoders.images import decode_image
from mrs_pipeline.encoders.options import ImageOptions
from mrs_pipeline.types import FloatArray

if TYPE_CHECKING:
    from PIL.Image import Image

_BLOCK = 2
"""Cells along a side of the block over which gradient energy is normalised."""


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


class ColorGradientEncoder(Encoder):
    """Decoding and measuring both happen in the loader, so they run in worker processes."""

    Options = ColorGradientOptions
    in_processes = True

    def __init__(self, options: ColorGradientOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._loader = _DescriptorLoader(options, media_folder(options, surroundings.media_root))

    @property
    def dimensions(self) -> int:
        """Colour bins plus the gradient histogram of all blocks."""
        options = self._loader.options
        block = min(_BLOCK, options.cells)
        blocks = options.cells - block + 1
        return int(np.prod(options.color_bins)) + (blocks * block) ** 2 * options.orientations

    def references(self, items: pl.DataFrame) -> pl.Series:
        """Paths inside the media folder."""
        return media_references(self._loader.options, items)

    def loader(self) -> "_DescriptorLoader":
        """Reads a file and measures it."""
        return self._loader

    def encode(self, payloads: Sequence[FloatArray]) -> FloatArray:
        """[B, F]: the loader has done the work."""
        return np.stack(payloads)


@dataclass(frozen=True)
class _DescriptorLoader:
    options: ColorGradientOptions
    folder: MediaFolder

    def read(self, reference: str) -> Content:
        return self.folder.read(reference)

    def decode(self, content: Content) -> FloatArray:
        size = self.options.size
        return self.prepare(decode_image(content.data, max_pixels=self.options.max_pixels, shortest=size))

    def prepare(self, image: "Image") -> FloatArray:
        return describe(image, self.options)


def describe(image: "Image", options: ColorGradientOptions) -> FloatArray:
    """[F] the descriptor of an RGB image, of length one."""
    from PIL import Image

    scaled = np.asarray(image.resize((options.size, options.size), Image.Resampling.BILINEAR))
    halves = (_hellinger(_colors(scaled, options)), _hellinger(_gradients(scaled, options)))
    return _unit(np.concatenate(halves)).astype(np.float32)


def _colors(pixels: npt.NDArray[np.uint8], options: ColorGradientOptions) -> npt.NDArray[np.float64]:
    from skimage.color import rgb2hsv

    bins = np.array(options.color_bins)
    # [pixels, 3] bin numbers; the value 1.0 itself belongs to the last bin.
    cells = np.minimum((rgb2hsv(pixels).reshape(-1, 3) * bins).astype(np.int64), bins - 1)
    flat = np.ravel_multi_index(tuple(cells.T), options.color_bins)
    return np.bincount(flat, minlength=int(bins.prod())).astype(np.float64)


def _gradients(pixels: npt.NDArray[np.uint8], options: ColorGradientOptions) -> npt.NDArray[np.float64]:
    from skimage.feature import hog

    cell = options.size // options.cells
    block = min(_BLOCK, options.cells)
    used = cell * options.cells
    values: npt.NDArray[np.float64] = hog(
        pixels[:used, :used],
        orientations=options.orientations,
        pixels_per_cell=(cell, cell),
        cells_per_block=(block, block),
        block_norm="L2-Hys",
        channel_axis=-1,
    )
    return values


def _hellinger(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    total = counts.sum()
    # A flat image has no gradient at all; its half stays zero.
    return np.asarray(np.sqrt(counts / total)) if total > 0 else counts


def _unit(vector: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return vector / max(float(np.linalg.norm(vector)), float(np.finfo(np.float32).tiny))
