"""Scoring, ranking and stored models on a device that is not the CPU; `pretend_device` stands for it."""

import numpy as np
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation import scoring
from mrs_pipeline.evaluation.evaluator import ranking_evidence, ranking_task
from mrs_pipeline.evaluation.recommending import rank
from mrs_pipeline.fitting import load, save_model
from mrs_pipeline.functional.graphs import knn_graph
from mrs_pipeline.functional.ranking import ranks_of, top_k, top_k_reference
from mrs_pipeline.metrics.evidence import Background
from mrs_pipeline_tests.pretend_device import ELSEWHERE, pretend_device, values
from mrs_pipeline_tests.toy import N_USERS, prepared, toy_market, trained


@pytest.fixture(scope="module")
def market():
    return toy_market()


@pytest.fixture(scope="module")
def stored(market, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    for name in ("bpr_mf", "freedom", "sasrec", "ease"):
        (folder / name).mkdir()
        save_model(trained(name, market.data, epochs=1), 1, folder / name)
    return folder


def waits_of(work) -> int:
    """Waits while `work` gets its chunks of ten users."""
    with pretend_device() as seen, pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "scores_at_once", lambda _: 400)
        work(seen)
        return len(seen.waits)


@pytest.mark.parametrize("name", ["bpr_mf", "freedom", "sasrec", "ease"])
def test_a_stored_model_is_loaded_where_it_is_asked_for_and_ranks_the_same(name, market, stored):
    data = prepared(name, market.data)
    wanted = rank(load(stored / name, data), np.arange(N_USERS), 5, [data.train])
    with pretend_device():
        model = load(stored / name, data, device=ELSEWHERE)
        assert model.device == ELSEWHERE
        assert {each.device for each in model.state_dict().values()} <= {ELSEWHERE}
        found = rank(model, np.arange(N_USERS), 5, [data.train])
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-4, atol=1e-5)
    assert (found.items == wanted.items).mean() > 0.99  # rounding may exchange neighbours


def test_graphs_that_a_stored_model_lacks_are_built_where_it_is(market, stored):
    with pretend_device() as seen:
        load(stored / "freedom", market.data, device=ELSEWHERE)
    assert any("functional/graphs.py" in wait and wait.startswith("copy to the host") for wait in seen.waits)
    here = knn_graph(market.data.features["image"], 5)
    with pretend_device():
        there = knn_graph(market.data.features["image"], 5, device=ELSEWHERE)
    assert np.array_equal(here.indices, there.indices)
    np.testing.assert_allclose(here.weights, there.weights, atol=1e-6)


def test_ranking_waits_once_a_call_and_not_once_a_chunk(market, stored):
    data = prepared("bpr_mf", market.data)
    users = np.arange(N_USERS)

    def lists(of: np.ndarray) -> int:
        def work(seen) -> None:
            model = load(stored / "bpr_mf", data, device=ELSEWHERE)
            seen.forget()
            rank(model, of, 5, [])

        return waits_of(work)

    assert lists(users) == lists(users[:10])

    def places(chunk: int) -> int:
        with pretend_device() as seen, pytest.MonkeyPatch.context() as patch:
            patch.setattr(scoring, "scores_at_once", lambda _: chunk)
            model = load(stored / "bpr_mf", data, device=ELSEWHERE)
            task = ranking_task(market.test, [data.train], device=ELSEWHERE)
            seen.forget()
            ranking_evidence(model, task, Background(data.train), list_length=5)
            return len(seen.waits)

    assert places(400) == places(40_000)


def test_scores_that_are_not_finite_are_refused_wherever_they_are(market, stored):
    data = prepared("bpr_mf", market.data)

    def work(seen) -> None:
        model = load(stored / "bpr_mf", data, device=ELSEWHERE)
        with torch.no_grad():
            values(model.item_embedding)[3] = torch.nan
        with pytest.raises(InputError, match="NaN or infinity"):
            rank(model, np.arange(N_USERS), 5, [])

    waits_of(work)


def test_chunks_follow_the_memory_of_the_device(monkeypatch):
    assert scoring.scores_at_once(torch.device("cpu")) == 2**20
    sizes = []
    for gigabytes in (4, 12, 80):
        properties = type("Properties", (), {"total_memory": gigabytes * 10**9})
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, found=properties: found)
        sizes.append(scoring.scores_at_once(torch.device("cuda")))
    assert sizes == [4 * 10**9 // 256, 12 * 10**9 // 256, 2**27]


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("k", [1, 3, 8, 20])
def test_the_best_without_asking_for_ties_are_the_best(k, ordered):
    generator = torch.Generator().manual_seed(k)
    scores = torch.randint(-2, 3, (40, 12), generator=generator).float() / 3
    scores[0], scores[1, :4], scores[2, 5] = -torch.inf, torch.inf, -0.0
    scores[3] = torch.randn(12, generator=generator) * 1e-30
    order = torch.randperm(12, generator=generator) if ordered else None
    wanted, found = top_k(scores, k, order), top_k_reference(scores, k, order)
    assert torch.equal(found[1], wanted[1])
    assert torch.equal(found[0], wanted[0])


def test_places_among_equals_are_the_same_elsewhere():
    generator = torch.Generator().manual_seed(1)
    scores = torch.randint(0, 4, (6, 15), generator=generator).float()
    rows, columns = torch.arange(6).repeat_interleave(3), torch.randint(15, (18,), generator=generator)
    order = torch.randperm(15, generator=generator)
    with pretend_device():
        there = ranks_of(*(part.to(ELSEWHERE) for part in (scores, rows, columns, order)))
    assert torch.equal(values(there), ranks_of(scores, rows, columns, order))
