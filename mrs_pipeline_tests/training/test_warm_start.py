"""What a training begins from: rows by id whatever their numbers, new rows from content, the same scores at step 0."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.fitting import Fitted, fit, refit
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.training import loop
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.training.warm_start import Renumbered, WarmStart, carry_over, why_never
from mrs_pipeline.types import FeatureMatrix, Interactions, TrainingData
from mrs_pipeline_tests.toy import N_ITEMS, N_USERS, build, small_config, toy_market

SHORT = TrainingOptions(epochs=2, patience=2, checkpoint_every=1)
NAMES = ("bpr_mf", "vbpr", "sasrec")


@pytest.fixture(scope="module")
def market() -> TrainingData:
    return toy_market().data


@pytest.fixture(scope="module")
def before(market: TrainingData) -> dict[str, Fitted]:
    """Models of the window before."""
    return {name: fit(market, name, small_config(name), training=SHORT) for name in NAMES}


def _start(fitted: Fitted, data: TrainingData, users: np.ndarray, items: np.ndarray) -> WarmStart:
    """The model of `data` as a start for data whose users and items were numbered `users` and `items` in it."""
    trained = [
        np.bincount(numbers, minlength=n) > 0
        for numbers, n in ((data.train.users, data.train.n_users), (data.train.items, data.train.n_items))
    ]
    weights = {name: tensor.clone() for name, tensor in fitted.model.state_dict().items()}
    return WarmStart("1", weights, Renumbered(users, trained[0]), Renumbered(items, trained[1]))


def _renumbered(data: TrainingData, users: np.ndarray, items: np.ndarray) -> TrainingData:
    """The data with user u called by its place in `users`, which are those that stay, in a new order; items too."""

    def rows(part: Interactions) -> Interactions:
        place_user, place_item = np.full(part.n_users, -1), np.full(part.n_items, -1)
        place_user[users], place_item[items] = np.arange(len(users)), np.arange(len(items))
        u, i = place_user[part.users], place_item[part.items]
        kept = (u >= 0) & (i >= 0)
        times = None if part.times is None else part.times[kept]
        order = np.lexsort((i[kept], *([] if times is None else [times]), u[kept]))
        return Interactions(
            u[kept][order],
            i[kept][order],
            len(users),
            len(items),
            None if times is None else times[order],
        )

    features = {
        name: FeatureMatrix(matrix.values[items], matrix.present[items], name)
        for name, matrix in data.features.items()
    }
    return TrainingData(rows(data.train), rows(data.valid), features)


@pytest.mark.parametrize("name", NAMES)
def test_an_unchanged_window_begins_with_the_scores_of_the_model_before(
    name: str, market: TrainingData, before: dict[str, Fitted]
) -> None:
    """Also where users and items have other numbers."""
    rng = np.random.default_rng(1)
    users, items = rng.permutation(N_USERS), rng.permutation(N_ITEMS)
    data = _renumbered(market, users, items)
    model, inputs = build(name, data, seed=7)
    carried = carry_over(model, inputs, _start(before[name], market, users, items))
    then = before[name].model.score(torch.from_numpy(users))[:, items]
    torch.testing.assert_close(model.score(torch.arange(N_USERS)), then)
    assert (carried.users, carried.items, carried.new_items, carried.afresh) == (N_USERS, N_ITEMS, 0, ())


def test_a_share_of_earlier_rows_is_carried_over(market: TrainingData, before: dict[str, Fitted]) -> None:
    same = np.arange(N_USERS), np.arange(N_ITEMS)
    start = _start(before["bpr_mf"], market, *same)
    model, inputs = build("bpr_mf", market, seed=7)
    first = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    carry_over(model, inputs, start, share=0.25)
    for name in ("user_embedding", "item_embedding"):
        wanted = 0.75 * first[name] + 0.25 * start.weights[name]
        torch.testing.assert_close(model.state_dict()[name], wanted)


def test_new_items_begin_from_content_and_new_users_from_the_first_values(
    market: TrainingData, before: dict[str, Fitted]
) -> None:
    users = np.append(np.arange(N_USERS), -1)
    items = np.append(np.arange(N_ITEMS), -1)
    features = {
        name: FeatureMatrix(
            np.concatenate([matrix.values, matrix.values[:1]]),
            np.append(matrix.present, matrix.present[0]),
            name,
        )
        for name, matrix in market.features.items()
    }
    train = Interactions(
        np.append(market.train.users, N_USERS),
        np.append(market.train.items, N_ITEMS),
        N_USERS + 1,
        N_ITEMS + 1,
        None if market.train.times is None else np.append(market.train.times, market.train.times.max()),
    )
    valid = replace(market.valid, n_users=N_USERS + 1, n_items=N_ITEMS + 1)
    data = TrainingData(train, valid, features)
    for name, from_content in (("vbpr", 1), ("bpr_mf", 0)):
        start = _start(before[name], market, users, items)
        model, inputs = build(name, data)
        first = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        carried = carry_over(model, inputs, start)
        assert (carried.new_users, carried.new_items, carried.from_content) == (1, 1, from_content)
        now = model.state_dict()
        torch.testing.assert_close(now["user_embedding"][-1], first["user_embedding"][-1])
        torch.testing.assert_close(now["item_embedding"][:-1], start.weights["item_embedding"])
        assert torch.equal(now["item_embedding"][-1], first["item_embedding"][-1]) is not bool(from_content)
    # the ridge regression, by hand
    known = np.bincount(market.train.items, minlength=N_ITEMS) > 0
    names = sorted(features)
    matrix = np.concatenate(
        [*(np.where(features[n].present[:, None], features[n].values, 0) for n in names),
         *(features[n].present[:, None] for n in names), np.ones((N_ITEMS + 1, 1))], axis=1
    ).astype(np.float64)  # fmt: skip
    fit_rows = np.append(known, False) & np.logical_or.reduce([features[n].present for n in names])
    x, y = matrix[fit_rows], start_rows(before["vbpr"])[fit_rows[:-1]]
    gram = x.T @ x
    weights = np.linalg.solve(gram + 0.1 * np.trace(gram) / len(gram) * np.eye(len(gram)), x.T @ y)
    model, inputs = build("vbpr", data)
    carry_over(model, inputs, _start(before["vbpr"], market, users, items))
    np.testing.assert_allclose(
        model.state_dict()["item_embedding"][-1], matrix[-1] @ weights, rtol=1e-4, atol=1e-6
    )


def start_rows(fitted: Fitted) -> np.ndarray:
    rows: np.ndarray = fitted.model.state_dict()["item_embedding"].double().numpy()
    return rows


def test_a_row_that_had_no_training_row_is_new_and_one_that_lost_them_begins_afresh(
    market: TrainingData, before: dict[str, Fitted]
) -> None:
    everybody, everything = np.arange(N_USERS), np.arange(N_ITEMS)
    cold, warm = 39, int(market.train.items[0])
    train = replace(market.train, items=np.where(market.train.items == warm, cold, market.train.items))
    data = replace(market, train=train)
    model, inputs = build("bpr_mf", data)
    first = model.state_dict()["item_embedding"].clone()
    carried = carry_over(model, inputs, _start(before["bpr_mf"], market, everybody, everything))
    now = model.state_dict()["item_embedding"]
    assert carried.new_items == 1 and torch.equal(now[cold], first[cold]) and bool(now[cold].any())
    assert not now[warm].any()  # never seen now: what it learned then says nothing


def test_users_and_items_that_cannot_be_told_apart_are_refused(
    market: TrainingData, before: dict[str, Fitted]
) -> None:
    model, inputs = build("bpr_mf", market)
    side = Renumbered(np.arange(N_ITEMS), np.ones(N_ITEMS, np.bool_))
    with pytest.raises(ValueError, match="as many users as items"):
        carry_over(model, inputs, WarmStart("1", before["bpr_mf"].model.state_dict(), side, side))


def test_kinds_of_models_that_cannot_go_on(market: TrainingData) -> None:
    assert "closed form" in (why_never(MODELS["ease"].spec) or "")
    assert "knowledge graph" in (why_never(MODELS["kgat"].spec) or "")
    assert why_never(MODELS["vbpr"].spec) is None


class KilledError(Exception):
    """In place of SIGKILL."""


def test_a_killed_run_goes_on_bit_equal_and_another_start_is_another_run(
    market: TrainingData, before: dict[str, Fitted], tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody, everything = np.arange(N_USERS), np.arange(N_ITEMS)
    start = _start(before["vbpr"], market, everybody, everything)
    config = small_config("vbpr")
    whole = fit(market, "vbpr", config, training=SHORT, start=start)
    steps, epochs = loop._Run._steps, []

    def killed(self, epoch: int):
        epochs.append(epoch)
        if epochs == [1, 2]:
            raise KilledError
        return steps(self, epoch)

    monkeypatch.setattr(loop._Run, "_steps", killed)
    with pytest.raises(KilledError):
        fit(market, "vbpr", config, training=SHORT, start=start, checkpoints=tmp_path)
    again = fit(market, "vbpr", config, training=SHORT, start=start, checkpoints=tmp_path)
    assert epochs == [1, 2, 2]
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name])
    fit(market, "vbpr", config, training=SHORT, checkpoints=tmp_path)
    assert epochs == [1, 2, 2, 1, 2]  # a state of another start is not gone on from
    final = refit(market, "vbpr", config, epochs=1, training=SHORT, start=start)
    assert final.carried is not None and final.carried.window == "1" and whole.carried == again.carried
