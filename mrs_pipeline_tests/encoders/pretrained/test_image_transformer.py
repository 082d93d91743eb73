"""Vision models and the towers of CLIP and SigLIP, against the library's own preprocessing and forward pass."""

import numpy as np
import pytest
import torch
from PIL import Image

from mrs_pipeline.encoders.pixels import PixelRecipe, ProcessorPixels, open_pixels
from mrs_pipeline.encoders.pretrained import ModelFolder
from mrs_pipeline.encoders.registry import open_encoder
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.errors import InputError

NOISE = np.random.default_rng(0).integers(0, 256, (3, 45, 70, 3), dtype=np.uint8)
IMAGES = [Image.fromarray(pixels) for pixels in NOISE]


@pytest.fixture
def open_image(parse, tmp_path):
    def _open(**entry):
        encoder = open_encoder(parse(modality="image", **entry), tmp_path)
        encoder.check_settings()
        return encoder

    return _open


def encode(encoder, images=IMAGES):
    loader = encoder.loader()
    return encoder.encode([loader.prepare(image) for image in images])


def library(folder, images=IMAGES):
    """The model and its pixels by the library alone."""
    from transformers import AutoImageProcessor, AutoModel

    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    return AutoModel.from_pretrained(folder).eval(), processor(images, return_tensors="pt")["pixel_values"]


def unit(vectors):
    return torch.nn.functional.normalize(vectors, dim=-1).numpy()


@pytest.mark.parametrize(
    ("kind", "n_special"),
    [("vit", 1), ("deit", 2), ("dinov2", 4), ("swin", 0), ("resnet", None), ("levit", 1)],
)
def test_the_mean_is_over_patches_only(tiny, open_image, kind, n_special):
    encoder = open_image(encoder="transformer", model=str(tiny(kind)), pooling="mean")
    module, pixels = library(tiny(kind))
    with torch.inference_mode():
        hidden = module(pixel_values=pixels).last_hidden_state
    expected = hidden.mean((2, 3)) if n_special is None else hidden[:, n_special:].mean(1)
    assert np.allclose(encode(encoder), unit(expected), atol=1e-5)
    assert encoder.dimensions == 16


@pytest.mark.parametrize("kind", ["vit", "deit", "dinov2"])
def test_the_class_token(tiny, open_image, kind):
    encoder = open_image(encoder="transformer", model=str(tiny(kind)), pooling="cls")
    module, pixels = library(tiny(kind))
    with torch.inference_mode():
        expected = module(pixel_values=pixels).last_hidden_state[:, 0]
    assert np.allclose(encode(encoder), unit(expected), atol=1e-5)


@pytest.mark.parametrize("kind", ["resnet", "swin"])
def test_models_without_a_class_token_say_so(tiny, open_image, kind):
    with pytest.raises(InputError, match="no class token; write pooling: mean"):
        encode(open_image(encoder="transformer", model=str(tiny(kind)), pooling="cls"))


@pytest.mark.parametrize("kind", ["vit", "deit", "dinov2", "swin", "resnet", "clip", "siglip", "videomae"])
def test_usual_preprocessing_needs_no_library_in_the_workers(tiny, kind):
    assert isinstance(open_pixels(ModelFolder(tiny(kind), "", kind)), PixelRecipe)


def test_unusual_preprocessing_is_left_to_the_library(tiny):
    assert isinstance(open_pixels(ModelFolder(tiny("levit"), "", "levit")), ProcessorPixels)


def test_a_wrong_recipe_would_be_noticed(tiny, monkeypatch):
    """The planted fault: crop first, then scale."""
    from mrs_pipeline.encoders import pixels

    monkeypatch.setattr(pixels, "_keep_ratio", lambda image, shortest: (shortest, shortest))
    assert isinstance(open_pixels(ModelFolder(tiny("dinov2"), "", "dinov2")), ProcessorPixels)


