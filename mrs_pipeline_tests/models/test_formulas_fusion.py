"""MM-EASE and the configurable fusion model against their equations in dense NumPy."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    N_ITEMS,
    RATINGS,
    adjacency,
    bpr,
    in_batch_contrast,
    losses,
    norms,
    propagated,
    ridge_weights,
    scores,
    unit,
    weights,
)
from mrs_pipeline_tests.toy import build, toy_market, trained


def content_vectors() -> np.ndarray:
    content = np.concatenate(
        [
            (m.values - m.values[m.present].astype(np.float64).mean(0)) * m.present[:, None]
            for m in DATA.features.values()
        ],
        axis=1,
    )
    return content / np.linalg.norm(content, axis=1, keepdims=True)


def test_mm_ease():
    model, _ = build("mm_ease", DATA, reg_weight=2.0, feature_weight=3.0)
    content = content_vectors()
    gram = RATINGS.T @ RATINGS + 3.0 * content @ content.T
    assert np.allclose(scores(model), RATINGS @ ridge_weights(gram, 2.0), atol=1e-5)


def test_mm_ease_ranks_a_cold_item_by_its_content():
    model, _ = build("mm_ease", DATA, reg_weight=2.0, feature_weight=3.0)
    blind, _ = build("ease", DATA, reg_weight=2.0)
    assert RATINGS[:, 5].sum() == 0
    assert np.abs(scores(blind)[:, 5]).max() == 0
    assert np.abs(scores(model)[:, 5]).min() > 0


def test_mm_ease_refuses_a_catalogue_that_does_not_fit():
    with pytest.raises(InputError, match=rf"'mm_ease' would need about 0\.0 GB for {N_ITEMS} items"):
        build("mm_ease", DATA, memory_limit_gb=1e-9)


MODALITIES = list(DATA.features)


def seen() -> np.ndarray:
    return RATINGS.sum(0) > 0


def projections(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Modality -> [I, D] from centred features of length 1 / sqrt(F), zero where missing."""
    found = {}
    for name, matrix in DATA.features.items():
        values = matrix.values.astype(np.float64)
        rows = (values - values[matrix.present].mean(0)) * matrix.present[:, None]
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) * np.sqrt(values.shape[1])
        found[name] = rows @ state[f"projections.{name}.weight"].T
    return found


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def fused(mix: str, state: dict[str, np.ndarray], identifiers: np.ndarray) -> np.ndarray:
    content = projections(state)
    result = np.zeros_like(identifiers)
    for item, identifier in enumerate(identifiers):
        parts = [identifier] if seen()[item] else []
        parts += [content[name][item] for name, matrix in DATA.features.items() if matrix.present[item]]
        if mix == "sum":
            result[item] = np.sum(parts, axis=0)
        elif mix == "product":
            result[item] = np.prod([1 + part for part in parts], axis=0) - 1
        elif mix == "concat":
            every = np.concatenate([identifier, *(content[name][item] for name in MODALITIES)])
            result[item] = state["mixer.layer.weight"] @ every
        elif mix == "gate":
            result[item] = identifier
            for name in MODALITIES:
                both = np.concatenate([identifier, content[name][item]])
                gate = state[f"mixer.gates.{name}.weight"] @ both + state[f"mixer.gates.{name}.bias"]
                result[item] += sigmoid(gate) * content[name][item]
        else:
            hidden = [
                np.tanh(state["mixer.hidden.weight"] @ part + state["mixer.hidden.bias"]) for part in parts
            ]
            score = np.exp([(state["mixer.query.weight"] @ each).item() for each in hidden])
            result[item] = (score / score.sum()) @ np.array(parts)
    return result


@pytest.mark.parametrize("mix", ["concat", "sum", "product", "gate", "attention"])
@pytest.mark.parametrize("backbone", ["bpr_mf", "lightgcn"])
def test_fusion(mix, backbone):
    model, _ = build("fusion", DATA, fusion=mix, backbone=backbone, n_layers=2, reg_weight=0.1)
    with torch.no_grad():  # biases start at zero, where a sign or a place could be wrong unseen
        for parameter in model.mixer.parameters():
            parameter.normal_(generator=model.generator)
    state = weights(model)
    users, identifiers = state["user_embedding"], state["item_embedding"]
    if backbone == "lightgcn":
        users, identifiers = propagated(adjacency(RATINGS), state, 2)
    items = fused(mix, state, identifiers)
    assert np.allclose(scores(model), users @ items.T, atol=1e-6)
    expected = {
        "bpr": bpr(users, items),
        "reg": 0.1 * norms(state["user_embedding"], state["item_embedding"]),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-6)


