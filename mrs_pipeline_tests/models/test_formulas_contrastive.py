"""BM3, SLMRec and CLCRec against their equations in dense NumPy on a small market."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.types import FeatureMatrix
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    N_ITEMS,
    N_USERS,
    PAIRS,
    RATINGS,
    adjacency,
    affine,
    in_batch_contrast,
    leaky,
    losses,
    projected,
    propagated,
    scores,
    twin,
    unit,
    weights,
    with_biases,
)
from mrs_pipeline_tests.toy import build, interactions

COLD = 5
POSITIVES = BATCH.positives.numpy()


def cosine_distance(one: np.ndarray, other: np.ndarray) -> float:
    return 1 - float(np.mean((unit(one) * unit(other)).sum(1)))


def bm3_tables(state: dict[str, np.ndarray], n_layers: int) -> tuple[np.ndarray, np.ndarray]:
    users, items = propagated(adjacency(RATINGS), state, n_layers)
    return users, items + state["item_embedding"]


@pytest.mark.parametrize(("n_layers", "dropout"), [(1, 0.0), (2, 0.5)])
def test_bm3(n_layers, dropout):
    settings = {"n_layers": n_layers, "dropout": dropout, "reg_weight": 0.1, "contrast_weight": 0.7}
    model, _ = build("bm3", DATA, **settings)
    state = weights(with_biases(model))
    users, items = bm3_tables(state, n_layers)

    def predicted(rows: np.ndarray) -> np.ndarray:
        return affine(state, "predictor", rows)

    seen = np.arange(N_ITEMS) != COLD
    assert np.allclose(scores(model)[:, seen], predicted(users) @ predicted(items[seen]).T, atol=1e-5)
    draws = twin(model.generator)

    def target(rows: np.ndarray) -> np.ndarray:
        if not dropout:
            return rows
        return rows * torch.empty(rows.shape).bernoulli_(1 - dropout, generator=draws).numpy()

    user, item = users[BATCH.users], items[POSITIVES]
    user_target, item_target = target(user), target(item)
    expected = {
        "user_item": cosine_distance(predicted(user), item_target),
        "item_user": cosine_distance(predicted(item), user_target),
        "reg": 0.1 * (np.linalg.norm(user) + np.linalg.norm(item)) / len(user),
    }
    for name, matrix in DATA.features.items():
        has = matrix.present[POSITIVES]
        assert 0 < has.sum() < len(has)
        content = affine(state, f"projections.{name}", matrix.values[POSITIVES[has]])
        towards_item = cosine_distance(predicted(content), item_target[has])
        expected[name] = 0.7 * (towards_item + cosine_distance(predicted(content), target(content)))
    assert losses(model) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("known", [("image", "text"), ("text",), ()])
def test_bm3_places_a_cold_item_where_its_modalities_point(known):
    features = {
        name: replace(matrix, present=matrix.present & ((np.arange(N_ITEMS) != COLD) | (name in known)))
        for name, matrix in DATA.features.items()
    }
    model, _ = build("bm3", replace(DATA, features=features))
    state = weights(with_biases(model))
    users, items = bm3_tables(state, 1)
    length = np.linalg.norm(items[np.arange(N_ITEMS) != COLD], axis=1).mean()
    assert not items[COLD].any()
    for name in known:
        content = affine(state, f"projections.{name}", DATA.features[name].values[COLD])
        items[COLD] += unit(affine(state, "predictor", content))
    place = affine(state, "predictor", unit(items[COLD]) * length)
    assert np.allclose(scores(model)[:, COLD], affine(state, "predictor", users) @ place, atol=1e-5)


def test_bm3_moves_no_target():
    """Without propagation each table is on one side of a term alone."""
    model, _ = build("bm3", DATA, n_layers=0, dropout=0.0, contrast_weight=0.7)
    terms = model.loss(BATCH)

    def slope(term: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(term, parameter, retain_graph=True, materialize_grads=True)[0]

    pairs = {"user_item": "user_embedding", "item_user": "item_embedding"}
    for term, moved in pairs.items():
        for table in pairs.values():
            assert slope(terms[term], getattr(model, table)).any() == (table == moved), (term, table)
    for name, matrix in DATA.features.items():
        assert not slope(terms[name], model.item_embedding).any()
        items = POSITIVES[matrix.present[POSITIVES]]
        projection = model.projections[name]
        content = projection(torch.from_numpy(matrix.values[items]))
        predicted = model.predictor(content)
        targets = (2 * model.item_embedding[items].detach(), content.detach())
        term = -0.7 * sum(torch.cosine_similarity(predicted, target).mean() for target in targets)
        assert torch.allclose(
            slope(terms[name], projection.weight), slope(term, projection.weight), atol=1e-6
        )


AUDIO, VIDEO = (
    FeatureMatrix(
        np.random.default_rng(lacking).normal(size=(N_ITEMS, 5)).astype(np.float32),
        np.arange(N_ITEMS) != lacking,
        name,
    )
    for name, lacking in (("audio", 2), ("video", 4))
)
FEATURES = {**DATA.features, "audio": AUDIO, "video": VIDEO}


def slmrec_channel(state: dict[str, np.ndarray], name: str, n_layers: int) -> tuple[np.ndarray, np.ndarray]:
    matrix = FEATURES[name]
    width = matrix.values.shape[1]
    weight, bias, unknown = np.split(state[f"channels.{name}.weight"].T, [width, width + 1])
    rows = np.where(matrix.present[:, None], unit(matrix.values.astype(float)) @ weight + bias, unknown)
    return propagated(adjacency(RATINGS), {**state, "item_embedding": rows}, n_layers)


@pytest.mark.parametrize(
    ("chain", "n_layers"),
    [(("image", "text"), 3), (("image", "video", "audio", "text"), 2), (("text",), 1)],
)
def test_slmrec(chain, n_layers):
    settings = {"ssl_weight": 0.3, "ssl_temperature": 0.5, "temperature": 0.4, "weight_decay": 0.01}
    data = replace(DATA, features={name: FEATURES[name] for name in chain})
    model, _ = build("slmrec", data, n_layers=n_layers, **settings)
    state = weights(with_biases(model))
    channels = {"id": propagated(adjacency(RATINGS), state, n_layers)}
    channels |= {name: slmrec_channel(state, name, n_layers) for name in sorted(chain)}
    users, items = (
        affine(state, readout, np.concatenate([tables[side] for tables in channels.values()], axis=1))
        for side, readout in enumerate(("user_readout", "item_readout"))
    )
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    expected = {
        "contrast": in_batch_contrast(unit(users[BATCH.users]) @ unit(items[POSITIVES]).T / 0.4),
        "reg": 0.01 / 2 * sum((values**2).sum() for values in state.values()),
    }
    step = channels["id"][1][POSITIVES]
    for name in chain:  # each step goes on from where the last one ended
        step = affine(state, f"path.{name}", step)
        assert step.shape[1] == (8 if name == chain[-1] else 16)
        has = FEATURES[name].present[POSITIVES]
        assert 0 < has.sum() < len(has)
        target = affine(state, f"targets.{name}", channels[name][1][POSITIVES])
        expected[f"fac_{name}"] = 0.3 * in_batch_contrast(step[has] @ target[has].T / 0.5)
    assert losses(model) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_slmrec_draws_text_towards_the_identifiers_through_all_steps_before():
    model, _ = build("slmrec", replace(DATA, features=FEATURES))
    model.loss(BATCH)["fac_text"].backward()
    assert all(step.weight.grad.any() for step in model.path.values())
    assert [name for name, target in model.targets.items() if target.weight.grad is not None] == ["text"]


@pytest.mark.parametrize(("model", "term"), [("bm3", "text"), ("slmrec", "fac_text")])
def test_a_batch_of_items_that_all_lack_a_modality_has_nothing_to_align(model, term):
    without_text = torch.full((4,), 3)
    batch = PairBatch(BATCH.users, without_text, BATCH.negatives)
    assert losses(build(model, DATA)[0], batch)[term] == 0


def clcrec_content(state: dict[str, np.ndarray]) -> np.ndarray:
    hidden = sum(projected(state, name, "first", unit_features=True) for name in DATA.features)
    return affine(state, "second", leaky(hidden))


@pytest.mark.parametrize("cold", [0, 3, 5])
def test_clcrec_scores_the_item_that_training_has_not_seen_by_content_wherever_it_stands(cold):
    pairs = np.stack([PAIRS[:, 0], (PAIRS[:, 1] - COLD + cold) % N_ITEMS], axis=1)
    data = replace(DATA, train=interactions(pairs, N_USERS, N_ITEMS))
    model, _ = build("clcrec", data, hidden_size=8)
    state = weights(with_biases(model))
    items = state["item_embedding"].copy()
    items[cold] = clcrec_content(state)[cold]
    assert np.allclose(scores(model), state["user_embedding"] @ items.T, atol=1e-5)


def softmax_loss(anchors: np.ndarray, own: np.ndarray, others: np.ndarray, excluded: np.ndarray) -> float:
    total = 0.0
    for anchor, mine, left_out in zip(anchors, own, excluded, strict=True):
        power = np.exp(anchor @ mine)
        total -= np.log(power / (power + np.exp(others[~left_out] @ anchor).sum()))
    return total / len(anchors)


@pytest.mark.parametrize("mixing", [0.0, 0.5, 1.0])
def test_clcrec_contrasts_identifiers_with_content_and_users_with_a_mixture(mixing):
    settings = {"content_weight": 0.3, "temperature": 0.5, "reg_weight": 0.1, "mixing": mixing}
    model, _ = build("clcrec", DATA, hidden_size=8, n_negatives=7, **settings)
    state = weights(with_biases(model))
    draws = twin(model.generator)
    drawn = torch.randint(COLD, (7,), generator=draws).numpy()  # of the items before the cold one
    places = np.concatenate([POSITIVES, drawn])
    by_content = torch.rand(len(places), 1, generator=draws).numpy() < mixing
    assert by_content.mean() == mixing or 0 < by_content.sum() < len(places)

    content, identifiers = clcrec_content(state), state["item_embedding"]
    mixed = np.where(by_content, content[places], identifiers[places])
    user = state["user_embedding"][BATCH.users]
    own, taken = POSITIVES[:, None] == drawn, RATINGS[BATCH.users][:, drawn] > 0
    assert own.any() and (taken & ~own).any() and not taken.all(1).any()
    units = unit(content)
    of_content = softmax_loss(unit(identifiers)[POSITIVES] / 0.5, units[POSITIVES], units[drawn], own)
    of_users = softmax_loss(user / 0.5, mixed[:4], mixed[4:], taken)
    lengths = [np.linalg.norm(rows, axis=1).mean() for rows in (user, identifiers[places])]
    expected = {"content": 0.3 * of_content, "users": 0.7 * of_users, "reg": 0.1 * sum(lengths) / 2}
    assert losses(model) == pytest.approx(expected, abs=1e-5)
