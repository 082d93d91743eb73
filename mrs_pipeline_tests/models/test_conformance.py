"""What every model of the registry must do. A new model is tested here by being registered.

Models of other installed packages are tested too where they are asked for: `MRS_CONFORM=name,name pytest ...`.
"""

import builtins
import inspect
import io
import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.evaluator import ranking_task
from mrs_pipeline.fitting import fit, load, save
from mrs_pipeline.functional.sequences import OrderedHistories
from mrs_pipeline.models.base import HasTokenMaps, Recommender
from mrs_pipeline.models.registry import MODELS, model_class
from mrs_pipeline.models.spec import BatchKind, FeatureUse
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.types import FeatureMatrix, TokenMatrix, TrainingData, vectors_of_users
from mrs_pipeline_tests.models.small import mean_metric
from mrs_pipeline_tests.toy import (
    N_ITEMS,
    N_USERS,
    build,
    first_batch,
    interactions,
    prepared,
    small_config,
    toy_market,
    trained,
)

ASKED = filter(None, os.environ.get("MRS_CONFORM", "").split(","))
ALL = sorted({*MODELS.own, *ASKED})
BY_GRADIENT = [name for name in ALL if MODELS[name].spec.batches is not BatchKind.NONE]
WITH_FEATURES = [name for name in ALL if MODELS[name].spec.features is not FeatureUse.IGNORED]
WITH_TOKENS = [name for name in ALL if MODELS[name].spec.tokens is not FeatureUse.IGNORED]
EVERYONE = torch.arange(N_USERS)
CONTENT = {"item_knn": {"source": "content"}}
"""Overrides that make a model whose features are optional use them."""


@cache
def learned(name: str) -> Recommender:
    """A model that has learned the toy market. Shared by the tests: only to be read."""
    return trained(name, toy_market().data, epochs=40)


@cache
def clean_scores(name: str) -> torch.Tensor:
    """[U, I] of a model after two epochs on the toy market."""
    return trained(name, toy_market().data, epochs=2, **CONTENT.get(name, {})).score(EVERYONE)


@pytest.mark.parametrize("name", ALL)
def test_declares_itself(name):
    model = model_class(name)
    spec, text = model.spec, inspect.getmodule(model).__doc__
    assert spec.name == name
    assert spec.cells
    assert spec.url.startswith("https://")
    assert all((spec.title, spec.paper, spec.complexity, model.__doc__))
    assert "Complexity:" in text and "Equation:" in text
    for field, info in model.Config.model_fields.items():
        assert info.description, f"{field} has no docstring"
    for field, values in model.Config.search_space.items():
        assert all(getattr(model.Config(**{field: value}), field) == value for value in values)


@pytest.mark.parametrize("name", ALL)
def test_config_round_trip(name):
    config = small_config(name)
    assert type(config).model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ValidationError):
        type(config)(no_such_setting=1)
    for field in type(config).model_fields:
        with pytest.raises(ValidationError):
            setattr(config, field, 0)


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_every_parameter_gets_a_gradient(name, market):
    model, inputs = build(name, market.data)
    sum(model.loss(first_batch(model, inputs)).values()).backward()
    for parameter, value in model.named_parameters():
        assert value.grad is not None and value.grad.abs().sum() > 0, parameter


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_loss_terms_are_finite_and_their_sum_falls(name, market):
    options = TrainingOptions(epochs=15, batch_size=64, patience=1000, eval_every=15)
    history = fit(prepared(name, market.data), name, small_config(name), training=options).result.history
    totals = [sum(record.losses.values()) for record in history]
    assert np.isfinite(totals).all()
    # One epoch of a loss that draws numbers goes up and down, and by other amounts on other processors.
    assert np.mean(totals[-5:]) < 0.95 * totals[0]


@pytest.mark.parametrize("name", ALL)
def test_same_seed_same_scores_whatever_the_global_one(name, market):
    torch.manual_seed(0)
    first = trained(name, market.data, seed=3, epochs=2).score(EVERYONE)
    torch.manual_seed(1)
    assert torch.equal(first, trained(name, market.data, seed=3, epochs=2).score(EVERYONE))
    other = trained(name, market.data, seed=4, epochs=2).score(EVERYONE)
    assert torch.equal(first, other) == (name not in BY_GRADIENT)


@pytest.mark.parametrize("name", ALL)
def test_scores_are_deterministic_and_do_not_depend_on_the_batch(name, market):
    model = trained(name, market.data)
    state = model.generator.get_state()
    scores = model.score(EVERYONE)
    some = torch.tensor([17, 3, 58, 3])
    assert scores.shape == (N_USERS, N_ITEMS)
    assert scores.isfinite().all()
    assert torch.equal(model.score(EVERYONE), scores)
    assert torch.allclose(model.score(some), scores[some], atol=1e-6)
    assert torch.equal(model.generator.get_state(), state)


