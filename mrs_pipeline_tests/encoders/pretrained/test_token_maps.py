"""`pooling: none`: regions and words that are kept, against the library's own hidden states."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mrs_pipeline.encoders.options import feature_set_name
from mrs_pipeline.encoders.registry import open_encoder
from mrs_pipeline.encoders.token_maps import fixed_projection, patch_maps
from mrs_pipeline.errors import InputError
from mrs_pipeline_tests.encoders.pretrained.test_image_transformer import encode, library, unit
from mrs_pipeline_tests.encoders.pretrained.test_packaged import IMAGE, TEXT, real_images, real_texts

REGIONS = {"modality": "image", "encoder": "transformer", "pooling": "none"}


@pytest.fixture
def opened(parse, tmp_path):
    def _open(**entry):
        encoder = open_encoder(parse(**entry), tmp_path)
        encoder.check_settings()
        return encoder

    return _open


@pytest.mark.parametrize(
    ("kind", "n_special", "side"),
    [("vit", 1, 4), ("deit", 2, 4), ("dinov2", 4, 2), ("swin", 0, 4), ("resnet", None, 8)],
)
def test_regions_are_the_patches_row_by_row(tiny, opened, kind, n_special, side):
    """No class or register token is among them; a coarser grid has the means of its patches."""
    module, pixels = library(tiny(kind))
    with torch.inference_mode():
        hidden = module(pixel_values=pixels).last_hidden_state
    patches = hidden.flatten(2).mT if n_special is None else hidden[:, n_special:]
    side = int(patches.shape[1] ** 0.5)
    found = encode(opened(**REGIONS, model=str(tiny(kind)), grid=side, token_width=16))
    assert found.shape == (3, side * side * 16)
    assert np.allclose(found.reshape(3, -1, 16), unit(patches), atol=1e-5)
    if side % 2 == 0:
        blocks = patches.reshape(3, side // 2, 2, side // 2, 2, 16).mean((2, 4)).flatten(1, 2)
        coarse = encode(opened(**REGIONS, model=str(tiny(kind)), grid=side // 2, token_width=16))
        assert np.allclose(coarse.reshape(3, -1, 16), unit(blocks), atol=1e-5)


def test_wide_tokens_are_mapped_by_a_fixed_matrix(tiny, opened):
    module, pixels = library(tiny("vit"))
    with torch.inference_mode():
        patches = module(pixel_values=pixels).last_hidden_state[:, 1:]
    encoder = opened(**REGIONS, model=str(tiny("vit")), grid=4, token_width=6)
    expected = unit(patches @ torch.from_numpy(fixed_projection(16, 6)))
    assert np.allclose(encode(encoder).reshape(3, 16, 6), expected, atol=1e-5)
    assert encoder.dimensions == 96


def test_the_fixed_matrix_keeps_inner_products():
    rows = unit(torch.randn(200, 1280, generator=torch.Generator().manual_seed(1)))
    mapped = rows @ fixed_projection(1280, 128)
    errors = mapped @ mapped.T - rows @ rows.T
    assert np.sqrt((errors**2).mean()) < 1.2 / np.sqrt(128)


def test_pictures_that_are_not_square_have_as_many_columns_more():
    hidden = torch.arange(9.0).view(1, 9, 1)
    maps = patch_maps(hidden, 1, (32, 64))
    assert maps[0, 0].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    with pytest.raises(InputError, match="7 patches are no grid"):
        patch_maps(hidden, 2, (32, 64))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"grid": 5, "token_width": 16}, "4 x 4 places; write grid: 4 or less"),
        ({"grid": 4}, "a token of the network has 16 numbers, .* write token_width: 16 or less"),
    ],
)
def test_what_the_network_cannot_give_is_refused(tiny, opened, changed, message):
    with pytest.raises(InputError, match=message):
        encode(opened(**REGIONS, model=str(tiny("vit")), **changed))


def test_words_are_kept_without_what_stands_around_them(tiny, opened):
    from transformers import AutoModel, AutoTokenizer

    entry = {"modality": "text", "encoder": "transformer", "model": str(tiny("bert"))}
    encoder = opened(**entry, pooling="none", kept_tokens=4, token_width=16)
    texts = ["red wine", "the fast car of a race film"]
    found = encoder.encode(encoder.arrange(texts)).reshape(2, 4, 16)
    tokenizer, model = (kind.from_pretrained(tiny("bert")) for kind in (AutoTokenizer, AutoModel))
    for row, text, n in ((0, texts[0], 2), (1, "the fast car of", 4)):
        with torch.inference_mode():
            hidden = model.eval()(**tokenizer(text, return_tensors="pt")).last_hidden_state
        assert np.allclose(found[row, :n], unit(hidden[0, 1 : n + 1]), atol=1e-5)
        assert not found[row, n:].any()


def test_a_set_of_tokens_is_stored_resumed_and_taken_over_as_any_other(shop, parse, catalogue, tiny):
    entry = {**REGIONS, "model": str(tiny("vit")), "grid": 2, "token_width": 8}
    options = parse(**entry)
    names = shop.pictures(5)
    items = catalogue(image=[*names, None])
    report = shop.extract(options, items)
    assert (report.present, report.missing, report.dimensions, report.dtype) == (5, 1, 32, "float16")
    tokens = shop.matrix().reshape(6, 4, 8)
    assert np.linalg.norm(tokens[:5].astype(float), axis=2) == pytest.approx(1, abs=2e-3)
    assert not tokens[5].any()
    shop.picture(names[2], (1, 250, 90))
    again = shop.extract(options, items)
    assert (again.encoded, again.reused) == (1, 4)
    other = parse(**{**entry, "token_width": 4})
    assert open_encoder(other, shop.media).fingerprint != open_encoder(options, shop.media).fingerprint


def test_sets_of_tokens_have_a_name_of_their_own_and_bounds(parse, tiny):
    options = parse(**REGIONS, model=str(tiny("vit")))
    assert feature_set_name(options) == "image_transformer_tokens"
    assert (options.token_shape.count, options.token_shape.width, options.token_shape.grid) == (
        49,
        128,
        (7, 7),
    )
    assert options.dtype == "float16"
    assert parse(**REGIONS, model=str(tiny("vit")), dtype="float32").dtype == "float32"
    with pytest.raises(ValidationError, match="196 x 768 numbers an item, more than 65,536; lower grid or"):
        parse(**REGIONS, model=str(tiny("vit")), grid=14, token_width=768)
    with pytest.raises(ValidationError, match=r"image\.pooling: none keeps regions"):
        parse(modality="video", encoder="frames", image={**IMAGE, "pooling": "none"})


@real_images
def test_the_mean_of_the_regions_is_the_vector(opened):
    from PIL import Image
    from skimage import data

    pooled = opened(**IMAGE, normalize=False)
    regions = opened(**IMAGE, normalize=False, pooling="none", token_width=1280)
    picture = Image.fromarray(data.coffee())
    (vector,), (tokens,) = (encode(encoder, [picture]) for encoder in (pooled, regions))
    assert np.allclose(tokens.reshape(49, 1280).mean(0), vector, atol=1e-4)


@real_texts
def test_words_of_the_packaged_model(shop, parse, catalogue):
    report = shop.extract(
        parse(**TEXT, pooling="none", kept_tokens=5),
        catalogue(title=["a cat", "one two three four five six seven"]),
    )
    tokens = shop.matrix().reshape(2, 5, 128)
    assert report.dimensions == 640
    assert (tokens != 0).any(2).sum(1).tolist() == [2, 5]
