"""Teachers and students against their equations in dense NumPy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.distillation import listwise_distillation, pairwise_distillation
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.pretraining.registry import pretrainer_class
from mrs_pipeline.training.pretraining import configure_pretraining, pretrain
from mrs_pipeline.types import FeatureMatrix
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    N_ITEMS,
    PAIRS,
    RATINGS,
    adjacency,
    affine,
    bpr,
    losses,
    norms,
    propagated,
    scores,
    twin,
    unit,
    weights,
)
from mrs_pipeline_tests.toy import build, prepared, small_pretraining, trained

MANY = PairBatch(
    torch.tensor([0, 1, 3]), torch.tensor([1, 2, 4]), torch.tensor([[3, 2, 4], [0, 3, 4], [2, 0, 3]])
)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def bernoulli_kl(one, other):
    p, q = sigmoid(one), sigmoid(other)
    return np.mean(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))


def softmax_kl(one, other):
    p, q = (np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in (one, other))
    return (p * np.log(p / q)).sum(1).mean()


def half_squares(*rows) -> float:
    return sum((part**2).sum() for part in rows) / 2 / len(rows[0])


# the divergences


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_divergences(temperature):
    rng = np.random.default_rng(1)
    teacher, student = rng.normal(size=(2, 5, 4)) * 3
    found = listwise_distillation(torch.from_numpy(teacher), torch.from_numpy(student), temperature)
    assert found.item() == pytest.approx(
        temperature**2 * softmax_kl(teacher / temperature, student / temperature)
    )
    found = pairwise_distillation(torch.from_numpy(teacher), torch.from_numpy(student), temperature)
    assert found.item() == pytest.approx(bernoulli_kl(teacher / temperature, student / temperature))


@pytest.mark.parametrize("divergence", [pairwise_distillation, listwise_distillation])
def test_a_student_that_agrees_is_at_rest_and_no_teacher_is_moved(divergence):
    teacher = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    student = teacher.detach().clone().requires_grad_()
    term = divergence(teacher, student, 2.0)
    term.backward()
    assert term.item() == pytest.approx(0, abs=1e-12)
    assert student.grad.abs().max() < 1e-12
    assert teacher.grad is None


# PromptMM


def steps() -> tuple[np.ndarray, np.ndarray]:
    """D_u^-1/2 R [U, I] and D_i^-1/2 R' [I, U]."""
    users = np.maximum(RATINGS.sum(1, keepdims=True), 1e-30) ** -0.5
    items = np.where(RATINGS.sum(0) > 0, np.maximum(RATINGS.sum(0), 1e-30) ** -0.5, 0)[:, None]
    return users * RATINGS, items * RATINGS.T


def tokens(size: int) -> np.ndarray:
    """Leading components of standardised features, by SVD, the largest entry of each direction positive."""
    found = []
    for matrix in DATA.features.values():
        there = matrix.present
        values = matrix.values[there].astype(float)
        standard = (values - values.mean(0)) / values.std(0)
        directions = np.linalg.svd(standard, full_matrices=False)[2][:size].T
        directions = directions * np.sign(
            directions[np.abs(directions).argmax(0), np.arange(directions.shape[1])]
        )
        rows = np.zeros((N_ITEMS, size))
        rows[there, : directions.shape[1]] = standard @ directions
        found.append(rows)
    return np.mean(found, axis=0)


def teacher(state, prompt, feature_prompt, modal):
    """Final vectors, prompts, and u^m, i^m of each modality: pairs of users' and items'."""
    to_users, to_items = steps()
    hard = tokens(4)
    prompts = [to_users @ hard @ state["user_prompt.weight"].T, hard @ state["item_prompt.weight"].T]
    content = {}
    for name, matrix in DATA.features.items():
        x = unit(matrix.values.astype(float))
        x = x + feature_prompt * unit((prompts[1] @ prompts[1].T) @ x)
        users = to_users @ affine(state, f"layers.{name}", x)
        content[name] = [users, to_items @ users]
    layers = [
        [
            state["user_embedding"] + prompt * unit(prompts[0]),
            state["item_embedding"] + prompt * unit(prompts[1]),
        ]
    ]
    for number in range(2):
        users = to_users @ layers[-1][1]
        users = np.exp(users) / np.exp(users).sum(1, keepdims=True) if number else users
        items = to_items @ users
        layers.append([users, np.exp(items) / np.exp(items).sum(1, keepdims=True) if number else items])
    final = [
        np.mean([layer[side] for layer in layers], axis=0)
        + modal * sum(unit(rows[side]) for rows in content.values())
        for side in range(2)
    ]
    return final, prompts, content


