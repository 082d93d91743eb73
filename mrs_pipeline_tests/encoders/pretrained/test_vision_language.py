"""Vision-language models as encoders of pictures: hidden states of picture and prompt, by a tiny random model."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from mrs_pipeline.encoders.registry import open_encoder
from mrs_pipeline.errors import InputError

PROMPT = "the red wine of the race"


@pytest.fixture
def entry(tiny):
    def _entry(**changed):
        shared = {
            "modality": "image",
            "encoder": "vision_language",
            "model": str(tiny("llava")),
            "prompt": PROMPT,
        }
        return {**shared, **changed}

    return _entry


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_the_hidden_states_of_picture_and_prompt(shop, parse, catalogue, entry, tiny, pooling):
    """Against the library's own classes, one picture at a time and without our loader."""
    import transformers as hf

    names = [*shop.pictures(3), None, "absent.png"]
    report = shop.extract(parse(**entry(pooling=pooling, batch_size=2)), catalogue(image=names))
    assert (report.present, report.missing, len(report.failed), report.dimensions) == (3, 1, 1, 16)
    folder = tiny("llava")
    model = hf.LlavaForConditionalGeneration.from_pretrained(folder).model.eval()
    processor = hf.LlavaProcessor.from_pretrained(folder, backend="pil")
    for row, name in enumerate(names[:3]):
        image = Image.open(shop.media / name)
        inputs = processor(text=f"<image>\n{PROMPT}", images=image, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(**inputs).last_hidden_state[0]
        expected = hidden[-1] if pooling == "last" else hidden.mean(0)
        assert np.allclose(shop.matrix()[row], (expected / expected.norm()).numpy(), atol=1e-5)


def test_the_prompt_is_heard_and_decides(shop, parse, catalogue, entry):
    items = catalogue(image=shop.pictures(2))
    first = shop.extract(parse(**entry()), items, "one")
    other = shop.extract(parse(**entry(prompt="a dark film")), items, "two")
    assert first.fingerprint != other.fingerprint
    assert not np.allclose(shop.matrix("one"), shop.matrix("two"), atol=1e-3)
    assert not np.allclose(shop.matrix("one")[0], shop.matrix("one")[1], atol=1e-5), "pictures are seen"


def test_a_chat_template_is_followed(parse, entry, tiny, tmp_path):
    folder = shutil.copytree(tiny("llava"), tmp_path / "chatty")
    part = "{{ c.text if c.type == 'text' else '<image>' }} "
    template = "{% for m in messages %}{% for c in m.content %}" + part + "{% endfor %}{% endfor %}:"
    (folder / "chat_template.jinja").write_text(template)
    plain = open_encoder(parse(**entry()), tmp_path)
    chatty = open_encoder(parse(**entry(model=str(folder))), tmp_path)
    assert chatty._text == f"<image> {PROMPT} :"
    assert plain.fingerprint != chatty.fingerprint, "the template is one of the model's files"
    picture = np.full((40, 40, 3), 90, dtype=np.uint8)
    assert not np.allclose(plain.encode([picture]), chatty.encode([picture]), atol=1e-4)


@pytest.mark.parametrize("kind", ["vit", "clip"])
def test_models_that_read_no_pictures_among_words_are_refused(parse, entry, tiny, tmp_path, kind):
    encoder = open_encoder(parse(**entry(model=str(tiny(kind)))), tmp_path)
    with pytest.raises(InputError, match="no token for a picture among words; write encoder: transformer"):
        encoder.check_settings()


def test_a_hub_model_is_pinned_and_brings_no_code(parse, entry, tiny, tmp_path):
    with pytest.raises(ValidationError, match="full 40-digit commit"):
        parse(**entry(model="org/vlm"))
    folder = shutil.copytree(tiny("llava"), tmp_path / "evil")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "invented", "auto_map": {"AutoConfig": "evil.C", "AutoModel": "evil.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    with pytest.raises(InputError):
        _ = open_encoder(parse(**entry(model=str(folder))), tmp_path).dimensions
    assert not (folder / "ran").exists()


def test_large_pictures_are_scaled_before_the_model_sees_them(shop, parse, entry):
    Image.new("RGB", (900, 300), (10, 200, 30)).save(shop.media / "wide.png")
    loader = open_encoder(parse(**entry(side=96)), shop.media).loader()
    assert loader.decode(loader.read("wide.png")).shape == (32, 96, 3)
