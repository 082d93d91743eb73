import io

import numpy as np
import pytest
from PIL import Image

from mrs_pipeline.encoders.base import ContentError
from mrs_pipeline.encoders.color_gradient import describe
from mrs_pipeline.encoders.images import decode_image


def encoded(image: Image.Image, kind: str = "PNG", **how) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def decode(data: bytes, max_pixels: int = 10**6, shortest: int = 32) -> Image.Image:
    return decode_image(data, max_pixels=max_pixels, shortest=shortest)


def test_a_decompression_bomb_is_refused_by_its_header(png_bomb):
    with pytest.raises(ContentError, match=r"12000 x 12000 pixels, more than max_pixels"):
        decode(png_bomb(12_000), max_pixels=50_000_000)


def test_a_bomb_beyond_pillows_own_bound_is_refused_too(png_bomb):
    with pytest.raises(ContentError, match="max_pixels"):
        decode(png_bomb(60_000))


def test_the_pixel_bound_is_exact():
    data = encoded(Image.new("RGB", (100, 100)))
    assert decode(data, max_pixels=10_000).size == (100, 100)
    with pytest.raises(ContentError, match="max_pixels = 9999"):
        decode(data, max_pixels=9_999)


def test_a_truncated_jpeg_is_damaged():
    rng = np.random.default_rng(0)
    data = encoded(Image.fromarray(rng.integers(0, 255, (90, 90, 3), dtype=np.uint8)), "JPEG")
    with pytest.raises(ContentError, match="damaged image"):
        decode(data[: len(data) // 2])


@pytest.mark.parametrize(
    "data", [b"just text", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n\x1a\n", b"GIF89a"]
)
def test_what_is_no_raster_image_is_refused(data):
    with pytest.raises(ContentError):
        decode(data)


def test_transparency_becomes_white():
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    assert np.asarray(decode(encoded(clear))).min() == 255


def test_pictures_are_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    assert decode(encoded(Image.new("RGB", (80, 40)), "JPEG", exif=exif)).size == (40, 80)


def test_large_jpegs_are_decoded_small():
    data = encoded(Image.new("RGB", (960, 960)), "JPEG")
    assert decode(data, shortest=100).size == (120, 120)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "I;16"])
def test_every_mode_becomes_three_channels(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert decode(encoded(Image.new(mode, (40, 40)), kind)).mode == "RGB"


def test_the_descriptor_has_length_one_and_tells_colour_and_shape_apart(parse):
    options = parse(modality="image", encoder="color_gradient", size=64)
    red, red_again, blue = (
        Image.new("RGB", (64, 64), color) for color in ((220, 0, 0), (225, 5, 5), (0, 0, 220))
    )
    stripes = Image.fromarray(np.tile([0] * 4 + [255] * 4, (64, 8)).astype(np.uint8)).convert("RGB")
    turned = stripes.rotate(90)
    red, red_again, blue, stripes, turned = (
        describe(image, options) for image in (red, red_again, blue, stripes, turned)
    )
    assert np.linalg.norm(stripes) == pytest.approx(1)
    assert red @ red_again > 0.9 > red @ blue
    assert stripes @ stripes > stripes @ turned + 0.2


def test_the_width_is_what_the_options_promise(shop, parse, catalogue):
    options = parse(modality="image", encoder="color_gradient", size=64, cells=2, orientations=8)
    report = shop.extract(options, catalogue(image=shop.pictures(3)))
    assert report.dimensions == 8 * 3 * 3 + (1 * 2) ** 2 * 8
