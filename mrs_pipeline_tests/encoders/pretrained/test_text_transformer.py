"""Language models: vectors against a naive computation, layouts, limits, batches."""

import json
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mrs_pipeline.encoders.batching import batches_by_length, padded
from mrs_pipeline.encoders.pooling import last_token, masked_mean
from mrs_pipeline.encoders.registry import open_encoder
from mrs_pipeline.encoders.store import PreviousExtraction
from mrs_pipeline.errors import InputError

TEXTS = ["red wine", "the fast car of a race", "film", "a dark film of the bright red race : the car", "wine"]


@pytest.fixture
def encode(parse, tmp_path):
    """Vectors of texts by the encoder that the entry names."""

    def _encode(texts, **entry):
        encoder = open_encoder(parse(modality="text", encoder="transformer", **entry), tmp_path)
        encoder.check_settings()
        return encoder.encode(encoder.arrange(texts))

    return _encode


def naive(folder, text, pooling, prefix=""):
    """One text alone through the library, pooled by hand."""
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(prefix + text, return_tensors="pt")
    tokens.pop("token_type_ids", None)
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state[0]
    vector = {"cls": hidden[0], "mean": hidden.mean(0), "last": hidden[-1]}[pooling].numpy()
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("pooling", ["cls", "mean", "last"])
@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "gpt2"])
def test_a_vector_is_what_the_text_alone_would_give(tiny, encode, kind, pooling):
    folder = tiny(kind)
    vectors = encode(TEXTS, model=str(folder), pooling=pooling)
    expected = np.stack([naive(folder, text, pooling) for text in TEXTS])
    assert np.allclose(vectors, expected, atol=1e-5)


def test_the_engine_puts_length_sorted_texts_back_in_their_rows(shop, parse, catalogue, tiny):
    options = parse(
        modality="text",
        encoder="transformer",
        model=str(tiny("bert")),
        pooling="mean",
        columns=["title"],
        batch_tokens=20,
    )
    items = [*TEXTS, None, *reversed(TEXTS)]
    report = shop.extract(options, catalogue(title=items))
    assert (report.present, report.missing, report.dimensions) == (10, 1, 16)
    assert np.allclose(shop.matrix()[:5], shop.matrix()[:5:-1], atol=1e-5)
    assert np.allclose(shop.matrix()[3], naive(tiny("bert"), TEXTS[3], "mean"), atol=1e-5)


def test_nothing_changed_means_no_forward_pass_and_no_library(shop, parse, catalogue, tiny, monkeypatch):
    options = parse(
        modality="text", encoder="transformer", model=str(tiny("bert")), pooling="cls", columns=["title"]
    )
    shop.extract(options, catalogue(title=TEXTS), "a")
    monkeypatch.setitem(sys.modules, "transformers", None)
    previous = PreviousExtraction.read(shop.results / "a")
    report = shop.extract(options, catalogue(title=TEXTS), "b", previous=previous)
    assert (report.encoded, report.reused) == (0, 5)


def test_one_changed_text_is_one_forward_pass(shop, parse, catalogue, tiny, monkeypatch):
    options = parse(
        modality="text", encoder="transformer", model=str(tiny("bert")), pooling="cls", columns=["title"]
    )
    shop.extract(options, catalogue(title=TEXTS), "a")

    from mrs_pipeline.encoders.pretrained import TransformersNetwork

    sizes, run = [], TransformersNetwork.run
    monkeypatch.setattr(
        TransformersNetwork,
        "run",
        lambda self, inputs, forward: sizes.append(len(inputs["input_ids"])) or run(self, inputs, forward),
    )
    previous = PreviousExtraction.read(shop.results / "a")
    shop.extract(options, catalogue(title=[*TEXTS[:4], "bright wine"]), "b", previous=previous)
    assert sizes == [1]


def test_texts_are_cut_where_the_position_table_ends(tiny, encode):
    for kind in ("bert", "roberta", "gpt2"):
        assert np.isfinite(encode(["wine " * 500], model=str(tiny(kind)), pooling="mean")).all()


def test_max_tokens_cuts(tiny, encode):
    entry = {"model": str(tiny("bert")), "pooling": "mean", "max_tokens": 4}
    vectors = encode(["red wine car", "red wine film"], **entry)
    assert np.allclose(vectors[0], vectors[1])


def test_a_prefix_is_read_like_text(tiny, encode):
    entry = {"model": str(tiny("bert")), "pooling": "mean"}
    assert np.allclose(encode(["wine"], prefix="passage : ", **entry), encode(["passage : wine"], **entry))
    assert not np.allclose(encode(["wine"], prefix="query : ", **entry), encode(["wine"], **entry))


def test_without_normalisation_lengths_are_kept(tiny, encode):
    norms = np.linalg.norm(encode(TEXTS, model=str(tiny("bert")), pooling="mean", normalize=False), axis=1)
    assert norms.std() > 0.01


