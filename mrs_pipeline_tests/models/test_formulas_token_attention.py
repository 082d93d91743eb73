"""Models that attend to regions and words, against their equations in dense NumPy; where attention goes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.models.base import HasTokenMaps
from mrs_pipeline.types import TokenMatrix
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    N_ITEMS,
    N_USERS,
    PAIRS,
    affine,
    losses,
    scores,
    twin,
    unit,
    weights,
    with_biases,
)
from mrs_pipeline_tests.models.test_formulas_cross_modal import attended, fed, normed
from mrs_pipeline_tests.toy import build, first_batch, interactions, toy_market, trained


def tokens_of(name, data=DATA):
    """Standardised tokens [I, T, D], and which there are."""
    matrix = data.tokens[name]
    values = matrix.values.astype(float)
    there = (values != 0).any(2) & matrix.present[:, None]
    real = values[there]
    standard = (values - real.mean(0)) / real.std(0)
    return np.where(there[:, :, None], standard, 0), there


def softmax(scores, there):
    powers = np.where(there, np.exp(scores), 0)
    total = powers.sum(-1, keepdims=True)
    return powers / np.where(total > 0, total, 1)


def pair_shares(state, name, users, tokens, there):
    """[U, I, T] of users [U, d] and tokens [I, T, .]."""
    query, keys = affine(state, f"{name}.of_user", users), affine(state, f"{name}.of_token", tokens)
    hidden = np.maximum(query[:, None, None, :] * keys[None], 0)
    return softmax(hidden @ state[f"{name}.weight"], there)


def bpr_of(found):
    gaps = found[BATCH.users, BATCH.positives] - found[BATCH.users, BATCH.negatives]
    return float(np.mean(np.log1p(np.exp(-gaps))))


def norm_of(state):
    tables = (state["user_embedding"][BATCH.users],)
    tables += tuple(state["item_embedding"][part] for part in (BATCH.positives, BATCH.negatives))
    return sum((table**2).sum() for table in tables) / 2 / len(BATCH.users)


def vecf(state, data=DATA, merge="add"):
    users, items = state["user_embedding"], state["item_embedding"]
    content, count = np.zeros((N_USERS, N_ITEMS, users.shape[1])), np.zeros(N_ITEMS)
    for name in data.tokens:
        tokens, there = tokens_of(name, data)
        shares = pair_shares(state, f"attention.{name}", users, tokens, there)
        content += np.einsum("uit,itd->uid", shares, affine(state, f"values.{name}", tokens))
        count += there.any(1)
    if merge == "add":
        return np.einsum("ud,uid->ui", users, items + content)
    mean = np.where(count[:, None] > 0, content / np.maximum(count, 1)[:, None], 1)
    return np.einsum("ud,uid->ui", users, items * mean)


@pytest.mark.parametrize("merge", ["add", "multiply"])
def test_vecf(merge):
    model = build("vecf", DATA, merge=merge, attention_size=5, reg_weight=0.1)[0]
    expected = vecf(weights(model), merge=merge)
    assert np.allclose(scores(model), expected, atol=1e-5)
    found = {"bpr": bpr_of(expected), "reg": 0.1 * norm_of(weights(model))}
    assert losses(model) == pytest.approx(found, abs=1e-5)


def test_the_order_of_regions_moves_the_maps_and_no_score():
    order = [2, 0, 1]
    turned = {
        name: TokenMatrix(each.values[:, order].copy(), each.present, name)
        for name, each in DATA.tokens.items()
    }
    for name in ("vecf", "saers"):
        model, other = build(name, DATA)[0], build(name, replace(DATA, tokens=turned))[0]
        assert np.allclose(scores(model), scores(other), atol=1e-5)
        user, items = torch.tensor([2]), torch.arange(N_ITEMS)
        with torch.no_grad():
            maps, moved = model.token_maps(user, items), other.token_maps(user, items)
        for modality in maps:
            assert torch.allclose(maps[modality][:, order], moved[modality], atol=1e-6)


def test_two_users_attend_otherwise_to_one_picture():
    model = build("vecf", DATA)[0]
    with torch.no_grad():
        one, other = (model.token_maps(torch.tensor([user]), torch.tensor([0]))["image"] for user in (0, 3))
        assert not torch.allclose(one, other)
        model.attention["image"].of_user.weight.zero_()
        equal = model.token_maps(torch.tensor([0]), torch.tensor([0]))["image"]
    assert torch.allclose(equal, torch.full((1, 3), 1 / 3))


def saers_items(state, n_attributes, hidden):
    attributes, there, maps, content = [], [], {}, 0
    for name in DATA.tokens:
        tokens, real = tokens_of(name)
        keys = affine(state, f"keys.{name}", tokens)
        logits = np.einsum("ah,ith->iat", state[f"attributes.{name}"], keys) / np.sqrt(hidden)
        maps[name] = softmax(logits, real[:, None, :])
        attributes.append(maps[name] @ affine(state, f"values.{name}", tokens))
        there.append(np.repeat(real.any(1)[:, None], n_attributes, 1))
        mean = tokens.sum(1) / np.maximum(real.sum(1), 1)[:, None]
        content = content + affine(state, f"whole.{name}", mean)
    return np.concatenate(attributes, 1), np.concatenate(there, 1), maps, content


def test_saers():
    model = build("saers", DATA, n_attributes=3, attention_size=4, reg_weight=0.1, spread_weight=0.5)[0]
    state = weights(model)
    found, there, maps, content = saers_items(state, 3, 4)
    users = state["user_embedding"]
    shares = pair_shares(state, "attention", users, found, there)
    expected = users @ state["item_embedding"].T + state["user_content"] @ content.T
    expected += np.einsum("ud,uia,iad->ui", state["user_attributes"], shares, found)
    assert np.allclose(scores(model), expected, atol=1e-4)
    chosen = np.unique(np.concatenate([BATCH.positives, BATCH.negatives]))
    alike = []
    for own in maps.values():
        mean = unit(own[chosen].mean(0))
        cosines = (mean @ mean.T)[~np.eye(3, dtype=bool)]
        alike.append((cosines**2).mean())
    terms = {"bpr": bpr_of(expected), "reg": 0.1 * norm_of(state), "spread": 0.5 * np.mean(alike)}
    assert losses(model) == pytest.approx(terms, abs=1e-4)
    whole = shares[2][:, :3, None] * maps["image"]
    seen = whole.sum(1) / np.maximum(whole.sum((1, 2)), 1e-30)[:, None]
    with torch.no_grad():
        own = model.token_maps(torch.tensor([2]), torch.arange(N_ITEMS))["image"].numpy()
    assert np.allclose(own, seen, atol=1e-5)


TIMED = replace(
    DATA,
    train=interactions(PAIRS, N_USERS, N_ITEMS, times=np.random.default_rng(3).permutation(30).reshape(5, 6)),
)
HISTORIES = [[int(item) for item in TIMED.train.items[TIMED.train.users == user]] for user in range(N_USERS)]


def mm_rec_items(state, n_heads):
    """Part -> [I, 16] vectors, and which items have it."""
    rows, there = {}, {}
    for name in DATA.tokens:
        tokens, there[name] = tokens_of(name)
        rows[name] = affine(state, f"words.{name}", tokens)
    other = {"image": "text", "text": "image"}
    seen = {name: np.zeros_like(own) for name, own in rows.items()}
    for name, item in ((name, item) for name in rows for item in range(N_ITEMS)):
        y = rows[other[name]][item][there[other[name]][item]]
        x = rows[name][item]
        place = f"blocks.0.{name}"
        looked = (
            attended(state, f"{place}.attention", x, y, n_heads) if len(y) else nothing_seen(state, place, x)
        )
        seen[name][item] = fed(state, f"{place}.feed", normed(state, f"{place}.norm", x + looked))
    shares = {name: softmax(own @ state[f"query.{name}"], there[name]) for name, own in seen.items()}
    vectors = {name: np.einsum("it,itd->id", shares[name], own) for name, own in seen.items()}
    having = {name: real.any(1) for name, real in there.items()}
    warm = np.arange(N_ITEMS) < 5
    return {"id": state["item_embedding"], **vectors}, {"id": warm, **having}, shares


def nothing_seen(state, place, x):
    return np.broadcast_to(state[f"{place}.attention.output.bias"], x.shape)


def mm_rec_score(state, items, candidate, history):
    """Of one candidate after a history of items; None is the start token."""
    vectors, having = items
    names = list(vectors)
    whole = sum(vectors[name][candidate] for name in names)
    total = 0.0
    for key in names:
        rows = np.array(
            [
                state[f"start.{key}"] if item is None else vectors[key][item]
                for item in history
                if item is None or having[key][item]
            ]
        )
        for asking in names:
            if having[asking][candidate]:
                powers = np.exp(rows @ vectors[asking][candidate] / 4)
                total += whole @ (powers / powers.sum() @ rows)
    return total


def test_mm_rec():
    model = with_biases(build("mm_rec", TIMED, n_heads=2, n_negatives=2, dropout=0.0)[0])
    state = weights(model)
    vectors, having, shares = mm_rec_items(state, 2)
    items = (vectors, having)
    expected = [
        [mm_rec_score(state, items, candidate, [None, *history]) for candidate in range(N_ITEMS)]
        for history in HISTORIES
    ]
    assert np.allclose(scores(model), expected, atol=1e-4)
    with torch.no_grad():
        maps = model.token_maps(torch.tensor([0]), torch.arange(N_ITEMS))
    assert all(np.allclose(maps[name].numpy(), shares[name], atol=1e-5) for name in shares)


def test_mm_rec_tells_the_next_item_among_drawn_ones():
    model, inputs = build("mm_rec", TIMED, n_negatives=2, dropout=0.0)
    batch = first_batch(model, inputs)
    state = weights(model)
    items = mm_rec_items(state, 1)[:2]
    draw = torch.randint(5, (*batch.tokens.shape, 2), generator=twin(model.generator)).numpy()
    nll = []
    for row, column in np.argwhere(batch.targets.numpy() >= 0):
        before = [
            None if token == N_ITEMS else token
            for token in batch.tokens[row, : column + 1].tolist()
            if token >= 0
        ]
        right = int(batch.targets[row, column])
        others = [int(item) for item in draw[row, column] if item != right]
        each = np.array([mm_rec_score(state, items, item, before) for item in (right, *others)])
        nll.append(np.log(np.exp(each).sum()) - each[0])
    assert losses(model, batch)["next_item"] == pytest.approx(np.mean(nll), abs=1e-4)


def test_after_one_click_every_candidate_meets_the_same_user():
    """u_c is the sum over pairs of parts of the one click's vector, whatever the candidate."""
    model = build("mm_rec", TIMED)[0].eval()
    with torch.no_grad():
        parts = model.item_parts()
        whole = torch.stack(list(parts.values())).sum(0)
        click = {name: rows[:1].unsqueeze(0) for name, rows in parts.items()}
        found = model._matched(
            {n: r.unsqueeze(0) for n, r in parts.items()}, click, torch.ones(1, 1, 1, dtype=bool)
        )
    asking = torch.stack([(rows != 0).any(1) for rows in parts.values()]).sum(0)
    assert torch.allclose(found[0], asking * (whole @ whole[0]), atol=1e-4)


