"""Every kind of file that must not stop a run: refused before it is decoded, masked, reported, remembered."""

import os

import numpy as np
import pytest

from mrs_pipeline.encoders.base import ContentError
from mrs_pipeline.encoders.files import MediaFolder
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.encoders.store import PreviousExtraction


@pytest.fixture
def options(parse):
    return parse(modality="image", encoder="color_gradient", size=32, max_file_mb=0.1)


def test_one_bad_file_of_each_kind_costs_one_row_each(shop, options, catalogue, png_bomb):
    good = shop.picture("good.png")
    media = shop.media
    noise = np.random.default_rng(0).integers(0, 255, 5000, dtype=np.uint8).tobytes()
    (media / "empty.png").write_bytes(b"")
    (media / "cut.png").write_bytes((media / good).read_bytes()[:150])
    (media / "bomb.png").write_bytes(png_bomb(9000))
    (media / "text.png").write_text("I am no picture")
    (media / "noise.jpg").write_bytes(noise)
    (media / "large.png").write_bytes(b"x" * 100_001)
    (media / "folder.png").mkdir()
    (media.parent / "secret.png").write_bytes((media / good).read_bytes())
    (media / "link.png").symlink_to(media.parent / "secret.png")
    os.mkfifo(media / "pipe.png")
    reasons = {
        "empty.png": "file is empty",
        "cut.png": "damaged image",
        "bomb.png": "9000 x 9000 pixels",
        "text.png": "not an image",
        "noise.jpg": "not an image",
        "large.png": "more than max_file_mb = 0.1",
        "folder.png": "not a regular file",
        "pipe.png": "not a regular file",
        "link.png": "leaves the media folder",
        "../secret.png": "leaves the media folder",
        str(media.parent / "secret.png"): "leaves the media folder",
        "nowhere.png": "file not found",
        "good.png/below.png": "path cannot be used",
        "nul\0.png": "path cannot be used",
        "long" * 200: "path cannot be used",
        "http://example.org/a.png": "file not found",
    }
    report = shop.extract(options, catalogue(image=[good, *reasons, None, good]))
    assert (report.present, report.missing, len(report.failed)) == (2, 1, len(reasons))
    for row, (path, reason) in zip(report.failed, reasons.items(), strict=True):
        assert reason in row.reason, path
        assert row.path == path[:200]
        assert "\n" not in row.reason
        # The same file must give the same reason on every machine and in every run.
        assert str(media) not in row.reason and "0x" not in row.reason
    assert np.flatnonzero(shop.present()).tolist() == [0, len(reasons) + 2]
    assert not shop.matrix()[1:-1].any()


def test_a_png_named_jpg_is_read_by_its_content(shop, options, catalogue):
    (shop.media / "really.jpg").write_bytes((shop.media / shop.picture("a.png")).read_bytes())
    assert shop.extract(options, catalogue(image=["really.jpg"])).present == 1


def test_a_bad_file_is_not_decoded_again_but_a_mended_one_is(shop, options, catalogue, monkeypatch):
    items = catalogue(image=[shop.picture("a.png"), "bad.png", "late.png"])
    (shop.media / "bad.png").write_text("no picture")
    first = shop.extract(options, items, "one")
    assert [row.reason for row in first.failed] == [
        "not an image in one of the formats JPEG, PNG, WEBP, GIF, BMP, TIFF",
        "file not found",
    ]
    decoded = []
    import mrs_pipeline.encoders.color_gradient as module

    original = module.decode_image
    monkeypatch.setattr(module, "decode_image", lambda *a, **k: decoded.append(1) or original(*a, **k))
    shop.picture("late.png")
    second = shop.extract(options, items, "two", previous=PreviousExtraction.read(shop.results / "one"))
    assert len(decoded) == 1  # the picture that has come
    assert (second.encoded, second.reused) == (1, 1)
    assert second.failed == first.failed[:1]
    shop.picture("bad.png")
    third = shop.extract(options, items, "three", previous=PreviousExtraction.read(shop.results / "two"))
    assert (third.encoded, third.reused, third.failed) == (1, 2, ())


def test_a_changed_picture_is_seen_in_a_finished_directory(shop, options, catalogue):
    items = catalogue(image=shop.pictures(6))
    shop.extract(options, items)
    before = shop.matrix()
    shop.picture("images/2.png", (1, 250, 3))
    report = shop.extract(options, items)
    assert (report.encoded, report.reused) == (1, 5)
    assert [at for at in range(6) if not np.array_equal(before[at], shop.matrix()[at])] == [2]


def test_worker_processes_give_the_same_matrix(shop, options, catalogue):
    items = catalogue(image=[*shop.pictures(20), "absent.png", None, *shop.pictures(3)])
    shop.extract(options, items, "inline")
    report = shop.extract(options, items, "pool", settings=EngineSettings(workers=2, chunk_items=5))
    assert np.array_equal(shop.matrix("inline"), shop.matrix("pool"))
    assert [row.item for row in report.failed] == [20]


def test_the_size_bound_is_exact(tmp_path):
    (tmp_path / "ten").write_bytes(b"x" * 10)
    assert MediaFolder(tmp_path, 10).read("ten").size == 10
    with pytest.raises(ContentError, match="max_file_mb"):
        MediaFolder(tmp_path, 9).read("ten")
