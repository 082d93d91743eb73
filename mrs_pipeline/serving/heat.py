"""Where a model looks in a picture: the grid of its attention laid over the picture that it saw."""

import base64
import io
from typing import TYPE_CHECKING, Final

import numpy as np

from mrs_pipeline.encoders.base import Box, Encoder
from mrs_pipeline.encoders.registry import open_encoder
from mrs_pipeline.serving.bundle import Bundle
from mrs_pipeline.types import FloatArray

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE: Final = "image"
"""The modality whose maps can be drawn."""
_COLOUR: Final = (220, 30, 30)
_OPAQUE: Final = 0.75
"""Of the colour where most attention goes."""


def encoder_of_map(bundle: Bundle) -> Encoder | None:
    """The encoder whose regions the model attends to; None where it attends to none of pictures."""
    if IMAGE not in bundle.data.tokens:
        return None
    config = bundle.stage.config
    return open_encoder(config.feature(config.model_tokens[IMAGE]), bundle.shelf.root)


def with_heat(picture: "Image", weights: FloatArray, box: Box) -> "Image":
    """The picture, red where attention is above an equal share, grey where the encoder does not look.

    Args:
        picture: RGB, the whole of it.
        weights: [rows, columns] that sum to one.
        box: what of the picture the grid covers, in shares of its sides.
    """
    from PIL import Image

    above = np.clip(weights - 1 / weights.size, 0, None)
    heat = Image.fromarray((255 * above / max(float(above.max()), 1e-9)).astype(np.uint8))
    width, height = picture.size
    left, top, right, bottom = (
        round(share * side) for share, side in zip(box, (width, height, width, height), strict=True)
    )
    size = (max(right - left, 1), max(bottom - top, 1))
    mask = Image.new("L", picture.size)
    mask.paste(
        heat.resize(size, Image.Resampling.BICUBIC).point(lambda value: int(_OPAQUE * value)), (left, top)
    )
    seen = Image.new("L", picture.size)
    seen.paste(255, (left, top, left + size[0], top + size[1]))
    shown = Image.composite(picture, picture.convert("L").convert("RGB"), seen)
    return Image.composite(Image.new("RGB", picture.size, _COLOUR), shown, mask)


def opened(uri: str) -> "Image":
    """The picture of a `data:` URI."""
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")


def as_uri(picture: "Image") -> str:
    """The picture as a `data:` URI."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