def read(state, side, words, there, reader):
    """[16] one text [T, .] of one modality, read with an identifier."""
    if not there.any():
        return np.zeros(16)
    c = np.maximum(affine(state, f"words.{side[0]}", words[there]), 0)
    query = np.maximum(affine(state, f"asked_by_{side[1]}.{side[0]}", reader), 0)
    powers = np.exp(affine(state, f"keys.{side[0]}", c) @ query)
    return powers / powers.sum() @ c


def nrpa_user(state, user, texts):
    reader = state["user_embedding"][user]
    rows = {name: tokens_of(name) for name in DATA.tokens}
    read_texts = np.array(
        [
            sum(
                read(state, (name, "user"), tokens[item], there[item], reader)
                for name, (tokens, there) in rows.items()
            )
            for item in texts
        ]
    )
    if not len(texts):
        return reader
    query = np.maximum(affine(state, "text_asked", reader), 0)
    powers = np.exp(affine(state, "text_keys", read_texts) @ query)
    return reader + powers / powers.sum() @ read_texts


def test_nrpa():
    model = with_biases(build("nrpa", TIMED, n_texts=3, attention_size=4, reg_weight=0.1)[0])
    state = weights(model)
    rows = {name: tokens_of(name) for name in DATA.tokens}
    items = np.array(
        [
            own
            + sum(
                read(state, (name, "item"), tokens[i], there[i], own)
                for name, (tokens, there) in rows.items()
            )
            for i, own in enumerate(state["item_embedding"])
        ]
    )
    users = np.array([nrpa_user(state, user, history[-3:]) for user, history in enumerate(HISTORIES)])
    assert np.allclose(scores(model), users @ items.T, atol=1e-4)
    # the text that is to be told is not read in training
    gaps = []
    pairs = zip(BATCH.users.tolist(), BATCH.positives.tolist(), BATCH.negatives.tolist(), strict=True)
    for user, positive, negative in pairs:
        texts = [item for item in HISTORIES[user][-3:] if item != positive]
        gaps.append(nrpa_user(state, user, texts) @ (items[positive] - items[negative]))
    terms = {"bpr": np.mean(np.log1p(np.exp(-np.array(gaps)))), "reg": 0.1 * norm_of(state)}
    assert losses(model) == pytest.approx(terms, abs=1e-4)


