"""The precision of forward passes: what is chosen, what is recorded, and that rows of two precisions do not mix."""

import json
import logging
import sys

import numpy as np
import pytest
import torch

from mrs_pipeline.encoders import network
from mrs_pipeline.encoders.registry import open_encoder
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.encoders.store import PreviousExtraction
from mrs_pipeline.errors import InputError

TEXTS = ["the red wine", "a fast car", "the white wine", "a car race", "dark film"]


@pytest.fixture
def processor(monkeypatch):
    """Sets what the processor would choose."""

    def _processor(precision):
        monkeypatch.setattr(network, "best_precision", lambda device: precision)

    return _processor


@pytest.fixture
def text(parse, tiny):
    def _text(**entry):
        return parse(
            modality="text",
            encoder="transformer",
            model=str(tiny("bert")),
            pooling="mean",
            columns=["title"],
            **entry,
        )

    return _text


def test_the_processor_decides(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, "avx512_bf16": True})
    assert network.best_precision("cpu") == "bfloat16"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, "amx_bf16": False})
    assert network.best_precision("cpu") == "float32"
    assert network.best_precision("mps") == "float32"


def test_the_choice_is_recorded(shop, text, catalogue, processor):
    processor("bfloat16")
    report = shop.extract(text(), catalogue(title=TEXTS))
    assert report.made_with["precision"] == "bfloat16"
    kept = json.loads((shop.results / "out" / "extraction.json").read_text())
    assert kept["made_with"] == report.made_with
    assert kept["fingerprint"] == report.fingerprint


def test_automatic_and_explicit_rows_are_the_same_rows(shop, text, catalogue, processor):
    processor("bfloat16")
    items = catalogue(title=TEXTS)
    shop.extract(text(), items)
    assert shop.extract(text(precision="bfloat16"), items).reused == len(TEXTS)
    assert shop.extract(text(precision="float32"), items).encoded == len(TEXTS)


def test_a_home_on_another_processor_goes_on_as_it_was(shop, text, catalogue, processor, caplog):
    """Rows are kept, new ones are made like them, and a warning says so with a remedy; nothing is mixed."""
    processor("bfloat16")
    shop.extract(text(), catalogue(title=TEXTS[:4]), "there")
    previous = PreviousExtraction.read(shop.results / "there")
    processor("float32")
    with caplog.at_level(logging.WARNING):
        report = shop.extract(text(), catalogue(title=TEXTS), "here", previous=previous)
    assert (report.reused, report.encoded, report.made_with["precision"]) == (4, 1, "bfloat16")
    assert "write `precision: float32` to have all of them made again" in caplog.text
    shop.extract(text(precision="bfloat16"), catalogue(title=TEXTS), "all")
    assert np.array_equal(shop.matrix("here"), shop.matrix("all"))
    fresh = shop.extract(text(), catalogue(title=TEXTS), "fresh")
    assert fresh.made_with["precision"] == "float32"
    assert not np.array_equal(shop.matrix("fresh"), shop.matrix("all"))


def test_nothing_new_is_no_warning(shop, text, catalogue, processor, caplog):
    processor("bfloat16")
    shop.extract(text(), catalogue(title=TEXTS))
    processor("float32")
    assert shop.extract(text(), catalogue(title=TEXTS)).reused == len(TEXTS)
    assert not caplog.records


def test_rows_of_other_weights_leave_the_choice_to_the_processor(shop, text, catalogue, processor, tiny):
    processor("bfloat16")
    shop.extract(text(), catalogue(title=TEXTS), "there")
    previous = PreviousExtraction.read(shop.results / "there")
    processor("float32")
    options = text().model_copy(update={"model": str(tiny("distilbert"))})
    report = shop.extract(options, catalogue(title=TEXTS), "here", previous=previous)
    assert (report.reused, report.made_with["precision"]) == (0, "float32")


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_int8_texts_are_near_float32(parse, tiny, tmp_path, kind):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    entry = {"modality": "text", "encoder": "transformer", "model": str(tiny(kind)), "pooling": "mean"}
    vectors = {}
    for precision in ("float32", "int8"):
        encoder = open_encoder(parse(**entry, precision=precision), tmp_path)
        # Batches of other shapes than the one that was exported.
        vectors[precision] = np.concatenate(
            [encoder.encode(encoder.arrange(part)) for part in (TEXTS[:1], TEXTS[1:], ["wine " * 12])]
        )
    cosine = (vectors["float32"] * vectors["int8"]).sum(1)
    assert cosine.min() > 0.98
    assert cosine.max() < 1 - 1e-8


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_int8_pictures_are_near_float32(shop, parse, catalogue, tiny, pooling):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    items = catalogue(image=shop.pictures(6))
    entry = {"modality": "image", "encoder": "transformer", "model": str(tiny("vit")), "pooling": pooling}
    for precision in ("float32", "int8"):
        shop.extract(parse(**entry, precision=precision, batch_size=4), items, precision)
    cosine = (shop.matrix("float32") * shop.matrix("int8")).sum(1)
    assert cosine.min() > 0.98
    assert cosine.max() < 1 - 1e-8


def test_int8_says_what_it_needs(text, shop, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'mrs-pipeline\[int8\]'"):
        _ = open_encoder(text(precision="int8"), shop.media).dimensions


def test_int8_is_for_the_processor(text, shop, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(InputError, match="runs on the CPU, and its device is cuda"):
        _ = open_encoder(text(precision="int8"), shop.media, EngineSettings(device="cuda")).network.module


def test_int8_of_other_networks_is_refused(parse, tiny):
    from pydantic import ValidationError

    with pytest.raises(ValidationError, match="precision"):
        parse(modality="image", encoder="efficientnet_lite0", precision="int8")
    for modality, kind in (("audio", "hubert"), ("video", "videomae")):
        with pytest.raises(ValidationError, match="precision"):
            parse(
                modality=modality,
                encoder="transformer",
                model=str(tiny(kind)),
                pooling="mean",
                precision="int8",
            )
    with pytest.raises(ValidationError, match="precision"):
        parse(modality="text", encoder="clip", model=str(tiny("clip")), precision="int8")