@pytest.mark.parametrize("size", [(10, 10), (33, 20), (20, 33), (31, 64), (100, 32), (32, 32)])
def test_small_and_odd_images_are_cropped_as_the_library_does(tiny, size):
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8))
    recipe = open_pixels(ModelFolder(tiny("dinov2"), "", "dinov2"))
    ours = recipe.normalize(torch.from_numpy(np.array(recipe.prepare(image)))[None])
    assert np.allclose(ours, library(tiny("dinov2"), [image])[1], atol=1e-4)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_both_towers_give_the_projected_vectors_of_one_space(tiny, parse, open_image, tmp_path, kind):
    from transformers import AutoTokenizer

    module, pixels = library(tiny(kind))
    tokenizer = AutoTokenizer.from_pretrained(tiny(kind))
    texts = ["red wine", "a fast car of the race"]
    with torch.inference_mode():
        images = module.get_image_features(pixel_values=pixels).pooler_output
        full = {"padding": "max_length", "max_length": 12} if kind == "siglip" else {"padding": True}
        tokens = tokenizer(texts, return_tensors="pt", **full)
        mask = {} if kind == "siglip" else {"attention_mask": tokens["attention_mask"]}
        words = module.get_text_features(input_ids=tokens["input_ids"], **mask).pooler_output
    image_encoder = open_image(encoder="clip", model=str(tiny(kind)))
    text_encoder = open_encoder(parse(modality="text", encoder="clip", model=str(tiny(kind))), tmp_path)
    text_encoder.check_settings()
    assert np.allclose(encode(image_encoder), unit(images), atol=1e-5)
    assert np.allclose(text_encoder.encode(text_encoder.arrange(texts)), unit(words), atol=1e-5)
    assert image_encoder.dimensions == text_encoder.dimensions
    assert text_encoder.encode(text_encoder.arrange(["wine " * 99])).shape == (1, text_encoder.dimensions)


def test_models_in_the_wrong_encoder_are_told_the_right_one(tiny, open_image):
    with pytest.raises(InputError, match="write encoder: clip"):
        open_image(encoder="transformer", model=str(tiny("clip")), pooling="mean")
    with pytest.raises(InputError, match="write encoder: transformer"):
        open_image(encoder="clip", model=str(tiny("vit")))


def test_files_to_matrix_with_and_without_workers(shop, parse, catalogue, tiny):
    options = parse(
        modality="image", encoder="transformer", model=str(tiny("vit")), pooling="cls", batch_size=3
    )
    (shop.media / "bad.png").write_text("no image")
    items = catalogue(image=[*shop.pictures(7), "bad.png", None])
    report = shop.extract(options, items, "inline")
    assert (report.present, report.missing, len(report.failed), report.dimensions) == (7, 1, 1, 16)
    shop.extract(options, items, "pool", settings=EngineSettings(workers=1, chunk_items=4))
    assert np.allclose(shop.matrix("inline"), shop.matrix("pool"), atol=1e-6)
    assert len(np.unique(shop.matrix("inline").round(4), axis=0)) == 8  # seven pictures, and the zeros


def test_the_towers_of_one_model_are_two_feature_sets(parse, tiny):
    from mrs_pipeline.encoders.options import feature_set_name

    entry = {"encoder": "clip", "model": str(tiny("clip"))}
    names = [feature_set_name(parse(modality=modality, **entry)) for modality in ("text", "image")]
    assert names == ["text_clip", "image_clip"]


@pytest.mark.parametrize("size", [(50, 51), (47, 60)])
def test_a_crop_larger_than_the_image_is_filled_with_black(tmp_path, size):
    import transformers as hf

    from mrs_pipeline.encoders.pixels import open_pixels

    crop = {"height": 45, "width": 44}
    hf.BitImageProcessorPil(size={"shortest_edge": 32}, crop_size=crop).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8))
    recipe = open_pixels(ModelFolder(tmp_path, "", "padded"))
    assert isinstance(recipe, PixelRecipe)
    ours = recipe.normalize(torch.from_numpy(np.array(recipe.prepare(image)))[None])
    theirs = hf.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")(image, return_tensors="pt")
    assert np.allclose(ours, theirs["pixel_values"], atol=1e-4)


def test_both_towers_through_the_engine(shop, parse, catalogue, tiny):
    items = catalogue(title=["red wine", None, "fast car"], image=[*shop.pictures(2), None])
    entry = {"encoder": "clip", "model": str(tiny("clip"))}
    text = shop.extract(parse(modality="text", columns=["title"], **entry), items, "text")
    image = shop.extract(parse(modality="image", **entry), items, "image")
    assert (text.present, image.present) == (2, 2)
    assert text.dimensions == image.dimensions == 12
    assert shop.present("text").tolist() == [True, False, True]
    assert shop.present("image").tolist() == [True, True, False]