def posters(taste: np.ndarray, side: int = 4) -> TokenMatrix:
    """Generated pictures cut into side x side regions, each its mean colour and how strong that is.

    The upper right corner has the colour of the item's taste; the other regions have any colour, half as strong.
    """
    rng = np.random.default_rng(4)
    n, pixels = len(taste), 8 * side
    colours = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]]) - 0.5
    painted = 0.5 * colours[rng.integers(0, 4, (n, side, side))]
    painted[:, 0, -1] = colours[taste]
    pictures = 0.5 + painted.repeat(8, 1).repeat(8, 2) + 0.1 * rng.normal(size=(n, pixels, pixels, 3))
    regions = pictures.reshape(n, side, 8, side, 8, 3).swapaxes(2, 3).mean((3, 4)).reshape(n, side * side, 3)
    tokens = np.concatenate([regions, np.abs(regions - 0.5)], axis=2)
    return TokenMatrix(tokens.astype(np.float16), np.ones(n, bool), "image", (side, side))


@pytest.mark.parametrize(("name", "settings"), [("vecf", {"attention_size": 32}), ("saers", {})])
def test_attention_goes_where_the_taste_is(name, settings):
    """Of 16 regions the upper right one alone tells the taste: it gets most of what all users attend to."""
    market = toy_market(("image",))
    data = replace(market.data, tokens={"image": posters(market.item_taste)})
    corner = 3
    everything = torch.arange(len(market.item_taste))

    def share(model: HasTokenMaps) -> float:
        with torch.no_grad():
            maps = [model.token_maps(torch.tensor([user]), everything)["image"] for user in range(0, 56, 5)]
        return float(torch.stack(maps)[..., corner].mean())

    assert share(build(name, data, **settings)[0]) < 0.1
    assert share(trained(name, data, epochs=30, **settings)) > 0.7