def relabelled(data: TrainingData, users: np.ndarray, items: np.ndarray) -> TrainingData:
    """User u becomes users[u], item i becomes items[i]."""
    parts = []
    for part in (data.train, data.valid):
        pairs = np.stack([users[part.users], items[part.items]], axis=1)
        times = np.zeros((N_USERS, N_ITEMS), np.int64)
        times[pairs[:, 0], pairs[:, 1]] = part.times
        parts.append(interactions(pairs, times=times))
    back = np.argsort(items)

    def moved(matrices: Mapping[str, FeatureMatrix]) -> dict[str, FeatureMatrix]:
        orders = {key: np.argsort(users) if vectors_of_users(key) else back for key in matrices}
        return {
            key: FeatureMatrix(matrix.values[orders[key]], matrix.present[orders[key]], key)
            for key, matrix in matrices.items()
        }

    assert data.knowledge is not None
    entities = np.arange(data.knowledge.n_entities)
    entities[: len(items)] = items
    knowledge = replace(
        data.knowledge, heads=entities[data.knowledge.heads], tails=entities[data.knowledge.tails]
    )
    raw = {
        name: replace(content, values=content.values[back], present=content.present[back])
        for name, content in data.raw.items()
    }
    tokens = {
        name: replace(each, values=each.values[back], present=each.present[back])
        for name, each in data.tokens.items()
    }
    return TrainingData(
        *parts,
        moved(data.features),
        pretrained=moved(data.pretrained),
        knowledge=knowledge,
        raw=raw,
        tokens=tokens,
    )


@pytest.mark.parametrize("name", ALL)
def test_relabelling_users_and_items_permutes_the_scores_and_nothing_else(name, market):
    rng = np.random.default_rng(2)
    users, items = rng.permutation(N_USERS), rng.permutation(N_ITEMS)
    data = replace(prepared(name, market.data), item_graphs={})
    # which of equally near neighbours are kept depends on numbers, so that all are kept
    everybody = {"n_neighbours": N_USERS} if "n_neighbours" in MODELS[name].Config.model_fields else {}
    model, _ = build(name, data, **CONTENT.get(name, {}), **everybody)
    twin, _ = build(name, relabelled(data, users, items), **CONTENT.get(name, {}), **everybody)
    if name in BY_GRADIENT:
        state = model.state_dict()
        for key, value in state.items():
            for dim, size in enumerate(value.shape):
                order = {N_USERS: users, N_ITEMS: items}.get(size)
                if order is not None:
                    state[key] = state[key].index_select(dim, torch.from_numpy(np.argsort(order)))
        twin.load_state_dict(state)
    expected = model.score(EVERYONE)
    assert torch.allclose(twin.score(torch.from_numpy(users))[:, items], expected, atol=1e-5)
    assert expected.std() > 0


@pytest.mark.parametrize("name", ALL)
def test_save_and_load_keep_the_scores(name, market, tmp_path):
    options = TrainingOptions(epochs=2, batch_size=64)
    data = prepared(name, market.data)
    fitted = fit(data, name, small_config(name), seed=9, training=options)
    save(fitted, tmp_path)
    again = load(tmp_path, data)
    assert torch.equal(again.score(EVERYONE), fitted.model.score(EVERYONE))
    assert again.config == fitted.model.config


@pytest.mark.parametrize("name", [name for name in ALL if name != "most_pop"])
def test_beats_popularity_where_structure_is_planted(name, market):
    task = ranking_task(market.test, [market.data.train, market.data.valid])

    def recall(model: Recommender) -> float:
        return float(mean_metric(model, task, "recall@5"))

    assert recall(learned(name)) > 1.5 * recall(learned("most_pop"))


@pytest.mark.parametrize("name", WITH_FEATURES)
@pytest.mark.parametrize("garbage", [1e6, np.nan])
def test_what_stands_in_a_missing_row_does_not_matter(name, market, garbage):
    """A missing row is told by the mask alone; its values may be anything and the scores stay finite."""
    dirty = {}
    for modality, matrix in market.data.features.items():
        values = matrix.values.copy()
        values[~matrix.present] = garbage
        dirty[modality] = FeatureMatrix(values, matrix.present, modality)
    data = replace(market.data, features=dirty)
    soiled = trained(name, data, epochs=2, **CONTENT.get(name, {})).score(EVERYONE)
    assert clean_scores(name).isfinite().all()
    assert torch.equal(clean_scores(name), soiled)


