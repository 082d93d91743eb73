"""Audio models against the library's own computation, window by window."""

import numpy as np
import pytest
import torch

from mrs_pipeline.encoders.audio import Windows
from mrs_pipeline.encoders.audio_transformer import clip_means, natural_seconds, open_extractor
from mrs_pipeline.encoders.pretrained import TransformersNetwork
from mrs_pipeline.encoders.registry import open_encoder
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.errors import InputError

KINDS = ["ast", "clap", "wav2vec2", "hubert", "whisper"]


@pytest.fixture
def entry(parse, tiny):
    def _entry(kind, **rest):
        return parse(modality="audio", encoder="transformer", model=str(tiny(kind)), **rest)

    return _entry


def library(folder, window, kind):
    """The vector of one window by the library alone."""
    from transformers import AutoFeatureExtractor, AutoModel

    extractor, module = AutoFeatureExtractor.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    more = {"truncation": "rand_trunc"} if kind == "clap" else {}
    features = extractor(window, sampling_rate=extractor.sampling_rate, return_tensors="pt", **more)
    with torch.inference_mode():
        match kind:
            case "clap":
                vector = module.get_audio_features(input_features=features["input_features"]).pooler_output[0]
            case "whisper":
                vector = module.get_encoder()(features["input_features"]).last_hidden_state[0].mean(0)
            case "ast":
                vector = module(features["input_values"]).last_hidden_state[0, 0]
            case _:
                vector = module(features["input_values"]).last_hidden_state[0].mean(0)
    return torch.nn.functional.normalize(vector, dim=0).numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_is_the_mean_of_its_windows(tmp_path, tiny, entry, tone, kind):
    options = entry(kind, windows=2, window_seconds=None if kind in ("ast", "clap", "whisper") else 0.5)
    encoder = open_encoder(options, tmp_path)
    encoder.check_settings()
    rate = open_extractor(TransformersNetwork(options, EngineSettings())).sampling_rate
    seconds = options.window_seconds or natural_seconds(
        open_extractor(TransformersNetwork(options, EngineSettings()))
    )
    data = tone(seconds=5, hertz=330, rate=rate)
    windows = Windows(rate, seconds, 2, 100).read(data)
    expected = np.mean([library(tiny(kind), window, kind) for window in windows], axis=0)
    loader = encoder.loader()
    (vector,) = encoder.encode([loader.extract(loader.windows.read(data))])
    assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-4)
    assert encoder.dimensions == len(vector)


@pytest.mark.parametrize("kind", KINDS)
def test_a_vector_does_not_depend_on_its_neighbours(tmp_path, entry, tone, kind):
    encoder = open_encoder(entry(kind, batch_size=3, windows=3), tmp_path)
    loader = encoder.loader()
    clips = [tone(seconds=seconds, hertz=200 * (at + 1)) for at, seconds in enumerate([0.2, 1, 4, 25])]
    payloads = [loader.extract(loader.windows.read(clip)) for clip in clips]
    together = encoder.encode(payloads)
    assert np.allclose(
        together, np.concatenate([encoder.encode([payload]) for payload in payloads]), atol=1e-5
    )
    assert len(np.unique(together.round(4), axis=0)) == 4


def test_ast_can_be_pooled_over_its_patches(tmp_path, entry, tone):
    vectors = []
    for pooling in (None, "cls", "mean"):
        encoder = open_encoder(entry("ast", pooling=pooling), tmp_path)
        loader = encoder.loader()
        vectors.append(encoder.encode([loader.extract(loader.windows.read(tone()))])[0])
    assert np.allclose(vectors[0], vectors[1])
    assert not np.allclose(vectors[1], vectors[2])


@pytest.mark.parametrize(
    ("kind", "pooling", "sentence"),
    [("clap", "mean", "leave pooling out"), ("whisper", "cls", "write pooling: mean")],
)
def test_poolings_that_do_not_exist_are_refused(tmp_path, entry, kind, pooling, sentence):
    with pytest.raises(InputError, match=sentence):
        open_encoder(entry(kind, pooling=pooling), tmp_path).check_settings()


def test_natural_lengths(entry, tiny):
    lengths = {
        kind: natural_seconds(open_extractor(TransformersNetwork(entry(kind), EngineSettings())))
        for kind in KINDS
    }
    assert lengths == pytest.approx({"ast": 0.335, "clap": 1, "wav2vec2": 10, "hubert": 10, "whisper": 2})


def test_clip_means_are_of_each_clips_own_windows():
    vectors = np.array([[1, 0], [3, 0], [0, 5], [2, 2]], dtype=np.float32)
    assert clip_means(vectors, [2, 1, 1], normalize=False).tolist() == [[2, 0], [0, 5], [2, 2]]
    assert np.allclose(np.linalg.norm(clip_means(vectors, [2, 1, 1], normalize=True), axis=1), 1)


def test_files_to_matrix(shop, entry, catalogue, tone):
    for at in range(4):
        (shop.media / f"{at}.ogg").write_bytes(tone(seconds=1, hertz=300 + 200 * at, kind="OGG"))
    (shop.media / "empty.ogg").write_bytes(b"")
    items = catalogue(audio=["0.ogg", "1.ogg", "empty.ogg", None, "2.ogg", "3.ogg"])
    report = shop.extract(entry("wav2vec2", window_seconds=0.5), items)
    assert (report.present, report.missing, len(report.failed)) == (4, 1, 1)
    again = shop.extract(entry("wav2vec2", window_seconds=0.5), items)
    assert (again.encoded, again.reused) == (0, 4)
