"""Small inline pictures for a page that fetches nothing. Reading and decoding within bounds: `encoders`."""

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from mrs_pipeline.encoders.base import ContentError
from mrs_pipeline.encoders.files import MEGABYTE, MediaFolder
from mrs_pipeline.encoders.images import decode_image
from mrs_pipeline.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

THUMBNAIL_SIZE = 96
"""Longest side of a thumbnail in pixels."""
MAX_PIXELS = 50_000_000
MAX_BYTES = 64 * MEGABYTE


def thumbnail(path: Path, size: int = THUMBNAIL_SIZE) -> str:
    """A picture as a JPEG `data:` URI.

    Args:
        path: a picture in a raster format.
        size: longest side in pixels; smaller pictures stay as they are.

    Raises:
        InputError: the file is absent, no picture, damaged, or announces more than `MAX_PIXELS`.
    """
    try:
        return _data_uri(_read(path.parent, path.name, size), size)
    except ContentError as error:
        raise InputError(f"The picture {path} cannot be shown: {error}; replace or remove it.") from error


def item_thumbnail(root: Path, reference: str | None, size: int = THUMBNAIL_SIZE) -> str | None:
    """The thumbnail of a catalogue's media path, or None where there is no usable picture.

    Extraction records why a picture cannot be used; a report shows a placeholder and goes on.

    Args:
        root: the folder that media may come from; a path that leaves it is not usable.
        reference: relative path, None where the item has no picture.
        size: longest side in pixels.
    """
    if not reference:
        return None
    try:
        return _data_uri(_read(root, reference, size), size)
    except ContentError:
        return None


def bytes_thumbnail(data: bytes, size: int = THUMBNAIL_SIZE) -> str | None:
    """The same of the bytes of a picture."""
    try:
        return _data_uri(decode_image(data, max_pixels=MAX_PIXELS, shortest=size), size)
    except ContentError:
        return None


def _read(root: Path, reference: str, size: int) -> "Image":
    data = MediaFolder(root, MAX_BYTES).read(reference).data
    return decode_image(data, max_pixels=MAX_PIXELS, shortest=size)


def _data_uri(picture: "Image", size: int) -> str:
    picture.thumbnail((size, size))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