def test_promptmm_teacher():
    settings = {"embedding_size": 4, "prompt": 0.3, "feature_prompt": 0.7, "modal": 0.2, "dropout": 0.0}
    others = {"prompt_weight": 0.5, "modal_weight": 0.4, "reg_weight": 0.1}
    config = configure_pretraining("promptmm", {**settings, **others})
    model = pretrainer_class("promptmm")(
        config, ModelInputs.from_data(DATA), torch.Generator().manual_seed(3)
    )
    state = weights(model)
    final, prompts, content = teacher(state, 0.3, 0.7, 0.2)
    with torch.no_grad():
        made = model.matrices()
    for side, name in enumerate(("users", "items")):
        seen = np.isin(np.arange(N_ITEMS), PAIRS[:, 1])[:, None] if side else 1
        assert np.allclose(made[f"promptmm/{name}"].values, final[side] * seen, atol=1e-5)
        for modality, rows in content.items():
            assert np.allclose(made[f"promptmm/{name}_{modality}"].values, rows[side] * seen, atol=1e-5)
    numbers = torch.arange(len(PAIRS))
    draws = model._sampler.draw(model._users, twin(model.generator)).numpy()
    users, items = model._users.numpy(), model._items.numpy()

    def ranked(vectors):
        gaps = (vectors[0][users] * (vectors[1][items] - vectors[1][draws])).sum(1)
        return np.log1p(np.exp(-gaps)).mean()

    def rows(vectors):
        return vectors[0][users], vectors[1][items], vectors[1][draws]

    expected = {
        "bpr": ranked(final),
        "prompt": 0.5 * ranked(prompts),
        "modal": 0.4 * sum(ranked(vectors) for vectors in content.values()),
        "reg": 0.1 * sum(half_squares(*rows(vectors)) for vectors in (final, *content.values())),
    }
    found = {name: term.item() for name, term in model.loss(numbers).items()}
    assert found == pytest.approx(expected, abs=1e-5)


def test_promptmm_teacher_without_prompts_is_a_graph_of_identifiers():
    settings = {"embedding_size": 4, "prompt": 0.0, "feature_prompt": 0.0, "modal": 0.0}
    config = configure_pretraining("promptmm", settings)
    model = pretrainer_class("promptmm")(
        config, ModelInputs.from_data(DATA), torch.Generator().manual_seed(3)
    )
    with torch.no_grad():
        before = model.matrices()["promptmm/users"].values
        for name, parameter in model.named_parameters():
            if "embedding" not in name:
                parameter.mul_(3)
        assert np.array_equal(model.matrices()["promptmm/users"].values, before)


def test_promptmm_student():
    data = prepared("promptmm", DATA)
    settings = {
        "pair_weight": 0.3,
        "list_weight": 0.2,
        "feature_weight": 0.6,
        "temperature": 2.0,
        "reg_weight": 0.1,
    }
    model, _ = build("promptmm", data, n_layers=1, **settings)
    state, given = (
        weights(model),
        {key: matrix.values.astype(float) for key, matrix in data.pretrained.items()},
    )
    users, items = propagated(adjacency(RATINGS), state, 1)
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)

    who, listed = MANY.users.numpy(), np.hstack([MANY.positives.numpy()[:, None], MANY.negatives.numpy()])
    own = np.einsum("bd,bnd->bn", users[who], items[listed])
    final = np.einsum("bd,bnd->bn", given["promptmm/users"][who], given["promptmm/items"][listed])
    lists, features = 0, 0
    for name in DATA.features:
        theirs = given[f"promptmm/items_{name}"]
        lists += 4 * softmax_kl(
            np.einsum("bd,bnd->bn", given[f"promptmm/users_{name}"][who], theirs[listed]) / 2, own / 2
        )
        carried = theirs[listed[:, 0]] @ state[f"maps.{name}"]
        features += ((1 - (unit(items[listed[:, 0]]) * unit(carried)).sum(1)) ** 2).mean()
    gaps = own[:, 0] - own[:, 1]
    expected = {
        "bpr": np.log1p(np.exp(-gaps)).mean(),
        "reg": 0.1 * half_squares(users[who], items[listed[:, 0]], items[listed[:, 1]]),
        "pairs": 0.3 * bernoulli_kl((final[:, 0] - final[:, 1]) / 2, gaps / 2),
        "lists": 0.2 * lists,
        "features": 0.6 * features,
    }
    assert losses(model, MANY) == pytest.approx(expected, abs=1e-5)


