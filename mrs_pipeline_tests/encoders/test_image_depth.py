"""Images of more than eight bits decode by their range; formats beyond Pillow's own are read by a plugin or named."""

import io

import numpy as np
import pytest
from PIL import Image, features

from mrs_pipeline.encoders.base import ContentError
from mrs_pipeline.encoders.images import decode_image

RAMP = np.tile(np.linspace(0, 1, 64), (48, 1))


def decoded(pixels: np.ndarray, file_format: str) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format)
    image = decode_image(buffer.getvalue(), max_pixels=10_000, shortest=1)
    assert image.mode == "RGB"
    return np.asarray(image)[..., 0].astype(int)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bits(file_format: str) -> None:
    eight = decoded(np.rint(RAMP * 255).astype(np.uint8), file_format)
    sixteen = decoded(np.rint(RAMP * 65535).astype(np.uint16), file_format)
    assert np.abs(eight - sixteen).max() <= 1
    assert len(np.unique(sixteen)) == 64


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (0, 65535), (-3, 7), (0, 1e6)])
def test_floats(low: float, high: float) -> None:
    floats = decoded((low + RAMP * (high - low)).astype(np.float32), "TIFF")
    assert np.abs(floats - np.rint(RAMP * 255)).max() <= 1


def test_integers_of_32_bits_and_what_is_not_finite() -> None:
    assert np.abs(decoded(np.rint(RAMP * 65535).astype(np.int32), "TIFF") - np.rint(RAMP * 255)).max() <= 1
    odd = RAMP.astype(np.float32).copy()
    odd[0, :3] = [np.nan, np.inf, -np.inf]
    assert np.abs(decoded(odd, "TIFF")[1:] - np.rint(RAMP * 255)[1:]).max() <= 1
    assert decoded(np.full((4, 4), 7e6, np.float32), "TIFF").max() == 0


@pytest.mark.skipif(not features.check("avif"), reason="Pillow was built without AVIF")
def test_avif() -> None:
    assert np.abs(decoded(np.rint(RAMP * 255).astype(np.uint8), "AVIF") - RAMP * 255).max() < 12


def test_heic_without_its_plugin_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(ContentError, match="^HEIF image; install pillow-heif .* to have it decoded$"):
        decode_image(b"\0\0\0\x18ftypheic" + b"\0" * 32, max_pixels=10_000, shortest=1)


def test_heic_with_its_plugin() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pixels = np.repeat(np.rint(RAMP * 255).astype(np.uint8)[..., None], 3, axis=2)
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(buffer, quality=95)
    image = decode_image(buffer.getvalue(), max_pixels=10_000, shortest=1)
    assert np.abs(np.asarray(image)[..., 0].astype(int) - pixels[..., 0]).max() < 12
    with pytest.raises(ContentError, match="more than max_pixels = 100"):
        decode_image(buffer.getvalue(), max_pixels=100, shortest=1)


def test_avif_that_pillow_cannot_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(
        ContentError, match="^AVIF image; this Pillow cannot decode it: install version 11.3 or later$"
    ):
        decode_image(b"\0\0\0\x18ftypavif" + b"\0" * 32, max_pixels=10_000, shortest=1)
