"""A network and its own preprocessing, kept with the decoded content, and rebuilt without opening a file."""

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import TypeAdapter

from mrs_pipeline.encoders.engine import extract_with
from mrs_pipeline.encoders.raw import open_raw, read_raw
from mrs_pipeline.encoders.raw_options import RawOptions
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.errors import InputError
from mrs_pipeline.models.inputs import RawTensors
from mrs_pipeline.models.layers.content_encoders import build_encoder

SETTINGS = EngineSettings(workers=0)


@pytest.fixture
def decode(shop):
    def _decode(items, **entry):
        encoder = open_raw(
            TypeAdapter(RawOptions).validate_python({"encoder": "network", **entry}), shop.media, SETTINGS
        )
        extract_with(encoder, items, shop.results / "out", settings=SETTINGS)
        encoder.write_beside(shop.results / "out")
        return read_raw(shop.results / "out", "raw")

    return _decode


def vectors(content) -> np.ndarray:
    raw = RawTensors(torch.from_numpy(content.values), torch.from_numpy(content.present), content)
    encoder = build_encoder(raw, 64, torch.Generator())
    assert encoder.width == 16
    with torch.no_grad():
        return encoder(raw.values).numpy()


@pytest.mark.parametrize("kind", ["vit", "deit", "resnet", "swin"])
def test_pictures_as_the_library_sees_them(tiny, shop, decode, catalogue, kind):
    from transformers import AutoImageProcessor, AutoModel

    names = shop.pictures(3)
    content = decode(catalogue(image=names), modality="image", model=str(tiny(kind)))
    processor = AutoImageProcessor.from_pretrained(tiny(kind), backend="pil")
    images = [Image.open(shop.media / name).convert("RGB") for name in names]
    with torch.no_grad():
        pixels = processor(images, return_tensors="pt")["pixel_values"]
        states = AutoModel.from_pretrained(tiny(kind)).eval()(pixel_values=pixels).last_hidden_state
    expected = states.mean((2, 3)) if states.ndim == 4 else states.mean(1)
    assert np.allclose(vectors(content), expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "gpt2"])
def test_texts_as_the_library_sees_them(tiny, decode, catalogue, kind):
    from transformers import AutoModel, AutoTokenizer

    texts = ["the red wine", "a fast car of the dark race"]
    content = decode(
        catalogue(title=texts, description=[None] * 2), modality="text", model=str(tiny(kind)), length=12
    )
    assert content.values.shape == (2, 12) and (content.values[0, 5:] == -1).all()
    tokenizer = AutoTokenizer.from_pretrained(tiny(kind))
    model = AutoModel.from_pretrained(tiny(kind)).eval()
    with torch.no_grad():
        expected = [
            model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0) for text in texts
        ]
    assert np.allclose(vectors(content), torch.stack(expected), atol=1e-4)


def test_models_that_do_not_fit_are_refused(tiny, shop, decode, catalogue):
    items = catalogue(title=["red"], description=[None], image=[shop.picture("a.png")])
    with pytest.raises(InputError, match="length 30 is more than the 24 places"):
        decode(items, modality="text", model=str(tiny("bert")), length=30)
    with pytest.raises(InputError, match="a tower for pictures and one for texts"):
        decode(items, modality="image", model=str(tiny("clip")))
    with pytest.raises(InputError, match="no pixels of one size"):
        decode(items, modality="image", model=str(tiny("levit")))
    with pytest.raises(InputError, match="holds no config.json"):
        decode(items, modality="image", model=str(shop.media))
