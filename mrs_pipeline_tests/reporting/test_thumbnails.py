import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mrs_pipeline.errors import InputError
from mrs_pipeline.reporting.thumbnails import item_thumbnail, thumbnail


def decoded(uri):
    head, _, body = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "bmp"])
def test_any_format_becomes_a_small_jpeg_with_its_proportions(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (400, 200), (200, 30, 30)).save(path)
    small = decoded(thumbnail(path))
    assert small.size == (96, 48)
    assert np.abs(np.asarray(small, np.int64)[24, 48] - [200, 30, 30]).max() < 12


def test_small_pictures_are_not_blown_up_and_size_is_honoured(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (20, 10)).save(path)
    assert decoded(thumbnail(path)).size == (20, 10)
    assert decoded(thumbnail(path, size=10)).size == (10, 5)


def test_transparency_lies_on_white(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGBA", (50, 50), (255, 0, 0, 0)).save(path)
    assert np.asarray(decoded(thumbnail(path))).min() > 245


def test_rotated_photographs_stand_upright(tmp_path):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 40)).save(path, exif=exif)
    assert decoded(thumbnail(path)).size == (40, 80)


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_a_bomb_is_refused_before_decoding(tmp_path, side):
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(InputError, match=r"bomb\.png"):
        thumbnail(path)


def test_damaged_absent_and_foreign_files_are_named(tmp_path):
    whole = tmp_path / "whole.jpg"
    Image.effect_noise((300, 300), 80).convert("RGB").save(whole)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:2000])
    text = tmp_path / "page.jpg"
    text.write_text("<svg onload=alert(1)>")
    for path in (cut, text, tmp_path / "absent.png"):
        with pytest.raises(InputError, match=path.name.replace(".", r"\.")):
            thumbnail(path)


def test_a_catalogue_path_stays_inside_its_folder(tmp_path):
    inside = tmp_path / "media"
    inside.mkdir()
    for folder in (tmp_path, inside):
        Image.new("RGB", (10, 10)).save(folder / "a.png")
    assert decoded(item_thumbnail(inside, "a.png")).size == (10, 10)
    for reference in (None, "", "../a.png", str(tmp_path / "a.png"), "absent.png"):
        assert item_thumbnail(inside, reference) is None
