"""From a decoded image to the pixels that a pretrained vision model wants.

The model's own image processor says what to do. Nearly all of them scale, crop and normalise; `PixelRecipe`
repeats that with Pillow and NumPy, so that worker processes need neither torch nor transformers (seconds and
hundreds of megabytes each), and pixels travel as bytes and are normalised in batches on the device. It is
compared with the processor on test images when the model is opened; where they differ the processor itself is
used.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mrs_pipeline.encoders.base import Box, Content
from mrs_pipeline.encoders.files import MediaFolder
from mrs_pipeline.encoders.images import decode_image
from mrs_pipeline.encoders.pretrained import ModelFolder
from mrs_pipeline.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

PixelArray = npt.NDArray[Any]
"""[H, W, 3] uint8 by a recipe, or [3, H, W] float32 by a processor."""

_OVERSIZE = 2
"""JPEGs are decoded at no less than this many times the wanted side, so that scaling down still averages."""
_PROBES = ((97, 131), (300, 200), (640, 643))
"""Sizes of the test images: smaller and larger than usual inputs, odd and even margins."""
_TOLERANCE = 1e-4
"""In normalised units, where a grey level is about 0.015."""


@dataclass(frozen=True)
class PixelRecipe:
    """Scale, crop, normalise.

    Attributes:
        scale: (height, width) to scale to, or (shorter side,), or None.
        crop: (height, width) cut from the middle, black where the image is smaller, or None.
        resample: Pillow's number of the filter.
        factor: multiplies the bytes.
        mean: subtracted per channel after that.
        std: divides per channel after that.
    """

    scale: tuple[int, ...] | None
    crop: tuple[int, int] | None
    resample: int
    factor: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def shortest(self) -> int:
        """Side below which a decoded image should not fall."""
        return _OVERSIZE * max(*(self.scale or (1,)), *(self.crop or (1,)))

    def prepare(self, image: "Image") -> PixelArray:
        """[H, W, 3] uint8 of an RGB image."""
        from PIL.Image import Resampling

        if self.scale is not None:
            height, width = self.scale if len(self.scale) == 2 else _keep_ratio(image, self.scale[0])
            image = image.resize((width, height), Resampling(self.resample))
        pixels = np.asarray(image)
        return pixels if self.crop is None else _center(pixels, self.crop)

    def seen_part(self, width: int, height: int) -> Box:
        """What of an image of that size is left after scaling and cropping.

        >>> recipe = PixelRecipe((256,), (192, 192), 3, 1.0, (0.0,) * 3, (1.0,) * 3)
        >>> recipe.seen_part(512, 256)
        (0.3125, 0.125, 0.6875, 0.875)
        """
        sides = (height, width)
        if self.scale is not None:
            sides = self.scale if len(self.scale) == 2 else _sides_for(width, height, self.scale[0])
        crop = self.crop or sides
        top, left = ((1 - want / have) / 2 for want, have in zip(crop, sides, strict=True))
        return (left, top, 1 - left, 1 - top)

    def normalize(self, pixels: "Tensor") -> "Tensor":
        """[B, 3, H, W] float32 of [B, H, W, 3] uint8, on the device of the pixels."""
        import torch

        scale = torch.tensor([self.factor / std for std in self.std], device=pixels.device)
        shift = torch.tensor(
            [mean / std for mean, std in zip(self.mean, self.std, strict=True)], device=pixels.device
        )
        return (pixels.float() * scale - shift).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True)
class ProcessorPixels:
    """The model's own processor, for those that do something else than a recipe can say."""

    processor: Any

    @property
    def shortest(self) -> int:
        """Side below which a decoded image should not fall."""
        sides = [int(side) for side in dict(self.processor.size or {}).values() if side]
        return _OVERSIZE * max(sides, default=512)

    def prepare(self, image: "Image") -> PixelArray:
        """[3, H, W] float32 of an RGB image."""
        pixels: PixelArray = self.processor(image, return_tensors="np")["pixel_values"][0]
        return pixels

    def seen_part(self, width: int, height: int) -> None:
        """Only the processor knows."""

    def normalize(self, pixels: "Tensor") -> "Tensor":
        """[B, 3, H, W] float32: the processor has normalised them."""
        return pixels


Pixels = PixelRecipe | ProcessorPixels