@pytest.mark.parametrize("name", WITH_TOKENS)
@pytest.mark.parametrize("garbage", [6e4, np.nan])
def test_what_tokens_a_missing_row_holds_does_not_matter(name, market, garbage):
    dirty = {}
    for modality, tokens in market.data.tokens.items():
        values = tokens.values.copy()
        values[~tokens.present] = garbage
        dirty[modality] = replace(tokens, values=values)
    soiled = trained(name, replace(market.data, tokens=dirty), epochs=2).score(EVERYONE)
    assert clean_scores(name).isfinite().all()
    assert torch.equal(clean_scores(name), soiled)


@pytest.mark.parametrize("name", WITH_TOKENS)
def test_further_empty_tokens_change_nothing(name, market):
    """Padding is no token: sets with more room for tokens give the same scores."""
    wider = {
        modality: TokenMatrix(np.pad(tokens.values, ((0, 0), (0, 3), (0, 0))), tokens.present, modality)
        for modality, tokens in market.data.tokens.items()
    }
    for modality, tokens in market.data.tokens.items():
        wider[modality].values[~tokens.present] = 0
    scores = build(name, market.data)[0].score(EVERYONE)
    assert torch.allclose(
        build(name, replace(market.data, tokens=wider))[0].score(EVERYONE), scores, atol=1e-5
    )


@pytest.mark.parametrize("name", WITH_TOKENS)
def test_maps_of_attention_are_shares_of_the_tokens_that_are_there(name, market):
    model = trained(name, market.data, epochs=1)
    if not isinstance(model, HasTokenMaps):
        return
    items = torch.arange(N_ITEMS)
    with torch.no_grad():
        maps = model.token_maps(torch.tensor([3]), items)
    assert set(maps) == set(market.data.tokens)
    for modality, weights in maps.items():
        tokens = market.data.tokens[modality]
        there = torch.from_numpy((tokens.values != 0).any(2) & tokens.present[:, None])
        assert weights.shape == there.shape and (weights >= 0).all()
        assert (weights[~there] == 0).all()
        assert torch.allclose(weights.sum(1), there.any(1).to(weights.dtype), atol=1e-5)
        some = torch.tensor([7, 2])
        with torch.no_grad():
            assert torch.allclose(
                model.token_maps(torch.tensor([3]), some)[modality], weights[some], atol=1e-6
            )


@pytest.mark.parametrize("name", WITH_FEATURES)
def test_a_modality_that_nobody_has_changes_nothing_but_its_own_parameters(name, market):
    empty = FeatureMatrix(np.zeros((N_ITEMS, 3), np.float32), np.zeros(N_ITEMS, bool), "audio")
    data = replace(market.data, features={**market.data.features, "audio": empty})
    assert trained(name, data, epochs=2, **CONTENT.get(name, {})).score(EVERYONE).isfinite().all()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("n_modalities", range(5))
def test_works_with_any_number_of_modalities(name, n_modalities):
    data = toy_market(("text", "image", "audio", "video")[:n_modalities]).data
    overrides = CONTENT.get(name, {})
    spec = MODELS[name].spec
    needs = FeatureUse.REQUIRED in (spec.features, spec.raw, spec.tokens) or overrides
    if needs and not n_modalities:
        wanted = "(item features|raw content|regions of pictures)"
        with pytest.raises(InputError, match=rf"model '{name}'.*(needs|has no) {wanted}"):
            build(name, data, **overrides)
        return
    assert trained(name, data, epochs=1, **overrides).score(EVERYONE).isfinite().all()


@pytest.mark.parametrize("name", [name for name in ALL if MODELS[name].spec.knowledge])
def test_refuses_data_without_the_knowledge_it_needs(name, market):
    with pytest.raises(InputError, match=rf"model '{name}' needs a knowledge graph.*`knowledge:` section"):
        build(name, replace(market.data, knowledge=None))


@pytest.mark.parametrize("name", ALL)
def test_touches_no_file_and_no_network(name, market, monkeypatch):
    build(name, market.data)[0].score(EVERYONE)  # whatever libraries load late is loaded now

    def forbidden(*args, **kwargs):
        raise AssertionError(f"{name} opened {args[:1]}")

    for place, function in ((builtins, "open"), (io, "open"), (os, "open"), (socket, "socket")):
        monkeypatch.setattr(place, function, forbidden)
    model, inputs = build(name, market.data)
    if name in BY_GRADIENT:
        sum(model.loss(first_batch(model, inputs)).values()).backward()
    model.score(EVERYONE)


