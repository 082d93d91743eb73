"""Models of two steps and the wrapper of identifiers against their equations, and what they do with cold items."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.evaluator import ranking_task
from mrs_pipeline.fitting import fit, load, save
from mrs_pipeline.models.base import Recommender
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.registry import model_class
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    EVERYONE,
    N_ITEMS,
    RATINGS,
    adjacency,
    affine,
    bpr,
    leaky,
    losses,
    mean_metric,
    norms,
    projected,
    propagated,
    scores,
    unit,
    weights,
)
from mrs_pipeline_tests.toy import (
    N_ITEMS as TOY_ITEMS,
)
from mrs_pipeline_tests.toy import build, prepared, small_config, small_pretraining, trained


def test_pmgt_starts_from_the_pretrained_vectors():
    data = prepared("pmgt", DATA)
    model, _ = build("pmgt", data, reg_weight=0.1)
    state = weights(model)
    assert np.allclose(state["item_vectors"], unit(data.pretrained["pmgt"].values), atol=1e-6)
    items = state["item_vectors"] @ state["adapter.weight"].T
    assert np.allclose(scores(model), state["user_embedding"] @ items.T, atol=1e-5)
    expected = {
        "bpr": bpr(state["user_embedding"], items),
        "reg": 0.1 * norms(state["user_embedding"], items),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-6)


def test_pmgt_moves_the_vectors_of_warm_items_alone(market):
    data = prepared("pmgt", market.data)
    start = unit(data.pretrained["pmgt"].values)
    moved = np.abs(weights(trained("pmgt", data))["item_vectors"] - start).max(1)
    warm = np.zeros(TOY_ITEMS, bool)
    warm[data.train.items] = True
    assert moved[warm].min() > 0
    assert moved[~warm].max() < 1e-6


def pamd_scores(data, state: dict[str, np.ndarray]) -> np.ndarray:
    """Scores [U, I] with the softmax over the parts that an item has."""
    users, told, lacking = state["user_embedding"], [], []
    for key, matrix in sorted(data.pretrained.items()):
        told.append(users @ (matrix.values @ state[f"maps.{key}"]).T)
        lacking.append(np.broadcast_to(~matrix.present, told[-1].shape))
    told, lacking = np.stack(told), np.stack(lacking)
    share = np.where(lacking, 0, np.exp(told))
    share = share / share.sum(0)
    return users @ state["item_embedding"].T + (share * told).sum(0)


def test_pamd_attends_over_the_parts():
    data = prepared("pamd", DATA)
    model, _ = build("pamd", data, reg_weight=0.1)
    state = weights(model)
    expected = pamd_scores(data, state)
    assert np.allclose(scores(model), expected, atol=1e-5)
    positive, negative = expected[BATCH.users, BATCH.positives], expected[BATCH.users, BATCH.negatives]
    found = losses(model)
    assert found["bce"] == pytest.approx(
        np.log1p(np.exp(-positive)).mean() + np.log1p(np.exp(negative)).mean(), abs=1e-6
    )
    assert found["reg"] == pytest.approx(
        0.1 * norms(state["user_embedding"], state["item_embedding"]), abs=1e-6
    )


def test_pamd_turns_all_parts_alike_at_the_start():
    """What is orthogonal stays so until fine-tuning has its say."""
    model, _ = build("pamd", DATA)
    maps = [value for key, value in weights(model).items() if key.startswith("maps.")]
    assert len(maps) == 4
    assert all(np.array_equal(each, maps[0]) for each in maps)
    assert np.allclose(maps[0] @ maps[0].T, np.eye(16), atol=1e-6)


def test_pamd_gives_its_shared_and_private_parts(market):
    data = prepared("pamd", market.data)
    model = trained("pamd", data)
    state = weights(model)
    parts = model.parts()
    assert set(parts) == {"common", "specific"}
    for kind, (users, items) in parts.items():
        keys = [f"pamd/{kind}_{modality}" for modality in ("image", "text")]
        expected = np.mean([data.pretrained[key].values @ state[f"maps.{key}"] for key in keys], axis=0)
        assert np.allclose(items.detach().numpy(), expected, atol=1e-5)
        assert np.array_equal(users.detach().numpy(), state["user_embedding"])


def test_pamd_of_one_modality_says_that_nothing_is_shared(market):
    single = replace(market.data, features={"text": market.data.features["text"]})
    model, _ = build("pamd", single)
    assert set(model.parts()) == {"specific"}
    assert set(model.maps) == {"pamd/specific_text"}


def test_pamd_of_an_item_without_any_modality_is_its_identifier():
    features = {
        name: replace(matrix, present=matrix.present & (np.arange(N_ITEMS) != 0))
        for name, matrix in DATA.features.items()
    }
    model, _ = build("pamd", replace(DATA, features=features))
    state = weights(model)
    assert np.allclose(scores(model)[:, 0], state["user_embedding"] @ state["item_embedding"][0], atol=1e-6)


@pytest.mark.parametrize("name", ["pmgt", "pamd"])
def test_a_second_step_without_a_first_is_refused(name):
    with pytest.raises(
        InputError, match=rf"'{name}' starts from the item vectors of the pretraining '{name}'"
    ):
        model_class(name)(small_config(name), ModelInputs.from_data(DATA), torch.Generator())


def test_the_first_step_is_made_for_the_second_with_given_settings_and_again_on_loading(market, tmp_path):
    settings = small_pretraining("pamd", embedding_size=12, seed=5)
    options = TrainingOptions(epochs=1, batch_size=64)
    fitted = fit(market.data, "pamd", small_config("pamd"), training=options, pretraining=settings)
    assert fitted.pretraining == settings
    assert fitted.model.maps["pamd/specific_text"].shape == (12, 16)
    save(fitted, tmp_path)
    again = load(tmp_path, market.data)
    everyone = torch.arange(60)
    assert torch.equal(again.score(everyone), fitted.model.score(everyone))


def test_vectors_that_the_data_bring_along_are_taken_as_they_are(market):
    data = prepared("pmgt", market.data)
    fitted = fit(data, "pmgt", small_config("pmgt"), training=TrainingOptions(epochs=1, batch_size=64))
    assert fitted.pretraining is None
    assert fitted.model.item_vectors.shape[1] == data.pretrained["pmgt"].values.shape[1]


# DropoutNet


def content(state: dict[str, np.ndarray]) -> np.ndarray:
    total = sum(projected(state, name, "content.projection") for name in DATA.features)
    return affine(state, "content.out", leaky(total))


def backbone_tables(state: dict[str, np.ndarray], shown: np.ndarray) -> dict[str, np.ndarray]:
    """The backbone's tables with the content of the items that are `shown` [I] by it."""
    identifiers = state["backbone.parametrizations.item_embedding.original"]
    table = np.where(shown[:, None], content(state), identifiers)
    return {"user_embedding": state["backbone.user_embedding"], "item_embedding": table}


