"""Images decoded within bounds: format by content, pixels by header, one frame, upright, on white.

What an encoder makes of the pixels belongs to the encoder.
"""

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np

from mrs_pipeline.encoders.base import ContentError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""Raster formats only: Pillow hands some others (EPS) to outside programs."""
_BRANDS = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"mif1", b"msf1"), "HEIF"),
}
"""What stands in bytes 8 to 12 of formats that Pillow reads through a plugin only."""


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
            opened = Image.open(io.BytesIO(data), formats=(*FORMATS, *_plugin(data)))
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


def _plugin(data: bytes) -> tuple[str, ...]:
    """The format beyond `FORMATS` that the data are in, once what reads it is there.

    Raises:
        ContentError: nothing that is installed reads the format.
    """
    from PIL import features

    wanted = _BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" else None
    if wanted is None:
        return ()
    if wanted == "AVIF":
        if features.check("avif"):
            return (wanted,)
        raise ContentError("AVIF image; this Pillow cannot decode it: install version 11.3 or later")
    try:
        import pillow_heif
    except ImportError:
        raise ContentError(
            f"{wanted} image; install pillow-heif (`pip install 'mrs-pipeline[heif]'`) to have it decoded"
        ) from None
    pillow_heif.register_heif_opener()
    return (wanted,)


def _eight_bits(image: "Image") -> "Image":
    """An image of large integers or floats as 8-bit grey; Pillow's own conversion would cut values off.

    16-bit values are scaled by their format's range. Others have none: 0 to 1, 0 to 255 and 0 to 65535 are taken as
    what they are, anything else is stretched from its lowest to its highest value.
    """
    from PIL import Image

    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    tops = (
        (65535.0,)
        if image.mode.startswith("I;16")
        else (1.0, 255.0, 65535.0)
        if image.mode == "F"
        else (255.0, 65535.0)
    )
    top = next((top for top in tops if low >= 0 and high <= top), None)
    if top is None:
        values, top = values - low, max(high - low, 1e-12)
    return Image.fromarray(np.rint(values * (255.0 / top)).astype(np.uint8), "L")


def _on_white(image: "Image") -> "Image":
    """Three colour channels; what is transparent becomes white, as a shop page would show it."""
    from PIL import Image

    if image.mode == "F" or image.mode.startswith("I"):
        return _eight_bits(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")
