"""What is particular to sequence models: order, what they may see, and who has no history."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.evaluator import ranking_task
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.fitting import fit, measure, recommend
from mrs_pipeline.functional.sequences import PAD
from mrs_pipeline.models.base import SequenceBatch
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import BatchKind
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.types import Interactions, TrainingData
from mrs_pipeline_tests.models.small import mean_metric
from mrs_pipeline_tests.toy import (
    COLD_ITEMS,
    COLD_USERS,
    N_ITEMS,
    N_USERS,
    build,
    interactions,
    small_config,
    trained,
)

SEQUENTIAL = sorted(name for name, model in MODELS.items() if model.spec.batches is BatchKind.SEQUENCES)
SAMPLING = [name for name in SEQUENTIAL if "n_negatives" in MODELS[name].Config.model_fields]
BY_STATES = [name for name in SEQUENTIAL if name not in {"mml", "mm_rec", "mmsr"}]
"""MML has states by each user's own weights and a loss a stream; MM-Rec has one vector a history and candidate, MMSR a
graph of its own at each position. Their formula tests are about these."""
ORDERED = [name for name in SEQUENTIAL if name != "mm_rec"]
"""MM-Rec reads the latest items as a set, as its paper does."""
WITH_CONTENT = [name for name in SEQUENTIAL if name != "sasrec"]


def chains(n_users: int = 120, n_items: int = 36, length: int = 9) -> tuple[TrainingData, Interactions]:
    """A market in which the last item alone decides the next: a user walks along one fixed round of all items.

    Where walks begin is evenly spread, so neither popularity nor which items go together tells what comes next as
    well as the last item does. Each user's last step tests, the one before it validates.
    """
    rng = np.random.default_rng(5)
    rounds = rng.permutation(n_items)
    parts = {"train": [], "valid": [], "test": []}
    for user in range(n_users):
        start = rng.integers(n_items)
        walk = rounds[(start + np.arange(length)) % n_items]
        for moment, item in enumerate(walk):
            parts["test" if moment == length - 1 else "valid" if moment == length - 2 else "train"].append(
                (user, item, moment)
            )

    def rows(triples) -> Interactions:
        users, items, times = np.array(triples).T
        return Interactions(users, items, n_users, n_items, times)

    return TrainingData(rows(parts["train"]), rows(parts["valid"])), rows(parts["test"])


def walked(name: str, data: TrainingData):
    """A model of the chains, its epoch chosen by how often the very next item comes first."""
    options = TrainingOptions(epochs=60, batch_size=256, patience=1000)
    evaluation = EvaluationOptions(select_on="hit@1")
    return fit(data, name, small_config(name), training=options, evaluation=evaluation).model


def first_places(model, data: TrainingData, test: Interactions) -> float:
    """How often the next item is the first of all."""
    table = measure(model, data, test, EvaluationOptions(ks=(1,), exclude="train"), seed=1).metrics
    return table.filter((table["slice"] == "all") & (table["metric"] == "hit"))["value"][0]


def test_only_a_sequence_model_finds_what_the_last_item_decides():
    data, test = chains()
    assert first_places(walked("sasrec", data), data, test) > 0.85
    assert first_places(walked("bpr_mf", data), data, test) < 0.5
    assert first_places(walked("most_pop", data), data, test) < 0.1


def test_testing_shows_the_validation_rows_and_forgets_them():
    data, test = chains()
    model = walked("sasrec", data)
    before = model.score(torch.arange(5))
    assert first_places(model, data, test) > 0.85
    assert torch.equal(model.score(torch.arange(5)), before)
    # where validation came after the test, it must not be shown
    late = replace(data.valid, times=data.valid.times + 100)
    assert first_places(model, replace(data, valid=late), test) < 0.5


def test_lists_to_serve_go_on_from_what_is_known():
    data, test = chains()
    model = walked("sasrec", data)
    exclude = [data.train]  # the item before the right one stays a candidate: not knowing it costs the place
    right = test.items[np.argsort(test.users)]
    assert (recommend(model, 1, exclude, known=data.valid).items[:, 0] == right).mean() > 0.85
    assert (recommend(model, 1, exclude).items[:, 0] == right).mean() < 0.5


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_a_dataset_without_times_is_refused_in_one_sentence(name, market):
    train = market.data.train
    timeless = replace(market.data, train=interactions(np.stack([train.users, train.items], 1)))
    with pytest.raises(InputError, match=rf"'{name}' learns from the order of events.*timestamp column"):
        build(name, timeless)


@pytest.mark.parametrize("name", BY_STATES)
def test_states_see_nothing_that_comes_later_and_no_padding(name, market):
    model, _ = build(name, market.data)
    model.eval()
    parts = {key: torch.randn(2, 6, 16, generator=model.generator) for key in model.start}
    real = torch.tensor([[False, False, True, True, True, True], [True] * 6])
    first = model.states(parts, real)
    noise = torch.randn(2, 2, 16, generator=model.generator)
    later = {key: torch.cat([value[:, :4], noise], 1) for key, value in parts.items()}
    changed = model.states(later, real)
    assert torch.allclose(changed[:, :4], first[:, :4], atol=1e-6)
    assert not torch.allclose(changed[:, 4:], first[:, 4:], atol=1e-3)
    soiled = {key: torch.where(real.unsqueeze(-1), value, 1e3) for key, value in parts.items()}
    assert torch.allclose(model.states(soiled, real)[real], first[real], atol=1e-5)
    trimmed = {key: value[:1, 2:] for key, value in parts.items()}
    assert torch.allclose(model.states(trimmed, real[:1, 2:])[0], first[0, 2:], atol=1e-5)


@pytest.mark.parametrize("name", ORDERED)
def test_order_decides(name, market):
    """The same items in another order are another user."""
    model = trained(name, market.data)
    train = market.data.train
    turned = interactions(np.stack([train.users, train.items], 1), times=_reversed(train))
    twin, _ = build(name, replace(market.data, train=turned))
    twin.load_state_dict(model.state_dict())
    user = torch.tensor([int(np.bincount(train.users).argmax())])
    assert not torch.allclose(model.score(user), twin.score(user), atol=1e-3)


def _reversed(train: Interactions) -> np.ndarray:
    times = np.zeros((N_USERS, N_ITEMS), np.int64)
    times[train.users, train.items] = -train.times
    return times


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_users_without_history_are_told_alike_and_not_nothing(name, market):
    scores = trained(name, market.data).score(torch.from_numpy(COLD_USERS))
    assert scores.isfinite().all() and scores.std(1).min() > 0
    torch.testing.assert_close(scores[0], scores[1])


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_histories_beyond_the_models_length_are_cut(name, market):
    assert trained(name, market.data, epochs=1, max_length=3).score(torch.arange(N_USERS)).isfinite().all()


@pytest.mark.parametrize("name", SAMPLING)
def test_a_sampled_softmax_learns_too(name, market):
    task = ranking_task(market.test, [market.data.train, market.data.valid])

    def recall(model) -> float:
        return float(mean_metric(model, task, "recall@5"))

    model = trained(name, market.data, epochs=40, n_negatives=20)
    assert recall(model) > 1.5 * recall(trained("most_pop", market.data))
    assert model.item_embedding[torch.from_numpy(COLD_ITEMS)].abs().sum() == 0  # nobody's negative


@pytest.mark.parametrize("name", [name for name in SAMPLING if name in BY_STATES])
def test_the_sampled_loss_estimates_the_full_one(name, market):
    model, _ = build(name, market.data, dropout=0.0)
    sampled, _ = build(name, market.data, dropout=0.0, n_negatives=20_000)
    sampled.load_state_dict(model.state_dict())
    model.eval(), sampled.eval()  # UniSRec's gates draw noise in training
    tokens = torch.tensor([[PAD, N_ITEMS, 3], [N_ITEMS, 7, 1]])
    batch = SequenceBatch(torch.tensor([0, 1]), tokens, torch.tensor([[PAD, 3, 5], [7, 1, 2]]))
    assert sampled.loss(batch)["next_item"].item() == pytest.approx(
        model.loss(batch)["next_item"].item(), rel=0.01
    )


@pytest.mark.parametrize("name", WITH_CONTENT)
def test_features_rank_cold_items_better_than_chance(name, market):
    cold = np.arange(N_ITEMS) >= COLD_ITEMS[0]
    task = ranking_task(market.test, [], candidates=cold)
    hits = mean_metric(trained(name, market.data, epochs=40), task, "hit@1")
    assert hits > 1.5 * mean_metric(trained("sasrec", market.data, epochs=40), task, "hit@1")


def test_heads_must_divide_the_width():
    with pytest.raises(InputError, match="n_heads 3 must divide embedding_size 16"):
        small_config("sasrec", n_heads=3)


def test_inputs_keep_when_a_pair_occurred_first(market):
    train = market.data.train
    twice = Interactions(
        np.repeat(train.users, 2), np.repeat(train.items, 2), N_USERS, N_ITEMS, np.repeat(train.times, 2)
    )
    assert torch.equal(
        ModelInputs.from_data(replace(market.data, train=twice)).times,
        ModelInputs.from_data(market.data).times,
    )