def test_bfloat16_is_near_float32(tiny, encode):
    entry = {"model": str(tiny("bert")), "pooling": "mean"}
    cosine = (encode(TEXTS, **entry) * encode(TEXTS, precision="bfloat16", **entry)).sum(1)
    assert cosine.min() > 0.999
    assert cosine.max() < 1 - 1e-8


def test_pooling_must_be_stated_somewhere(tiny, encode):
    with pytest.raises(InputError, match="add pooling: mean, cls or last"):
        encode(TEXTS, model=str(tiny("bert")))


@pytest.mark.parametrize(
    ("declared", "pooling"),
    [
        ("pooling_mode_mean_tokens", "mean"),
        ("pooling_mode_cls_token", "cls"),
        ("pooling_mode_lasttoken", "last"),
    ],
)
def test_sentence_transformers_files_state_the_pooling(sentence_folder, encode, declared, pooling):
    folder = sentence_folder(declared)
    assert np.allclose(encode(TEXTS, model=str(folder)), encode(TEXTS, model=str(folder), pooling=pooling))


def test_sentence_transformers_prompt_and_length(sentence_folder, encode):
    folder = sentence_folder(
        config_sentence_transformers={
            "prompts": {"document": "passage : "},
            "default_prompt_name": "document",
        },
        sentence_bert_config={"max_seq_length": 5},
    )
    # Five tokens are [CLS] passage : red [SEP]: the prompt is there, and all after it is cut.
    assert np.allclose(*encode(["red wine", "red film"], model=str(folder)))
    assert not np.allclose(*encode(["red wine", "red film"], model=str(folder), prefix=""))
    assert not np.allclose(*encode(["red wine", "car wine"], model=str(folder)))


def test_sentence_transformers_dense_layers_are_applied(sentence_folder, encode):
    from safetensors.torch import load_file

    folder = sentence_folder(dense=True)
    weights = load_file(folder / "2_Dense" / "model.safetensors")
    pooled = encode(TEXTS, model=str(folder), pooling="mean", normalize=False)
    expected = np.tanh(pooled @ weights["linear.weight"].numpy().T + weights["linear.bias"].numpy())
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(encode(TEXTS, model=str(folder)), expected, atol=1e-5)


def test_layouts_with_unknown_parts_are_refused(sentence_folder, encode):
    folder = sentence_folder()
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"type": "sentence_transformers.models.LSTM", "path": "3_LSTM"})
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(InputError, match=r"Transformer, Pooling, Normalize, LSTM"):
        encode(TEXTS, model=str(folder))


def test_unknown_poolings_are_refused(sentence_folder, encode):
    with pytest.raises(InputError, match="pooling other than cls, mean or last"):
        encode(TEXTS, model=str(sentence_folder("pooling_mode_max_tokens")))


@pytest.mark.parametrize(("kind", "remedy"), [("t5", "no plain text encoder"), ("clip", "encoder: clip")])
def test_models_that_are_no_text_encoders_are_refused(tiny, encode, kind, remedy):
    with pytest.raises(InputError, match=remedy):
        encode(TEXTS, model=str(tiny(kind)), pooling="mean")


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=60).map(np.array),
    st.integers(1, 12),
    st.integers(1, 200),
)
def test_batches_cover_each_text_once_within_the_bounds(lengths, batch_size, batch_tokens):
    batches = batches_by_length(lengths, batch_size, batch_tokens)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= batch_size
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= batch_tokens


def test_sorting_leaves_little_padding():
    lengths = np.random.default_rng(0).geometric(0.02, size=1000)
    batches = batches_by_length(lengths, 32, 2**31)
    sorted_work = sum(len(batch) * lengths[batch].max() for batch in batches)
    unsorted_work = sum(len(part) * part.max() for part in np.array_split(lengths, len(batches)))
    assert sorted_work < 1.2 * lengths.sum() < unsorted_work / 2


def test_padding_and_mask():
    tokens, mask = padded([[5, 6, 7], [8]], fill=0, most=3)
    assert tokens.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert padded([[], []], fill=0, most=1)[0].shape == (2, 1)


@pytest.mark.parametrize(("longest", "most", "width"), [(3, 512, 8), (8, 512, 8), (9, 512, 16), (76, 77, 77)])
def test_widths_are_few_and_never_more_than_the_model_takes(longest, most, width):
    assert padded([[1] * longest, [2]], fill=0, most=most)[1].shape == (2, width)


def test_pooling_looks_at_real_tokens_only():
    hidden = torch.arange(12.0).reshape(1, 6, 2)
    right, left = torch.tensor([[1, 1, 1, 0, 0, 0]]), torch.tensor([[0, 0, 0, 1, 1, 1]])
    assert last_token(hidden, right).tolist() == [[4, 5]]
    assert last_token(hidden, left).tolist() == [[10, 11]]
    assert masked_mean(hidden, right).tolist() == [[2, 3]]
    assert torch.isfinite(masked_mean(hidden, torch.zeros(1, 6))).all()
