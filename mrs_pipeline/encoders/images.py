"""Images decoded within bounds: format by content, pixels by header, one frame, upright, on white.

What an encoder makes of the pixels belongs to the encoder.
"""

import io
import warnings
from typing import TYPE_CHECKING

from mrs_pipeline.encoders.base import ContentError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""Raster formats only: Pillow hands some others (EPS) to outside programs."""


def decode_image(data: bytes, *, max_pixels: int, shortest: int) -> "Image":
    """An RGB image whose shorter side is at least `shortest` where the original allows it.

    The header is read first; an image that promises more than `max_pixels` is never decoded. JPEGs are
    decoded at the smallest power-of-two scale that keeps `shortest`, which saves most of the work on large
    photographs.

    Raises:
        ContentError: not an image of `FORMATS`, truncated, or too many pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Our own bound below decides; Pillow's warning about large images would only repeat it.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(io.BytesIO(data), formats=FORMATS)
        with opened as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ContentError(
                    f"image has {width} x {height} pixels, more than max_pixels = {max_pixels}"
                )
            image.draft("RGB", (shortest, shortest))
            return _on_white(ImageOps.exif_transpose(image))
    except ContentError:
        raise
    except Image.DecompressionBombError:
        raise ContentError(f"image has more than max_pixels = {max_pixels} pixels") from None
    except UnidentifiedImageError:
        raise ContentError(f"not an image in one of the formats {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow's decoders raise what they please on damaged files
        raise ContentError(f"damaged image: {error}") from None


def _on_white(image: "Image") -> "Image":
    """Three colour channels; what is transparent becomes white, as a shop page would show it."""
    from PIL import Image

    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")