def test_contrastive_term_is_over_distinct_positives_that_have_both_views():
    model, _ = build("fusion", DATA, backbone="bpr_mf", contrastive_weight=0.3, temperature=0.5)
    state = weights(model)
    items = np.unique(BATCH.positives)
    views = [(state["item_embedding"], seen())]
    views += [(rows, DATA.features[name].present) for name, rows in projections(state).items()]
    expected = []
    for (one, has_one), (other, has_other) in combinations(views, 2):
        rows = [item for item in items if has_one[item] and has_other[item]]
        assert 0 < len(rows) <= len(items)
        expected.append(in_batch_contrast(unit(one[rows]) @ unit(other[rows]).T / 0.5))
    assert losses(model)["contrastive"] == pytest.approx(0.3 * np.mean(expected), abs=1e-5)


def test_disentangled_term():
    model, _ = build("fusion", DATA, backbone="bpr_mf", disentangled_weight=0.7)
    content = projections(weights(model))
    items, expected, centre = np.unique(BATCH.positives), 0.0, {}
    for name, rows in content.items():
        chosen = rows[[item for item in items if DATA.features[name].present[item]]]
        columns = chosen - chosen.mean(0)
        columns /= np.linalg.norm(columns, axis=0)
        expected += float(np.mean((columns[:, :8].T @ columns[:, 8:]) ** 2))
    rows = [item for item in items if all(DATA.features[name].present[item] for name in MODALITIES)]
    for name in MODALITIES:
        shared = content[name][rows, :8]
        centre[name] = shared - shared.mean(0)
        centre[name] /= np.linalg.norm(centre[name], axis=1, keepdims=True)
    expected += 1 - float(np.mean((centre["image"] * centre["text"]).sum(1)))
    assert losses(model)["disentangled"] == pytest.approx(0.7 * expected, abs=1e-4)


def test_shared_and_private_parts_are_the_halves_of_each_projection():
    model, _ = build("fusion", DATA)
    content = projections(weights(model))
    for name, (shared, private) in model.shared_and_private().items():
        assert np.allclose(np.concatenate([shared.detach(), private.detach()], 1), content[name], atol=1e-6)
        assert shared.shape[1] == private.shape[1] == 8
        some = model.shared_and_private(torch.tensor([4, 2]))[name][0]
        assert torch.allclose(some, shared[[4, 2]])


def test_enhancement_terms_change_no_parameter_and_bring_shared_parts_together():
    market = toy_market().data
    plain = trained("fusion", market, epochs=10)
    both = trained("fusion", market, epochs=10, contrastive_weight=0.1, disentangled_weight=1.0)
    assert {key: value.shape for key, value in plain.state_dict().items()} == {
        key: value.shape for key, value in both.state_dict().items()
    }

    def agreement(model) -> float:
        parts = {
            name: (shared.detach() - shared.detach().mean(0))
            for name, (shared, _) in model.shared_and_private().items()
        }
        rows = market.features["image"].present & market.features["text"].present
        image, text = (parts[name][torch.from_numpy(rows)] for name in ("image", "text"))
        return torch.cosine_similarity(image, text).mean().item()

    assert agreement(both) > agreement(plain) + 0.05


@pytest.mark.parametrize("mix", ["concat", "sum", "product", "gate", "attention"])
def test_every_fusion_trains_each_of_its_parameters(mix):
    overrides = {"contrastive_weight": 0.1, "disentangled_weight": 0.1}
    model, _ = build("fusion", DATA, fusion=mix, **overrides)
    sum(model.loss(BATCH).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_an_enhancement_that_has_no_pair_to_look_at_is_zero():
    apart = {
        name: replace(matrix, present=np.arange(N_ITEMS) % 2 == number)
        for number, (name, matrix) in enumerate(DATA.features.items())
    }
    data = replace(DATA, features=apart)
    model, _ = build("fusion", data, contrastive_weight=0.1, disentangled_weight=0.1)
    assert all(np.isfinite(value) for value in losses(model).values())
