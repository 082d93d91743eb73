"""Audio within bounds, and the classical statistics."""

import io

import numpy as np
import pytest
import soundfile

from mrs_pipeline.encoders.audio import Windows
from mrs_pipeline.encoders.base import ContentError
from mrs_pipeline.encoders.log_mel import FRAME, RATE, log_mel, mel_filters, statistics


def encoded(samples, rate=RATE, kind="WAV", **how) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, **how)
    return buffer.getvalue()


def tone(seconds=1.0, hertz=440.0, rate=RATE):
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def windows(seconds=1.0, most=3, max_seconds=100, rate=RATE):
    return Windows(rate, seconds, most, max_seconds)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_every_format_and_rate_becomes_the_same_tone(kind, rate):
    (heard,) = windows(most=1).read(encoded(np.stack([tone(1.5, rate=rate)] * 2, axis=1), rate, kind))
    assert heard.shape == (RATE,)
    assert heard.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert abs(int(spectrum.argmax()) - 440) <= 1


def test_windows_are_spread_over_the_whole_clip():
    steps = np.repeat([0.1, 0.2, 0.3, 0.4, 0.5], RATE)
    found = [float(np.median(window)) for window in windows(seconds=1, most=3).read(encoded(steps))]
    assert found == pytest.approx([0.1, 0.3, 0.5], abs=0.01)


@pytest.mark.parametrize(("seconds", "count"), [(0.5, 1), (1.9, 1), (2.0, 2), (60, 3)])
def test_windows_do_not_overlap(seconds, count):
    assert len(windows(seconds=1, most=3).read(encoded(tone(seconds)))) == count


def test_a_short_clip_is_repeated():
    heard = windows(seconds=1).read(encoded(tone(0.25)))[0]
    assert np.allclose(heard[: RATE // 4], heard[RATE // 4 : RATE // 2], atol=1e-6)


def test_four_hours_are_refused_by_the_header(monkeypatch):
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 8_000, 1, format="FLAC") as file:
        for _ in range(4 * 6):
            file.write(np.zeros(8_000 * 600, dtype=np.int16))
    data = buffer.getvalue()
    assert len(data) < 5_000_000
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(ContentError, match=r"lasts 14,400 s, more than max_seconds = 3600"):
        windows(max_seconds=3600).read(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not audio"),
        (b"no audio at all", "not audio"),
        (encoded(tone())[:30], "not audio"),
        (encoded(np.zeros(0)), "too short"),
        (encoded(tone(0.01)), "too short"),
        (encoded(np.full(RATE, np.nan), subtype="FLOAT"), "not finite"),
        (encoded(tone(), rate=500), "500 Hz"),
        (encoded(np.zeros((RATE, 9))), "9 channels"),
    ],
)
def test_what_cannot_be_heard_is_refused(data, reason):
    with pytest.raises(ContentError, match=reason) as caught:
        windows().read(data)
    assert "0x" not in str(caught.value)


def test_a_truncated_file_is_refused():
    rng = np.random.default_rng(0)
    whole = encoded(rng.normal(0, 0.1, 20 * RATE), kind="FLAC")
    with pytest.raises(ContentError, match=r"truncated|not audio"):
        windows().read(whole[: len(whole) // 3])


@pytest.fixture
def options(parse):
    return parse(modality="audio", encoder="log_mel", bands=40, coefficients=13)


def test_mel_filters_are_those_of_the_reference():
    librosa_filters = pytest.importorskip("librosa.filters")
    reference = librosa_filters.mel(sr=RATE, n_fft=FRAME, n_mels=40)
    assert np.allclose(mel_filters(40), reference, atol=1e-6)


def test_the_spectrogram_is_that_of_a_naive_loop():
    samples = np.random.default_rng(0).normal(size=4000).astype(np.float32)
    window = np.sin(np.pi * np.arange(FRAME) / FRAME) ** 2
    naive = []
    for start in range(0, len(samples) - FRAME + 1, 512):
        power = np.abs(np.fft.rfft(samples[start : start + FRAME] * window)) ** 2
        naive.append([10 * np.log10(max(float(power @ row), 1e-10)) for row in mel_filters(40)])
    assert np.allclose(log_mel(samples, 40), naive, atol=1e-6)


def test_the_width_is_what_the_options_promise(shop, options, catalogue):
    (shop.media / "a.wav").write_bytes(encoded(tone()))
    report = shop.extract(options, catalogue(audio=["a.wav"]))
    assert report.dimensions == 2 * 40 + 3 * 13


def test_sounds_alike_are_near_and_loudness_does_not_count(options):
    rng = np.random.default_rng(0)
    low, low_again, high = (tone(2, hertz) + rng.normal(0, 0.01, 2 * RATE) for hertz in (300, 310, 3000))
    vectors = [statistics([sound.astype(np.float32)], options) for sound in (low, low_again, high, 0.1 * low)]
    distances = [float(np.linalg.norm(vectors[0] - vector)) for vector in vectors]
    assert distances[1] < 0.5 * distances[2]
    assert distances[3] < 1e-3


def test_silence_is_a_vector_too(options):
    assert np.isfinite(statistics([np.zeros(RATE, dtype=np.float32)], options)).all()


def test_hostile_files_cost_one_row_each(shop, options, catalogue):
    (shop.media / "good.ogg").write_bytes(encoded(tone(), kind="OGG"))
    (shop.media / "empty.wav").write_bytes(b"")
    (shop.media / "text.mp3").write_text("no audio")
    (shop.media / "short.wav").write_bytes(encoded(np.zeros(0)))
    items = catalogue(audio=["good.ogg", "empty.wav", "text.mp3", "short.wav", "none.wav", "../up.wav", None])
    report = shop.extract(options, items)
    assert (report.present, report.missing) == (1, 1)
    reasons = [row.reason for row in report.failed]
    assert [reason.split(" ")[0] for reason in reasons] == ["file", "not", "audio", "file", "path"]


def test_real_clips_of_one_genre_are_nearer(packs, parse, tmp_path):
    """A sample of real music: the nearest neighbour shares the genre far more often than chance (one in four)."""
    import polars as pl

    from mrs_pipeline.encoders.diagnostics import unit_vectors
    from mrs_pipeline.encoders.engine import extract

    root = packs / "emotify-audio"
    items = pl.read_csv(root / "items.csv", schema_overrides={"item_id": pl.String})
    items = items.gather_every(5).drop("description").with_row_index("item").cast({"item": pl.Int64})
    report = extract(parse(modality="audio", encoder="log_mel"), items, root, tmp_path)
    assert report.present == len(items) == 80
    values = np.load(tmp_path / "matrix.npy")
    unit = unit_vectors(values - values.mean(0))
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -1)
    genres = items["category"].to_numpy()
    assert (genres[similarity.argmax(1)] == genres).mean() > 0.4