@dataclass(frozen=True)
class PixelLoader:
    """Reads a file, decodes it within bounds, prepares the pixels."""

    folder: MediaFolder
    max_pixels: int
    pixels: Pixels

    def read(self, reference: str) -> Content:
        """The bytes of the file."""
        return self.folder.read(reference)

    def decode(self, content: Content) -> PixelArray:
        """The prepared pixels."""
        return self.prepare(
            decode_image(content.data, max_pixels=self.max_pixels, shortest=self.pixels.shortest)
        )

    def prepare(self, image: "Image") -> PixelArray:
        """The prepared pixels of a decoded image, for frames of a video too."""
        return self.pixels.prepare(image)


def open_pixels(folder: ModelFolder) -> Pixels:
    """What the model in a folder wants done to an image."""
    from transformers import AutoImageProcessor

    processor = folder.open(
        "the image processor (preprocessor_config.json)",
        # The other backend needs torchvision, which has no wheel for many machines.
        lambda: AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            folder.path, backend="pil", trust_remote_code=False, local_files_only=True
        ),
    )
    recipe = _recipe(processor)
    if recipe is not None and all(_agree(recipe, processor, size) for size in _PROBES):
        return recipe
    if set(processor.model_input_names) != {"pixel_values"}:
        raise InputError(
            f"{folder.path}: its image processor {type(processor).__name__} gives more than pixels of one size; use "
            f"a model with a fixed input size"
        )
    return ProcessorPixels(processor)


def _recipe(processor: Any) -> PixelRecipe | None:
    """What the processor's settings say, None where they say something that a recipe cannot."""
    size = {key: side for key, side in dict(processor.size or {}).items() if side}
    crop_size = dict(processor.crop_size or {}) if getattr(processor, "do_center_crop", False) else None
    crop = (crop_size["height"], crop_size["width"]) if crop_size else None
    scale: tuple[int, ...] | None
    if not processor.do_resize:
        scale = None
    elif set(size) == {"height", "width"}:
        scale = (size["height"], size["width"])
    elif set(size) == {"shortest_edge"}:
        scale, crop = _by_shortest(size["shortest_edge"], getattr(processor, "crop_pct", None), crop)
    else:
        return None
    normalized = processor.do_normalize
    return PixelRecipe(
        scale=scale,
        crop=crop,
        resample=int(processor.resample),
        factor=float(processor.rescale_factor) if processor.do_rescale else 1.0,
        mean=tuple(processor.image_mean) if normalized else (0.0,) * 3,
        std=tuple(processor.image_std) if normalized else (1.0,) * 3,
    )


def _by_shortest(
    side: int, crop_pct: float | None, crop: tuple[int, int] | None
) -> tuple[tuple[int, ...], tuple[int, int] | None]:
    """Scale and crop; ConvNeXT's processor (ResNet's too) scales further by `crop_pct`, but not from 384 up."""
    if crop_pct is None:
        return (side,), crop
    return ((int(side / crop_pct),), (side, side)) if side < 384 else ((side, side), None)


def _agree(recipe: PixelRecipe, processor: Any, size: tuple[int, int]) -> bool:
    import torch
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    ours = recipe.normalize(torch.from_numpy(np.stack([recipe.prepare(image)]))).numpy()
    # Video processors take a clip and give [1, T, 3, H, W]; with one frame that is the same numbers.
    theirs = np.asarray(processor(image, return_tensors="np")["pixel_values"]).reshape(-1)
    return ours.size == theirs.size and bool(np.abs(ours.reshape(-1) - theirs).max() <= _TOLERANCE)


def _keep_ratio(image: "Image", shortest: int) -> tuple[int, int]:
    """(height, width) whose shorter side is `shortest`."""
    return _sides_for(*image.size, shortest)


def _sides_for(width: int, height: int, shortest: int) -> tuple[int, int]:
    """The same of a width and a height."""
    if height <= width:
        return shortest, int(shortest * width / height)
    return int(shortest * height / width), shortest


def _center(pixels: PixelArray, crop: tuple[int, int]) -> PixelArray:
    """The middle `crop` (height, width) of [H, W, 3], on black where the image is smaller."""
    out = np.zeros((*crop, pixels.shape[2]), dtype=pixels.dtype)
    source, target = zip(
        *(_overlap(have, want) for have, want in zip(pixels.shape, crop, strict=False)), strict=True
    )
    out[target] = pixels[source]
    return out


def _overlap(have: int, want: int) -> tuple[slice, slice]:
    """Where a side of `have` pixels is read and where it is written, centred on a side of `want`."""
    if have >= want:
        start = (have - want) // 2
        return slice(start, start + want), slice(0, want)
    start = (want - have + 1) // 2
    return slice(0, have), slice(start, start + have)