def test_dropoutnet_scores_cold_items_by_content_and_warm_ones_as_the_backbone_does():
    model, _ = build("dropoutnet", DATA, backbone="lightgcn", settings={"n_layers": 2})
    state = backbone_tables(weights(model), np.arange(N_ITEMS) == 5)
    users, items = propagated(adjacency(RATINGS), state, 2)
    assert np.allclose(scores(model), users @ items.T, atol=1e-6)


@pytest.mark.parametrize("share", [1e-9, 1.0])
def test_dropoutnet_trains_the_backbone_on_shown_vectors(share):
    model, _ = build("dropoutnet", DATA, backbone="bpr_mf", settings={"reg_weight": 0.1}, dropout=share)
    seen = np.isin(np.arange(N_ITEMS), torch.cat([BATCH.positives, BATCH.negatives]).numpy())
    state = backbone_tables(weights(model), seen & (share == 1))
    expected = {
        "bpr": bpr(state["user_embedding"], state["item_embedding"]),
        "reg": 0.1 * norms(state["user_embedding"], state["item_embedding"]),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-6)


def test_dropoutnet_replaces_the_share_that_it_is_told(market):
    model, _ = build("dropoutnet", market.data, dropout=0.3)
    items = torch.arange(36)
    shares = []
    for _ in range(200):
        model.loss(type(BATCH)(torch.zeros(36, dtype=torch.int64), items, items.flip(0)))
        shares.append(len(model._shown.replaced) / 36)
    assert np.mean(shares) == pytest.approx(0.3, abs=0.03)


def test_dropoutnet_refuses_what_has_no_identifiers_or_needs_more_than_interactions():
    for name in ("ease", "vbpr", "most_pop", "dropoutnet", "kgat", "end_to_end", "sasrec"):
        with pytest.raises(InputError, match=rf"'dropoutnet'.*'{name}' cannot be wrapped"):
            build("dropoutnet", DATA, backbone=name)
    with pytest.raises(InputError, match="no model 'lightgnc'"):
        build("dropoutnet", DATA, backbone="lightgnc")
    with pytest.raises(InputError, match=r"settings.n_layers: Input should be greater"):
        build("dropoutnet", DATA, backbone="lightgcn", settings={"n_layers": 0})


def test_dropoutnet_leaves_the_draws_to_its_generator():
    """Scoring after a loss shows identifiers again: no trace of the last batch stays."""
    model, _ = build("dropoutnet", DATA, backbone="bpr_mf")
    before = model.score(EVERYONE)
    losses(model)
    assert torch.equal(model.score(EVERYONE), before)


# cold items


def cold_hits(model: Recommender, market) -> float:
    task = ranking_task(market.test, [], candidates=np.arange(TOY_ITEMS) >= 36)
    return float(mean_metric(model, task, "hit@1"))


@pytest.mark.parametrize(
    ("name", "overrides", "bare"),
    [
        ("pmgt", {}, "bpr_mf"),
        ("pamd", {}, "bpr_mf"),
        ("dropoutnet", {"backbone": "bpr_mf"}, "bpr_mf"),
        ("dropoutnet", {"backbone": "lightgcn"}, "lightgcn"),
    ],
)
def test_content_ranks_cold_items_far_better_than_identifiers_do(name, overrides, bare, market):
    blind = cold_hits(trained(bare, market.data, epochs=40), market)
    seeing = cold_hits(trained(name, market.data, epochs=40, **overrides), market)
    assert seeing > max(2 * blind, 0.6)
