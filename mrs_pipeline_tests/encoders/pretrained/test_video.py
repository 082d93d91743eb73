"""Frames decoded within bounds, and the encoders that look at them."""

import numpy as np
import pytest
import torch

from mrs_pipeline.encoders.base import ContentError
from mrs_pipeline.encoders.registry import open_encoder
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.encoders.video import FrameSampler
from mrs_pipeline.errors import InputError


def sampler(frames=4, max_seconds=100, max_pixels=10**6):
    return FrameSampler(frames, max_seconds, max_pixels)


def reds(images):
    """Mean of the red channel of each frame."""
    return [float(np.asarray(image)[:, :, 0].mean()) for image in images]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "mpeg4"), ("a.avi", "mpeg4"), ("a.mkv", "mpeg4"), ("a.ts", "mpeg2video")]
)
def test_frames_come_evenly_from_the_whole_clip(tmp_path, clip, name, codec):
    clip(tmp_path / name, frames=50, fps=25, codec=codec)
    found = reds(sampler(5).read(tmp_path / name))
    expected = [250 * (1 - share) for share in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert np.allclose(found, expected, atol=16)


def test_long_clips_are_jumped_through(tmp_path, clip, monkeypatch):
    """The same frames with and without jumping to key frames."""
    from mrs_pipeline.encoders import video

    clip(tmp_path / "a.mp4", frames=300, fps=10)
    walked = reds(sampler(5).read(tmp_path / "a.mp4"))
    monkeypatch.setattr(video, "SEEK_BEYOND", 0.5)
    jumped = reds(sampler(5).read(tmp_path / "a.mp4"))
    assert np.allclose(walked, jumped, atol=3)
    assert np.allclose(walked, [250 * (1 - share) for share in (0.1, 0.3, 0.5, 0.7, 0.9)], atol=10)


def test_a_clip_shorter_than_the_frames_repeats(tmp_path, clip):
    clip(tmp_path / "a.mp4", frames=2)
    assert len(sampler(6).read(tmp_path / "a.mp4")) == 6


def test_bounds_hold_by_the_header(tmp_path, clip, monkeypatch):
    from mrs_pipeline.encoders import video

    clip(tmp_path / "a.mp4", frames=30, fps=10)
    monkeypatch.setattr(video, "_frames_at", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ContentError, match=r"lasts 3 s, more than max_seconds = 2"):
        sampler(max_seconds=2).read(tmp_path / "a.mp4")
    with pytest.raises(ContentError, match="64 x 48 pixels, more than max_pixels = 3071"):
        sampler(max_pixels=64 * 48 - 1).read(tmp_path / "a.mp4")


def test_what_is_no_video_is_refused(tmp_path, clip, tone):
    clip(tmp_path / "a.mp4")
    whole = (tmp_path / "a.mp4").read_bytes()
    hostile = {
        "text.mp4": b"I am no video",
        "noise.mp4": np.random.default_rng(0).integers(0, 255, 9999, dtype=np.uint8).tobytes(),
        "cut.mp4": whole[: len(whole) // 2],
        "sound.mp4": tone(),
        "head.mp4": whole[:32],
    }
    for name, data in hostile.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ContentError) as caught:
            sampler().read(tmp_path / name)
        assert str(tmp_path) not in str(caught.value)


def test_a_playlist_cannot_open_other_files(tmp_path, clip):
    clip(tmp_path / "secret.ts", codec="mpeg2video")
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsecret.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.mp4").write_text(playlist)
    (tmp_path / "list.m3u8").write_text(playlist)
    (tmp_path / "concat.mp4").write_text("ffconcat version 1.0\nfile secret.ts\n")
    for name in ("list.mp4", "list.m3u8", "concat.mp4"):
        with pytest.raises(ContentError):
            sampler().read(tmp_path / name)


def test_damage_in_the_middle_costs_frames_not_the_clip(tmp_path, clip):
    clip(tmp_path / "a.ts", frames=100, codec="mpeg2video")
    data = bytearray((tmp_path / "a.ts").read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    (tmp_path / "b.ts").write_bytes(data)
    assert len(sampler(4).read(tmp_path / "b.ts")) == 4


@pytest.mark.parametrize(
    ("kind", "pooling"), [("videomae", "mean"), ("timesformer", "mean"), ("timesformer", "cls")]
)
def test_a_clip_through_a_video_model_is_what_the_library_gives(tmp_path, parse, tiny, clip, kind, pooling):
    from transformers import AutoImageProcessor, AutoModel

    clip(tmp_path / "a.mp4")
    options = parse(modality="video", encoder="transformer", model=str(tiny(kind)), pooling=pooling)
    encoder = open_encoder(options, tmp_path)
    encoder.check_settings()
    loader = encoder.loader()
    payload = loader.decode(loader.read("a.mp4"))
    frames = sampler(4).read(tmp_path / "a.mp4")
    pixels = AutoImageProcessor.from_pretrained(tiny(kind), backend="pil")(frames, return_tensors="pt")[
        "pixel_values"
    ]
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(tiny(kind)).eval()(pixel_values=pixels).last_hidden_state
    # TimeSformer has one class token; VideoMAE has none.
    expected = hidden[:, 0] if pooling == "cls" else hidden[:, (kind == "timesformer") :].mean(1)
    assert np.allclose(encoder.encode([payload]), torch.nn.functional.normalize(expected, dim=-1), atol=1e-5)
    assert encoder.dimensions == 16


def test_video_models_in_the_wrong_place_are_told_the_right_one(tmp_path, parse, tiny):
    with pytest.raises(InputError, match="no class token"):
        options = parse(modality="video", encoder="transformer", model=str(tiny("videomae")), pooling="cls")
        _ = open_encoder(options, tmp_path).dimensions
    with pytest.raises(InputError, match="encoder: frames"):
        options = parse(modality="video", encoder="transformer", model=str(tiny("vit")), pooling="cls")
        open_encoder(options, tmp_path).check_settings()


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_frames_are_encoded_as_images_and_pooled(shop, parse, catalogue, clip, pooling):
    image = {"encoder": "color_gradient", "size": 32}
    options = parse(modality="video", encoder="frames", frames=3, image=image, pooling=pooling)
    clip(shop.media / "a.mp4")
    clip(shop.media / "b.mp4", colors=((0, 200, 0), (0, 200, 0)))
    (shop.media / "bad.mp4").write_text("no video")
    report = shop.extract(options, catalogue(video=["a.mp4", "b.mp4", "bad.mp4", None, "a.mp4"]))
    assert (report.present, report.missing, len(report.failed)) == (3, 1, 1)
    image_encoder = open_encoder(options.image, shop.media)
    vectors = np.stack(
        [image_encoder.loader().prepare(frame) for frame in sampler(3).read(shop.media / "a.mp4")]
    )
    expected = vectors.mean(0) if pooling == "mean" else vectors.max(0)
    assert np.allclose(shop.matrix()[[0, 4]], expected, atol=1e-6)
    assert not np.allclose(shop.matrix()[0], shop.matrix()[1], atol=0.1)


def test_frames_through_a_vision_model_with_workers(shop, parse, catalogue, clip, tiny):
    image = {
        "modality": "image",
        "encoder": "transformer",
        "model": str(tiny("vit")),
        "pooling": "cls",
        "batch_size": 4,
    }
    options = parse(modality="video", encoder="frames", frames=3, image=image)
    for at in range(3):
        clip(shop.media / f"{at}.mp4", colors=((80 * at, 0, 0), (0, 80 * at, 0)))
    items = catalogue(video=["0.mp4", "1.mp4", "2.mp4"])
    shop.extract(options, items, "inline")
    shop.extract(options, items, "pool", settings=EngineSettings(workers=1))
    assert np.allclose(shop.matrix("inline"), shop.matrix("pool"), atol=1e-6)


def test_the_image_encoder_is_part_of_the_fingerprint(tmp_path, parse, tiny):
    def fingerprint(**image):
        return open_encoder(parse(modality="video", encoder="frames", image=image), tmp_path).fingerprint

    model = {"modality": "image", "encoder": "transformer", "model": str(tiny("vit"))}
    assert fingerprint(**model, pooling="cls") != fingerprint(**model, pooling="mean")
    assert fingerprint(**model, pooling="cls") == fingerprint(**model, pooling="cls", batch_size=7)
    assert fingerprint(encoder="color_gradient") != fingerprint(encoder="color_gradient", size=64)


def test_a_file_with_sound_only_is_no_video(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ContentError, match="no video stream"):
        sampler().read(tmp_path / "a.mp4")


def test_a_length_that_no_header_states_is_counted_in_packets(tmp_path, clip, monkeypatch):
    from mrs_pipeline.encoders import video

    clip(tmp_path / "a.mkv", frames=40, fps=10)
    expected = reds(sampler(4).read(tmp_path / "a.mkv"))

    class Silent:
        """A container or a stream whose header states no length."""

        def __init__(self, inner):
            self.inner = inner
            self.duration = None

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def demux(self, stream):
            return self.inner.demux(stream.inner)

    duration = video._duration
    monkeypatch.setattr(
        video, "_duration", lambda container, stream: duration(Silent(container), Silent(stream))
    )
    assert np.allclose(reds(sampler(4).read(tmp_path / "a.mkv")), expected, atol=8)
    monkeypatch.setattr(video, "MAX_PACKETS", 5)
    with pytest.raises(ContentError, match="too many packets"):
        sampler(4).read(tmp_path / "a.mkv")


def test_the_way_to_a_frame_is_bounded(tmp_path, clip, monkeypatch):
    from mrs_pipeline.encoders import video

    clip(tmp_path / "a.mp4", frames=60)
    monkeypatch.setattr(video, "MAX_STEPS", 5)
    with pytest.raises(ContentError, match="too many frames"):
        sampler(2).read(tmp_path / "a.mp4")
