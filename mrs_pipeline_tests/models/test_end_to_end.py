"""Encoders in the loop: who gets a gradient, how much is encoded, and what a pretrained network is made of."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.evaluator import ranking_task
from mrs_pipeline.fitting import fit, load, save
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.training.batches import SOURCES
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.types import PretrainedNetwork, RawContent
from mrs_pipeline_tests.models.small import mean_metric
from mrs_pipeline_tests.toy import COLD_ITEMS, N_ITEMS, N_USERS, build, small_config, trained

BOTH = ("end_to_end", "end_to_end_sasrec")
EVERYONE = torch.arange(N_USERS)


def first_batch(model, inputs):
    return next(SOURCES[model.spec.batches](inputs, 512).epoch(model.generator))


def stepped(name, data, **overrides):
    """A model after the backward pass of one batch, and after a few steps, so that no adapter is at zero."""
    model, inputs = build(name, data, **overrides)
    model.train()
    optimizer = torch.optim.SGD(model.parameter_groups(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        sum(model.loss(first_batch(model, inputs)).values()).backward()
        optimizer.step()
    return model


def moved(module) -> set[str]:
    """Names of parameters that got a gradient."""
    return {name for name, p in module.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


def pretrained(kind: str) -> PretrainedNetwork:
    import transformers as hf

    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    torch.manual_seed(0)
    network = (
        hf.BertModel(hf.BertConfig(vocab_size=48, max_position_embeddings=8, **small))
        if kind == "text"
        else hf.ViTModel(hf.ViTConfig(image_size=8, patch_size=4, **small))
    )
    weights = {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}
    return PretrainedNetwork(network.config.to_dict(), weights)


@pytest.fixture(scope="module")
def with_networks(market):
    raw = {name: replace(content, network=pretrained(name)) for name, content in market.data.raw.items()}
    return replace(market.data, raw=raw)


@pytest.fixture(params=["scratch", "network"])
def data(request, market, with_networks):
    return market.data if request.param == "scratch" else with_networks


@pytest.mark.parametrize("name", BOTH)
def test_full_reaches_the_first_layer(name, data):
    encoders = stepped(name, data).tower.encoders
    found = moved(encoders)
    trainable = {name for name, p in encoders.named_parameters() if p.requires_grad}
    assert found == trainable
    firsts = ("image.stages.0.0.weight", "image.network.embeddings.patch_embeddings.projection.weight")
    assert set(firsts) & found
    assert {"text.tokens", "text.network.embeddings.word_embeddings.weight"} & found


def test_full_reaches_the_pixels(market):
    model, _ = build("end_to_end", market.data)
    pixels = torch.rand(4, 3, 8, 8, generator=model.generator).mul(255).requires_grad_()
    model.tower.encoders["image"](pixels).square().sum().backward()
    assert (pixels.grad.abs().sum((1, 2, 3)) > 0).all()


@pytest.mark.parametrize("name", BOTH)
def test_lora_reaches_the_adapters_alone(name, data):
    encoders = stepped(name, data, tuning="lora", lora_rank=2).tower.encoders
    found = moved(encoders)
    assert found and all("lora_" in name for name in found)
    assert found == {
        name for name, _ in encoders.named_parameters() if "lora_" in name and "pooler" not in name
    }
    assert any(name.startswith("image") for name in found) and any(name.startswith("text") for name in found)


@pytest.mark.parametrize("name", BOTH)
def test_top_reaches_the_last_layers_alone(name, data):
    model = stepped(name, data, tuning="top")
    found = moved(model.tower.encoders)
    tops = (
        "image.stages.2.",
        "text.blocks.1.",
        "image.network.layers.1.",
        "image.network.encoder.layer.1.",
        "text.network.encoder.layer.1.",
    )
    assert found and all(name.startswith(tops) for name in found)
    assert {name.partition(".")[0] for name in found} == {"image", "text"}
    assert moved(model.tower.projections)


@pytest.mark.parametrize("name", BOTH)
def test_frozen_reaches_nothing_of_the_encoders(name, data):
    model = stepped(name, data, tuning="frozen")
    assert not moved(model.tower.encoders)
    assert moved(model.tower.projections)
    assert len(model.parameter_groups()) == 1


def test_encoders_have_a_step_size_of_their_own(market):
    model, _ = build("end_to_end", market.data, encoder_learning_rate=1e-5)
    others, encoders = model.parameter_groups()
    assert "lr" not in others and encoders["lr"] == 1e-5
    assert {id(p) for p in encoders["params"]} == {id(p) for p in model.tower.encoders.parameters()}
    assert len(others["params"]) + len(encoders["params"]) == len(list(model.parameters()))

    before = {key: value.clone() for key, value in model.state_dict().items()}
    options = TrainingOptions(epochs=1, batch_size=64)
    after = fit(market.data, "end_to_end", model.config, training=options).model.state_dict()
    change = {key: float((after[key] - before[key]).abs().max()) for key in before}
    assert max(value for key, value in change.items() if "encoders" in key) < 1e-3
    assert change["tower.projections.image.weight"] > 1e-2


@pytest.mark.parametrize("name", BOTH)
def test_chunks_change_the_memory_and_not_the_gradient(name, market):
    gradients = []
    for at_once in (1000, 7):
        model, inputs = build(name, market.data, items_at_once=at_once, dropout=0.0)
        sum(model.loss(first_batch(model, inputs)).values()).backward()
        gradients.append({key: p.grad for key, p in model.named_parameters()})
    assert all(torch.allclose(gradients[0][key], gradients[1][key], atol=1e-6) for key in gradients[0])


def counted(model) -> list[int]:
    """Rows of each call of the picture encoder, as they come."""
    rows: list[int] = []
    model.tower.encoders["image"].register_forward_hook(lambda _, args, __: rows.append(len(args[0])))
    return rows


def test_a_step_encodes_each_item_of_the_batch_once_and_a_scoring_the_catalogue_once(market):
    model, _ = build("end_to_end", market.data, items_at_once=16)
    model.tower.projections.requires_grad_(False)
    rows = counted(model)
    present = market.data.raw["image"].present
    batch = PairBatch(torch.tensor([0, 1, 2]), torch.tensor([4, 4, 8]), torch.tensor([1, 2, 3]))
    model.loss(batch)
    assert sum(rows) == int(present[[4, 8]].sum())
    rows.clear()
    with torch.no_grad():
        score = model.scorer()
        score(EVERYONE[:3]), score(EVERYONE[3:])
    assert sum(rows) == int(present.sum()) and max(rows) <= 16


def test_frozen_content_is_encoded_once_and_again_only_for_other_weights(market):
    model, inputs = build("end_to_end", market.data, tuning="frozen")
    rows = counted(model)
    for _ in range(3):
        sum(model.loss(first_batch(model, inputs)).values()).backward()
    first = model.score(EVERYONE)
    assert sum(rows) == int(market.data.raw["image"].present.sum())
    other, _ = build("end_to_end", market.data, seed=2, tuning="frozen")
    model.load_state_dict(other.state_dict())
    assert not torch.allclose(model.score(EVERYONE), first)
    assert torch.allclose(model.score(EVERYONE), other.score(EVERYONE))


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("garbage", [0, 40])
def test_what_stands_in_a_missing_row_does_not_matter(name, market, garbage):
    soiled = {}
    for modality, content in market.data.raw.items():
        values = content.values.copy()
        values[~content.present] = garbage
        soiled[modality] = replace(content, values=values)
    clean = trained(name, market.data, epochs=2).score(EVERYONE)
    assert torch.equal(clean, trained(name, replace(market.data, raw=soiled), epochs=2).score(EVERYONE))


@pytest.mark.parametrize("name", BOTH)
def test_a_modality_that_nobody_has_does_no_harm(name, market):
    nobody = replace(market.data.raw["image"], present=np.zeros(N_ITEMS, bool))
    data = replace(market.data, raw={**market.data.raw, "image": nobody})
    assert trained(name, data, epochs=1).score(EVERYONE).isfinite().all()


def recall(model, market, candidates=None) -> float:
    exclude = [market.data.train, market.data.valid] if candidates is None else []
    task = ranking_task(market.test, exclude, candidates=candidates)
    return mean_metric(model, task, "recall@5" if candidates is None else "hit@1")


@pytest.mark.parametrize("tuning", ["lora", "top", "frozen"])
def test_every_mode_learns(tuning, market):
    model = trained("end_to_end", market.data, epochs=40, tuning=tuning)
    assert recall(model, market) > 1.5 * recall(trained("most_pop", market.data), market)


@pytest.mark.parametrize("name", BOTH)
def test_a_pretrained_network_is_trained_too(name, with_networks, market):
    model = trained(name, with_networks, epochs=25)
    assert recall(model, market) > 1.5 * recall(trained("most_pop", market.data), market)


@pytest.mark.parametrize("name", BOTH)
def test_cold_items_are_ranked_by_their_content(name, market):
    cold = np.arange(N_ITEMS) >= COLD_ITEMS[0]
    model = trained(name, market.data, epochs=40)
    assert recall(model, market, cold) > 1.5 * recall(
        trained("lightgcn", market.data, epochs=40), market, cold
    )


def test_the_loss_of_the_two_towers(market):
    model, _ = build("end_to_end", market.data)
    users, items = model.representations()
    users, items = (part.detach().double().numpy() for part in (users, items))
    train = market.data.train
    batch = PairBatch(torch.tensor([0, 1, 0]), torch.tensor([4, 5, 8]), torch.tensor([0, 0, 0]))
    taken = set(zip(train.users.tolist(), train.items.tolist(), strict=True))
    counts = np.bincount(train.items, minlength=N_ITEMS) / len(train)
    terms = []
    for user, right in zip(batch.users.tolist(), batch.positives.tolist(), strict=True):
        logits = {
            item: users[user] @ items[item] - np.log(counts[item])
            for item in (4, 5, 8)
            if item == right or (user, item) not in taken
        }
        terms.append(np.log(sum(np.exp(list(logits.values())))) - logits[right])
    assert model.loss(batch)["in_batch"].item() == pytest.approx(np.mean(terms), abs=1e-5)


def test_an_item_is_the_mean_of_what_it_has(market):
    model, _ = build("end_to_end", market.data)
    raw = market.data.raw
    expected = np.zeros((N_ITEMS, 16))
    for modality, content in raw.items():
        vectors = model.tower.encoders[modality](torch.from_numpy(content.values))
        expected += model.tower.projections[modality](vectors).detach().numpy() * content.present[:, None]
    count = sum(content.present.astype(int) for content in raw.values())
    assert np.allclose(model.tower().detach().numpy(), expected / np.maximum(count, 1)[:, None], atol=1e-5)
    assert (model.tower().detach().numpy()[count == 0] == 0).all()


def test_a_picture_is_normalised_as_its_content_says(market):
    raw = {"image": replace(market.data.raw["image"], mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))}
    model, _ = build("end_to_end", replace(market.data, raw=raw))
    encoder = model.tower.encoders["image"]
    pixels = torch.from_numpy(raw["image"].values[:3])
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (raw["image"].mean, raw["image"].std))
    x = (pixels / 255 - mean) / std
    for stage in encoder.stages:
        x = stage(x)
    assert torch.allclose(encoder(pixels), x.mean((2, 3)), atol=1e-5)


def test_texts_do_not_depend_on_how_far_they_are_padded(market):
    encoder = build("end_to_end", market.data)[0].tower.encoders["text"]
    rows = torch.tensor([[3, 9, -1, -1, -1, -1], [3, 9, 12, 40, 7, 1]])
    both = encoder(rows)
    assert torch.allclose(both[0], encoder(rows[:1])[0], atol=1e-6)
    first = encoder.tokens.data[0].clone()
    encoder.tokens.data[0] = 1e3  # what padding is looked up as must not matter
    assert torch.allclose(encoder(rows)[0], both[0], atol=1e-6)
    encoder.tokens.data[0] = first


def test_a_network_gives_what_the_library_gives(with_networks):
    import transformers as hf

    model, inputs = build("end_to_end", with_networks)
    network = pretrained("text")
    theirs = hf.BertModel(hf.BertConfig.from_dict(dict(network.config)))
    theirs.load_state_dict({name: torch.from_numpy(value) for name, value in network.weights.items()})
    rows = inputs.raw["text"].values[:5].clamp(max=47)
    real = rows >= 0
    with torch.no_grad():
        states = theirs.eval()(rows.clamp(min=0).long(), attention_mask=real.long()).last_hidden_state
        ours = model.train().tower.encoders["text"](rows)  # in training, too, without dropout
    expected = torch.stack([state[keep].mean(0) for state, keep in zip(states, real, strict=True)])
    assert torch.allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("tuning", ["lora", "frozen"])
def test_save_and_load_with_adapters_and_networks(tuning, with_networks, tmp_path):
    options = TrainingOptions(epochs=2, batch_size=64)
    config = small_config("end_to_end", tuning=tuning, lora_rank=2)
    fitted = fit(with_networks, "end_to_end", config, training=options)
    save(fitted, tmp_path)
    assert torch.equal(load(tmp_path, with_networks).score(EVERYONE), fitted.model.score(EVERYONE))


def test_adapters_and_networks_do_not_depend_on_the_global_generator(with_networks):
    torch.manual_seed(98)
    first = build("end_to_end", with_networks, tuning="lora")[0].state_dict()
    torch.manual_seed(99)
    again = build("end_to_end", with_networks, tuning="lora")[0].state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)


def test_lora_without_its_package_is_refused_in_one_sentence(market, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match=r"lora needs the package peft; install it"):
        build("end_to_end", market.data, tuning="lora")


@pytest.mark.parametrize("name", BOTH)
def test_content_of_another_catalogue_is_refused(name, market):
    content = market.data.raw["image"]
    short = RawContent(content.values[:10], content.present[:10], "raw_image")
    with pytest.raises(InputError, match="'raw_image' has 10 rows but the dataset 40 items"):
        build(name, replace(market.data, raw={"image": short}))


def test_memory_maps_are_not_copied(market, tmp_path):
    np.save(tmp_path / "pixels.npy", market.data.raw["image"].values)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="c")
    content = replace(market.data.raw["image"], values=mapped)
    _, inputs = build("end_to_end", replace(market.data, raw={"image": content}))
    assert inputs.raw["image"].values.data_ptr() == mapped.ctypes.data


def test_both_are_registered_in_their_cell():
    assert all("optimisation/end_to_end" in MODELS[name].spec.cells for name in BOTH)
