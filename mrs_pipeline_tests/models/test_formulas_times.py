"""Models that read when items were taken: HM4SR against its equations in dense NumPy, and where times come from."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.evaluation.folded import FoldedIn
from mrs_pipeline.functional.sequences import OrderedHistories
from mrs_pipeline.models.base import SequenceBatch
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import BatchKind
from mrs_pipeline.training.batches import batch_source
from mrs_pipeline_tests.models.small import DATA, EVERYONE, N_ITEMS, N_USERS, PAIRS, projected, twin, unit
from mrs_pipeline_tests.models.test_formulas_codes_and_experts import attention
from mrs_pipeline_tests.models.test_formulas_meta_learning import TIMES, linear, norm
from mrs_pipeline_tests.toy import build, interactions, toy_market

DAY = 86_400
MOMENTS = 1_600_000_000 + 5 * DAY * TIMES.astype(np.int64)
TIMED = replace(DATA, train=interactions(PAIRS, N_USERS, N_ITEMS, times=MOMENTS))
HISTORIES = [
    sorted((i for u, i in PAIRS if u == user), key=lambda i: MOMENTS[user, i]) for user in range(N_USERS)
]
SIZE = 4
NAMES = ("id", "image", "text")
SMALL = {"embedding_size": SIZE, "n_layers": 1, "dropout": 0.0, "n_experts": 3}


def fresh(**overrides):
    model, _ = build("hm4sr", TIMED, **{**SMALL, **overrides})
    with torch.no_grad():  # zeros and ones would hide a bias or a norm that is in the wrong place
        for parameter in model.parameters():
            if parameter is not model.item_embedding:
                parameter.add_(torch.randn(parameter.shape, generator=model.generator), alpha=0.3)
    return model, {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def when(w, times):
    """tau of a start token and of items taken at `times`."""
    gaps = np.diff(times, prepend=times[:1])
    steps = np.floor(4 * np.log2(gaps + 1)).astype(int)
    phases = np.outer(
        (np.array(times) - MOMENTS[PAIRS[:, 0], PAIRS[:, 1]].min()) / (30 * DAY), w["times.rates"]
    )
    waves = np.cos((phases + w["times.phases"]) * 10_000 ** (-np.arange(SIZE) / SIZE))
    begin = np.concatenate([w["start.interval"], w["start.moment"]])
    return np.vstack([begin, np.hstack([w["times.intervals"][steps], waves])])


def parts_of(w):
    return {"id": w["item_embedding"], **{name: projected(w, name) for name in ("image", "text")}}


def mixed(w, history, times):
    """Name -> z of a start token and of the items of one history; and tau."""
    rows = {
        name: np.vstack([w[f"start.{name}"], vectors[history]]) + w["positions"][-len(history) - 1 :]
        for name, vectors in parts_of(w).items()
    }
    tau = when(w, times)
    joined = np.hstack(list(rows.values()))
    experts = [linear(joined, w, f"experts.{number}") for number in range(3)]
    scales = softmax(linear(tau, w, "time_gate")) @ w["time_experts"]
    found = {}
    for number, (name, own) in enumerate(rows.items()):
        columns = slice(number * SIZE, (number + 1) * SIZE)
        shares = softmax(linear(own, w, f"gates.{name}"))
        told = sum(shares[:, [e]] * experts[e][:, columns] for e in range(3))
        found[name] = (own + w["weights"][number] * told) * scales[:, columns]
    return found, tau


def encoded(w, name, rows):
    x, p = norm(rows, w, f"norms.{name}"), f"trunks.{name}"
    x = x + attention(w, f"{p}.blocks.0.attention", norm(x, w, f"{p}.blocks.0.attention_norm"))
    inner = np.maximum(linear(norm(x, w, f"{p}.blocks.0.feed_norm"), w, f"{p}.blocks.0.feed.inner"), 0)
    return norm(x + linear(inner, w, f"{p}.blocks.0.feed.outer"), w, f"{p}.norm")


def states(w, history, times):
    return np.hstack([encoded(w, name, rows) for name, rows in mixed(w, history, times)[0].items()])


def times_of(user):
    return np.array([MOMENTS[user, item] for item in HISTORIES[user]])


def test_hm4sr_scores():
    model, w = fresh()
    vectors = np.hstack(list(parts_of(w).values()))
    expected = [states(w, HISTORIES[user], times_of(user))[-1] @ vectors.T for user in range(N_USERS)]
    assert np.allclose(model.score(EVERYONE).numpy(), expected, atol=1e-4)


def contrast(one, other, wanted, temperature):
    logits = unit(one) @ unit(other).T / temperature
    alike = np.equal.outer(wanted, wanted) & ~np.eye(len(wanted), dtype=bool)
    logits = np.where(alike, -np.inf, logits)
    return np.mean(np.log(np.exp(logits).sum(1)) - np.diag(logits))


def test_hm4sr_loss():
    model, w = fresh(identity_weight=0.7, placeholder_weight=0.4, placeholder_share=0.5)
    batch = next(
        batch_source(model, ModelInputs.from_data(TIMED), 512).epoch(torch.Generator().manual_seed(1))
    )
    hidden = torch.rand(batch.tokens.shape, generator=twin(model.generator)).numpy() < 0.5
    after, partly, wanted = {name: [] for name in NAMES}, {name: [] for name in NAMES[1:]}, []
    for row, user in enumerate(batch.users.tolist()):
        history, times = HISTORIES[user][:-1], times_of(user)[:-1]
        wanted += HISTORIES[user]
        rows, tau = mixed(w, history, times)
        gone = hidden[row, -len(history) - 1 :].copy()
        gone[0] = False  # a start is no item
        for name, own in rows.items():
            after[name].append(encoded(w, name, own))
            if name != "id":
                stood = np.where(gone[:, None], linear(tau, w, f"placeholders.{name}"), own)
                partly[name].append(encoded(w, name, stood))
    after, partly = ({name: np.vstack(rows) for name, rows in each.items()} for each in (after, partly))
    logits = np.hstack(list(after.values())) @ np.hstack(list(parts_of(w).values()))[:5].T  # item 5 is cold
    gaps = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(wanted)), wanted]
    found = {name: term.item() for name, term in model.loss(batch).items()}
    assert found["next_item"] == pytest.approx(gaps.mean(), abs=1e-4)
    identity = contrast(after["id"], w["item_embedding"][wanted], wanted, 0.2)
    assert found["identity"] == pytest.approx(0.7 * identity, abs=1e-4)
    held = np.mean([contrast(after[name], partly[name], wanted, 1.0) for name in partly])
    assert found["placeholder"] == pytest.approx(0.4 * held, abs=1e-4)
    assert len(wanted) > len(set(wanted))  # some positions have the same next item


def test_a_shift_of_all_times_leaves_intervals_alone():
    model, _ = fresh()
    times = torch.from_numpy(MOMENTS[:1])
    intervals, moments = model.times(times)
    shifted, later = model.times(times + 40 * DAY)
    assert torch.equal(intervals, shifted) and not torch.allclose(moments, later, atol=1e-3)
    assert torch.equal(intervals[:, 0], model.times.intervals[:1].expand(1, SIZE)[0].unsqueeze(0))


def test_times_alone_decide_where_order_is_the_same():
    model, _ = fresh()
    lists = [np.array(HISTORIES[0]), np.array(HISTORIES[3])]
    near = [times_of(0), times_of(3)]
    far = [each + np.array([0, 900 * DAY]) for each in near]
    early, late = (
        model.fold_in(OrderedHistories.from_lists(lists, N_ITEMS, times=times)) for times in (near, far)
    )
    assert torch.allclose(early, model.score(torch.tensor([0, 3])), atol=1e-5)
    assert not torch.allclose(early, late, atol=1e-3)


def test_a_history_without_times_ends_now_and_has_typical_intervals():
    model, _ = fresh()
    history = [2, 0, 4]
    every = [times_of(user) for user in range(N_USERS)]
    gaps = np.sort(np.concatenate([np.diff(each) for each in every]))
    typical, now = gaps[(len(gaps) - 1) // 2], max(each.max() for each in every if len(each))
    times = now - typical * np.array([2, 1, 0])
    told = OrderedHistories.from_lists([np.array(history)], N_ITEMS, times=[times])
    untold = OrderedHistories.from_lists([np.array(history)], N_ITEMS)
    assert torch.allclose(model.fold_in(untold), model.fold_in(told), atol=1e-5)
    rows = interactions(np.array([[0, 2], [0, 4]]), 1, N_ITEMS)
    in_order = OrderedHistories.from_lists([np.array([2, 4])], N_ITEMS)
    assert torch.equal(FoldedIn.of_rows(model, rows).scorer()(torch.tensor([0])), model.fold_in(in_order))


def test_what_is_known_later_has_its_own_times():
    """Validation rows go on where training ended: scores are those of the whole history with its times."""
    model, _ = fresh()
    known = interactions(np.array([[0, 2]]), N_USERS, N_ITEMS, times=MOMENTS + 300 * DAY)
    model.observe(known)
    whole = [np.array([*HISTORIES[0], 2])]
    times = [np.append(times_of(0), MOMENTS[0, 2] + 300 * DAY)]
    folded = model.fold_in(OrderedHistories.from_lists(whole, N_ITEMS, times=times))
    assert torch.allclose(model.score(torch.tensor([0])), folded, atol=1e-5)
    soon = [np.append(times_of(0), times_of(0)[-1])]
    assert not torch.allclose(
        folded, model.fold_in(OrderedHistories.from_lists(whole, N_ITEMS, times=soon)), atol=1e-4
    )


@pytest.mark.parametrize("length", [3, 12])
def test_batches_have_times_where_a_model_reads_them_and_nowhere_else(length):
    market = toy_market().data
    moments = np.zeros((market.train.n_users, market.train.n_items), np.int64)
    moments[market.train.users, market.train.items] = market.train.times
    for name in ("hm4sr", "sasrec"):
        model, inputs = build(name, market, max_length=length)
        batch: SequenceBatch = next(batch_source(model, inputs, 512).epoch(model.generator))
        if name == "sasrec":
            assert batch.times is None
            continue
        tokens, times = batch.tokens.numpy(), batch.times.numpy()
        items = (tokens >= 0) & (tokens < inputs.n_items)
        owners = np.repeat(batch.users.numpy()[:, None], tokens.shape[1], axis=1)
        assert (times[items] == moments[owners[items], tokens[items]]).all()
        assert (np.diff(times, axis=1) >= 0).all()
    timed = {each for each in MODELS.own if MODELS[each].spec.times}
    assert timed == {"hm4sr"} and MODELS["hm4sr"].spec.batches is BatchKind.SEQUENCES
