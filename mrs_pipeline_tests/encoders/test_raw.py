"""Content decoded for trainable encoders: small, aligned, within bounds, taken over where unchanged."""

import zlib

import numpy as np
import polars as pl
import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from mrs_pipeline.encoders.engine import extract_with
from mrs_pipeline.encoders.raw import open_raw, read_raw
from mrs_pipeline.encoders.raw_options import RawOptions
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.encoders.store import PreviousExtraction

SETTINGS = EngineSettings(workers=0, chunk_items=4)


def parsed(**entry):
    return TypeAdapter(RawOptions).validate_python(entry)


@pytest.fixture
def decode(shop):
    def _decode(items: pl.DataFrame, into: str = "out", previous=None, **entry):
        encoder = open_raw(parsed(**entry), shop.media, SETTINGS)
        directory = shop.results / into
        report = extract_with(encoder, items, directory, settings=SETTINGS, previous=previous)
        encoder.write_beside(directory)
        return report, read_raw(directory, "raw")

    return _decode


def test_pictures_are_squares_of_bytes(shop, decode, catalogue):
    names = shop.pictures(5)
    _, content = decode(
        catalogue(image=[names[0], None, *names[1:]]), modality="image", encoder="pixels", size=16
    )
    assert content.values.shape == (6, 3, 16, 16) and content.values.dtype == np.uint8
    assert content.present.tolist() == [True, False, True, True, True, True]
    with Image.open(shop.media / names[2]) as image:
        expected = np.asarray(image.resize((16, 16), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    assert np.array_equal(content.values[3], expected)
    assert content.values.flags.writeable  # a map of one's own: tensors are made of it without a copy
    content.values[0] = 1
    assert read_raw(shop.results / "out", "raw").values[0].max() > 1


def test_hostile_pictures_cost_one_row_each(shop, decode, catalogue, png_bomb):
    good = shop.picture("good.png")
    (shop.media / "cut.png").write_bytes((shop.media / good).read_bytes()[:150])
    (shop.media / "bomb.png").write_bytes(png_bomb(9000))
    (shop.media / "text.png").write_text("I am no picture")
    Image.new("RGB", (20, 20)).save(shop.media / "black.png")
    names = [good, "cut.png", "bomb.png", "text.png", "../outside.png", "black.png"]
    report, content = decode(catalogue(image=names), modality="image", encoder="pixels", size=8)
    assert content.present.tolist() == [True] + [False] * 5
    reasons = {row.path: row.reason for row in report.failed}
    assert set(reasons) == set(names[1:])
    assert "9000 x 9000" in reasons["bomb.png"] and "leaves the media folder" in reasons["../outside.png"]


def test_words_are_numbered_by_their_hash(decode, catalogue):
    texts = ["Red wine, red CAR!", None, "…", " ".join("abcdefghij")]
    items = catalogue(title=texts, description=[None] * 4)
    _, content = decode(items, modality="text", encoder="tokens", length=6, vocabulary=100)
    number = {word: 1 + zlib.crc32(word.encode()) % 99 for word in ("red", "wine", "car")}
    assert content.values.dtype == np.int32 and content.vocabulary == 100
    assert content.values[0].tolist() == [number["red"], number["wine"], number["red"], number["car"], -1, -1]
    assert content.present.tolist() == [True, False, False, True]  # a text without any word says nothing
    assert (content.values[3] > 0).all()


def test_what_has_not_changed_is_taken_over(shop, decode, catalogue):
    names = shop.pictures(6)
    entry = {"modality": "image", "encoder": "pixels", "size": 8}
    _, first = decode(catalogue(image=names[:5]), **entry)
    shop.picture(names[1], (1, 2, 200))
    previous = PreviousExtraction.read(shop.results / "out")
    report, content = decode(catalogue(image=names), "later", previous=previous, **entry)
    assert (report.encoded, report.reused) == (2, 4)
    assert np.array_equal(content.values[[0, 2, 3, 4]], first.values[[0, 2, 3, 4]])
    report, _ = decode(catalogue(image=names), "other", previous=previous, **{**entry, "size": 9})
    assert report.reused == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"modality": "image", "encoder": "pixels", "size": 4000},
        {"modality": "audio", "encoder": "pixels"},
        {"modality": "text", "encoder": "network", "model": "some/hub-model"},
        {"modality": "text", "encoder": "tokens", "dtype": "float32"},
    ],
)
def test_settings_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValidationError):
        parsed(**wrong)
