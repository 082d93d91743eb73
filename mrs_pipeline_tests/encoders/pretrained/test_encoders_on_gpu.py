"""Pretrained encoders on each GPU there is give the vectors that they give on the CPU. `pytest -m gpu`."""

import numpy as np
import pytest
import torch
from PIL import Image

from mrs_pipeline.encoders.registry import open_encoder
from mrs_pipeline.encoders.settings import EngineSettings

DEVICES = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.parametrize(
        "device", DEVICES or [pytest.param("cuda", marks=pytest.mark.skip(reason="there is no CUDA device"))]
    ),
]
TEXTS = ["the red wine", "a fast car", "film of the race"]
COLOURS = ((250, 0, 0), (0, 200, 10), (20, 20, 90))


@pytest.fixture
def vectors(parse, tmp_path):
    def _vectors(device: str, payloads: list, **entry) -> np.ndarray:
        encoder = open_encoder(parse(**entry), tmp_path, EngineSettings(device=device))
        if entry["modality"] == "text":
            return np.asarray(encoder.encode(encoder.arrange(payloads)), np.float32)
        loader = encoder.loader()
        return np.asarray(encoder.encode([loader.prepare(payload) for payload in payloads]), np.float32)

    return _vectors


@pytest.mark.parametrize(("precision", "near"), [("float32", 0.9999), ("bfloat16", 0.99), ("float16", 0.999)])
def test_texts(tiny, vectors, device, precision, near):
    entry = {"modality": "text", "encoder": "transformer", "model": str(tiny("bert")), "pooling": "mean"}
    here = vectors("cpu", TEXTS, **entry)
    there = vectors(device, TEXTS, precision=precision, **entry)
    assert (here * there).sum(1).min() > near


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_pictures(tiny, vectors, device, kind):
    pictures = [Image.new("RGB", (60, 48), colour) for colour in COLOURS]
    entry = {"modality": "image", "encoder": "transformer", "model": str(tiny(kind)), "pooling": "mean"}
    here, there = (vectors(where, pictures, **entry) for where in ("cpu", device))
    assert (here * there).sum(1).min() > 0.999
