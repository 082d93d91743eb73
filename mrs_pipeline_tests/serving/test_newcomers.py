"""Items that training has not seen: nearly what they would be had they been in the catalogue, cold, from the start."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.fitting import takes_new_items, with_new_items
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.serving.answers import recommend
from mrs_pipeline.serving.bundle import Bundle
from mrs_pipeline.serving.newcomers import ContentEncoders, Newcomers, new_item
from mrs_pipeline.serving.shelf import Filter
from mrs_pipeline.types import FeatureMatrix, TrainingData
from mrs_pipeline_tests.toy import COLD_ITEMS, N_ITEMS, build, prepared, toy_market, trained

KEPT = N_ITEMS - len(COLD_ITEMS)
ABLE = (
    "vbpr",
    "freedom",
    "pyg",
    "lattice",
    "micro",
    "mgcn",
    "mmgcn",
    "dualgnn",
    "grcn",
    "bm3",
    "slmrec",
    "clcrec",
    "fusion",
    "smore",
    "nova",
    "dif_sr",
    "mmmlp",
    "dropoutnet",
    "mgat",
    "mmssl",
    "lgmrec",
    "gume",
    "cmbf",
    "m3srec",
    "mmsr",
    "hm4sr",
    "dicer",
    "amr",
    "megcf",
    "mcln",
    "damrs",
    "dragon",
    "hcgcn",
    "cohesion",
    "marank",
    "vlsnr",
    "unisrec",
    "mmgcl",
    "mml",
    "mvgae",
    "sgfd",
    "sibrar",
    "tmfun",
    "fastmmrec",
)


def without_cold(data: TrainingData) -> TrainingData:
    """The market as it was before the cold items came."""
    train, valid = (replace(part, n_items=KEPT) for part in (data.train, data.valid))
    features = {
        name: FeatureMatrix(matrix.values[:KEPT], matrix.present[:KEPT], name)
        for name, matrix in data.features.items()
    }
    return TrainingData(train, valid, features)


@pytest.mark.parametrize("name", ABLE)
def test_new_items_are_what_cold_ones_would_have_been(name: str) -> None:
    """The weights of a model that had the cold items in its catalogue, cut to one that had not, and grown again."""
    data = replace(toy_market().data, knowledge=None, raw={})
    whole = trained(name, data, epochs=8)
    before = without_cold(data)
    small, _ = build(name, prepared(name, before))
    state = {
        key: tensor[tuple(slice(size) for size in small.state_dict()[key].shape)]
        for key, tensor in whole.state_dict().items()
    }
    small.load_state_dict(state)
    assert takes_new_items(small) is None
    rows = {
        name: FeatureMatrix(matrix.values[KEPT:], matrix.present[KEPT:], name)
        for name, matrix in data.features.items()
    }
    grown = with_new_items(small, before, rows)
    users = torch.arange(20)
    found, expected = grown.score(users)[:, KEPT:], whole.score(users)[:, KEPT:]
    assert found.isfinite().all() and found.std() > 0
    alike = np.corrcoef(found.flatten(), expected.flatten())[0, 1]
    assert alike > 0.9, alike
    if name in ("vbpr", "clcrec"):  # nothing of one item depends on its neighbours
        assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bpr_mf", "sees no content"),
        ("ease", "sees no content"),
        ("knn_fusion", "solved for the whole catalogue"),
        ("mm_ease", "solved for the whole catalogue"),
        ("vi_mmrec", "among their nearest, as none has a new one"),
        ("rpg", "more than its extracted features"),
        ("dmrl", "more than its extracted features"),
        ("kgat", "more than its extracted features"),
        ("pmgt", "more than its extracted features"),
        ("end_to_end", "more than its extracted features"),
    ],
)
def test_models_that_cannot_say_so(name: str, words: str) -> None:
    model, _ = build(name, toy_market().data)
    assert words in str(takes_new_items(model))
    with pytest.raises(InputError, match=words):
        with_new_items(model, toy_market().data, {})


def test_every_model_that_takes_new_items_is_tested() -> None:
    data = toy_market().data
    able = {name for name in MODELS.own if takes_new_items(build(name, data)[0]) is None}
    assert able == set(ABLE)


def test_from_files_to_a_list(vbpr: Bundle) -> None:
    """An item with another's text and picture gets the part of its vector that goes by content."""
    encoders = ContentEncoders(vbpr)
    item = int(np.flatnonzero(vbpr.content["image"].present & vbpr.content["text"].present)[3])
    row = vbpr.shelf.items.row(item, named=True)
    texts = {name: row[name] for name in ("title", "description")}
    content = encoders.encode(texts, {"image": (vbpr.shelf.root / row["image"]).read_bytes()})
    for name, vector in content.items():
        np.testing.assert_allclose(vector, vbpr.data.features[name].values[item], atol=1e-4)
    made = new_item(vbpr, "mine", content, "Mine")
    size = vbpr.model.config.embedding_size
    np.testing.assert_allclose(made.vector[size:], vbpr.item_vectors[item][size:], atol=1e-4)
    assert not made.vector[:size].any(), "nothing is known of the item itself"
    newcomers = Newcomers().plus(made)
    user = next(iter(vbpr.users))
    found = recommend(vbpr, 200, user=user, newcomers=newcomers)
    (place,) = [each for each in found.places if each.new]
    assert place.item_id == "mine" and [each.rank for each in found.places] == list(
        range(1, len(found.places) + 1)
    )
    scores = [each.score for each in found.places]
    assert scores == sorted(scores, reverse=True)
    left_out = recommend(vbpr, 200, user=user, newcomers=newcomers, chosen=Filter(exclude=["mine"]))
    assert not any(each.new for each in left_out.places)
    encoders.close()


def test_what_cannot_be_encoded_or_added_is_one_sentence(vbpr: Bundle) -> None:
    encoders = ContentEncoders(vbpr)
    with pytest.raises(InputError, match="image: "):
        encoders.encode({}, {"image": b"GIF89a no picture at all"})
    with pytest.raises(InputError, match="text: the encoder finds nothing in it"):
        encoders.encode({"title": "zzqx"}, {})
    with pytest.raises(InputError, match="give at least one of them"):
        new_item(vbpr, "mine", {})
    with pytest.raises(InputError, match="there is an item 'r0001' already"):
        new_item(vbpr, "r0001", {"text": np.ones(8, np.float32)})
    encoders.close()