@pytest.mark.parametrize(
    "name",
    [
        "vbpr",
        "freedom",
        "grcn",
        "mmgcn",
        "dualgnn",
        "mm_ease",
        "fusion",
        "kgat",
        "mkgat",
        "bm3",
        "slmrec",
        "clcrec",
        "dmrl",
        "macridvae",
        "knn_fusion",
        "mm_gf",
    ],
)
def test_content_ranks_cold_items_better_than_a_blind_model_does(name, market):
    cold = np.arange(N_ITEMS) >= 36
    task = ranking_task(market.test, [], candidates=cold)

    def hits(model: Recommender) -> float:
        return float(mean_metric(model, task, "hit@1"))

    assert hits(learned(name)) > 1.5 / cold.sum()


@pytest.mark.parametrize("name", ALL)
def test_ranks_the_items_of_which_it_knows_something(name, market):
    """Trained on, or with content that it sees: their scores differ. The others have nothing to be told apart by."""
    model, _ = build(name, market.data)
    if name not in BY_GRADIENT:
        model.fit_closed_form()
    cold = np.arange(N_ITEMS) >= 36
    assert model.rankable[~torch.from_numpy(cold)].all()
    differ = bool((model.score(EVERYONE)[:20, 36:].std(1) > 0).all())
    assert model.rankable[36:].tolist() == [differ] * 4
    assert differ == model.sees_content
    blank = {kind: replace(each, present=each.present & ~cold) for kind, each in market.data.features.items()}
    raw = {kind: replace(each, present=each.present & ~cold) for kind, each in market.data.raw.items()}
    graph = market.data.knowledge
    kept = graph.heads < 36
    kept |= graph.heads >= N_ITEMS
    knowledge = replace(
        graph, heads=graph.heads[kept], relations=graph.relations[kept], tails=graph.tails[kept]
    )
    tokens = {kind: replace(each, present=each.present & ~cold) for kind, each in market.data.tokens.items()}
    contentless = replace(market.data, features=blank, raw=raw, knowledge=knowledge, tokens=tokens)
    unknown, _ = build(name, contentless)
    assert unknown.rankable.tolist() == (~cold).tolist()


FOLDING = [name for name in ALL if MODELS[name].folds_in()]
EXACT = [name for name in FOLDING if MODELS[name].spec.histories]
"""Models for which a user is their history: folded in they rank as if they had been trained on."""


def own_histories(data: TrainingData) -> OrderedHistories:
    train = data.train
    return OrderedHistories.from_lists([train.items[train.users == user] for user in range(N_USERS)], N_ITEMS)


def test_all_fold_in_but_those_that_say_so():
    assert set(ALL) - set(FOLDING) == {"dmrl", "pamd"}
    assert {"ease", "item_knn", "sasrec", "user_knn", "bpr_mf", "lightgcn", "freedom"} <= set(FOLDING)


@pytest.mark.parametrize("name", FOLDING)
def test_a_users_own_history_folded_in_ranks_nearly_as_the_model_does(name, market):
    model = learned(name)
    histories = own_histories(market.data)
    folded, own = model.fold_in(histories), model.score(EVERYONE)
    assert folded.shape == own.shape and folded.isfinite().all()
    assert not model.training
    warm = model.rankable
    if name in EXACT:
        assert torch.allclose(folded, own, atol=1e-5)
        return
    known = histories.lengths > 2
    alike = [
        np.corrcoef(first.argsort().argsort(), second.argsort().argsort())[0, 1]
        for first, second in zip(folded[known][:, warm], own[known][:, warm], strict=True)
    ]
    shuffled = folded[known][torch.randperm(int(known.sum()), generator=torch.Generator().manual_seed(1))]
    strangers = [
        np.corrcoef(first.argsort().argsort(), second.argsort().argsort())[0, 1]
        for first, second in zip(shuffled[:, warm], own[known][:, warm], strict=True)
    ]
    assert np.mean(alike) > NEARLY and np.mean(alike) > np.mean(strangers) + 0.2


@pytest.mark.parametrize("name", FOLDING)
def test_histories_are_scored_alone_and_may_be_empty(name, market):
    model = trained(name, market.data, epochs=1)
    histories = [np.array([3, 8, 20]), np.array([], dtype=np.int64), np.array([35])]
    together = model.fold_in(OrderedHistories.from_lists(histories, N_ITEMS))
    assert together.isfinite().all()
    for row, history in enumerate(histories):
        alone = model.fold_in(OrderedHistories.from_lists([history], N_ITEMS))[0]
        assert torch.allclose(alone, together[row], atol=1e-5)


NEARLY = 0.75
"""Rank correlation of a history folded in with the user of training, for models with a vector for each user."""