def test_promptmm_student_joins_users_with_items():
    """A user's vector changes with the items that he has taken, and with no other user who shares none."""
    data = prepared("promptmm", DATA)
    model, _ = build("promptmm", data, n_layers=1)
    before = model.representations()[0].detach().clone()
    with torch.no_grad():
        model.item_embedding[4] += 1
    moved = (model.representations()[0].detach() - before).abs().sum(1) > 0
    assert moved.tolist() == (RATINGS[:, 4] > 0).tolist()


# the generic student


@pytest.mark.parametrize("student", ["bpr_mf", "lightgcn"])
def test_distill_adds_the_divergences_to_the_loss_of_the_student(student):
    data = prepared("distill", DATA)
    settings = {"reg_weight": 0.1}
    model, _ = build(
        "distill",
        data,
        student=student,
        settings=settings,
        n_listed=3,
        pair_weight=0.3,
        list_weight=0.2,
        temperature=2.0,
    )
    state = {name.removeprefix("student."): value for name, value in weights(model).items()}
    users, items = state["user_embedding"], state["item_embedding"]
    if student == "lightgcn":
        users, items = propagated(adjacency(RATINGS), state, model.student.config.n_layers)
    listed = np.array([0, 1, 2, 3, 4])[torch.randint(5, (3,), generator=twin(model.generator)).numpy()]
    given = [data.pretrained[f"teacher/{side}"].values.astype(float) for side in ("users", "items")]

    def gaps(vectors):
        return (vectors[0][BATCH.users] * (vectors[1][BATCH.positives] - vectors[1][BATCH.negatives])).sum(1)

    def lists(vectors):
        return vectors[0][BATCH.users] @ vectors[1][listed].T

    own = [users, items]
    found = losses(model)
    assert found["bpr"] == pytest.approx(bpr(users, items), abs=1e-5)
    assert found["pairs"] == pytest.approx(0.3 * bernoulli_kl(gaps(given) / 2, gaps(own) / 2), abs=1e-6)
    assert found["lists"] == pytest.approx(0.2 * 4 * softmax_kl(lists(given) / 2, lists(own) / 2), abs=1e-6)
    if student == "bpr_mf":
        assert found["reg"] == pytest.approx(0.1 * norms(users, items), abs=1e-6)
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)


def test_a_student_comes_near_its_teacher(market):
    """Of many lists and nothing else to learn; the teacher's scores show in the student's."""
    data = prepared("distill", market.data)
    users, items = (data.pretrained[f"teacher/{side}"].values for side in ("users", "items"))
    wanted = (users @ items.T)[:58, :36]

    def likeness(**settings) -> float:
        made = trained("distill", data, epochs=20, **settings).score(torch.arange(58))[:, :36].numpy()
        return float(np.mean([np.corrcoef(*pair)[0, 1] for pair in zip(made, wanted, strict=True)]))

    taught = likeness(pair_weight=1.0, list_weight=10.0)
    assert taught > 0.9
    assert taught > likeness(pair_weight=0.0, list_weight=0.0) + 0.1


def test_what_cannot_be_taught_or_teach_is_refused():
    for name in ("ease", "sasrec", "dmrl", "kgat", "pmgt"):
        with pytest.raises(InputError, match=f"'{name}' cannot stand here"):
            small_pretraining("factors", model=name)
    with pytest.raises(ValidationError, match=r"settings.n_layers: Input should be greater"):
        pretrainer_class("teacher").Config(settings={"n_layers": 0})
    with pytest.raises(ValidationError, match=r"settings.learning_rate is the wrapper's"):
        pretrainer_class("factors").Config(settings={"learning_rate": 1})


def test_factors_are_the_vectors_of_the_model_named(market):
    """What the first step gives ranks as the model does, and knows no user or item without a training row."""
    made = pretrain(market.data, "factors", small_pretraining("factors", model="vbpr")).matrices
    users, items = made["factors/users"], made["factors/items"]
    assert users.values.shape[1] == items.values.shape[1] == 32
    assert users.present.tolist() == [True] * 58 + [False] * 2
    assert items.present.all()  # vbpr sees content, so that cold items have a vector
    made = pretrain(market.data, "factors", small_pretraining("factors")).matrices
    assert made["factors/items"].present.tolist() == [True] * 36 + [False] * 4


def test_vectors_of_other_users_are_refused(market):
    data = prepared("gorec", market.data)
    short = {
        key: FeatureMatrix(matrix.values[:-1], matrix.present[:-1], key) if key.endswith("users") else matrix
        for key, matrix in data.pretrained.items()
    }
    with pytest.raises(InputError, match=r"'factors/users' has 59 rows but the dataset 60 users"):
        ModelInputs.from_data(replace(data, pretrained=short))
