"""No model makes a table of all pairs of items or of users, but those that say so; counted, without a clock."""

import pytest
import torch

from mrs_pipeline.bench import complexity as measuring
from mrs_pipeline.bench.complexity import GROWING, LiveTensors, complexity, cost_of
from mrs_pipeline.bench.gpu_market import market
from mrs_pipeline.models.base import Recommender
from mrs_pipeline.models.baselines.bpr_mf import BprMf
from mrs_pipeline.models.layers import neighbours
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import LINEAR
from mrs_pipeline.types import TrainingData

MANY, FEW = 1200, 60
"""So many that a table of pairs is the largest tensor, and more than the rows of a block of similarities."""
MOST_GROWTH = 2.6
"""Growth of the largest tensor as a size doubles: 2 where it is linear, 4 for a table of pairs."""
DENSE = {name for name in MODELS.own if MODELS[name].spec.memory != LINEAR}

Pair = tuple[TrainingData, TrainingData]


@pytest.fixture(scope="module")
def markets() -> dict[str, Pair]:
    """What grows -> a market and one with twice as many of it."""
    items = [market(FEW, MANY * factor, 8, 16, raw=True) for factor in (1, 2)]
    users = [market(MANY * factor, FEW, 4, 16, raw=True) for factor in (1, 2)]
    return {"items": (items[0], items[1]), "users": (users[0], users[1])}


def growth(name: str, pair: Pair) -> float:
    before, after = (cost_of(name, data).largest for data in pair)
    return after / before


@pytest.mark.parametrize("name", sorted(MODELS.own))
def test_the_largest_tensor_grows_as_stated(name, markets, monkeypatch):
    # blocks of similarities are filled here as they are by large catalogues
    monkeypatch.setattr(neighbours, "_SIMILARITIES_AT_ONCE", 2**18)
    assert growth(name, markets["users"]) <= MOST_GROWTH
    found = growth(name, markets["items"])
    assert found > 3.5 if name in DENSE else found <= MOST_GROWTH


def test_who_says_that_it_holds_all_pairs():
    assert {"ease", "edlae", "rlae", "mm_ease"} == DENSE


class _Planted(BprMf):
    """All pairs of a side in the loss, as one byte each."""

    side = "item"

    def loss(self, batch):
        table = getattr(self, f"{self.side}_embedding")
        near = (table.detach()[:, :1] > table.detach()[:, 0]).any(1)
        return {**super().loss(batch), "planted": (table[:, 0] * near).sum()}


class _PlantedUsers(_Planted):
    side = "user"


@pytest.mark.parametrize(("kind", "side"), [(_Planted, "items"), (_PlantedUsers, "users")])
def test_a_planted_table_of_pairs_is_found(kind: type[Recommender], side, markets, monkeypatch):
    def planted(name, data, device):
        _, inputs = honest(name, data, device)
        return kind(kind.Config(), inputs, torch.Generator().manual_seed(1)), inputs

    honest = measuring.built
    assert growth("bpr_mf", markets[side]) <= MOST_GROWTH
    monkeypatch.setattr(measuring, "built", planted)
    assert growth("bpr_mf", markets[side]) > 3.5
    assert cost_of("bpr_mf", markets[side][1]).made_by == f"aten.gt [{2 * MANY}, {2 * MANY}]"


def test_bytes_are_those_held_at_once():
    with LiveTensors() as held:
        for _ in range(3):
            table = torch.zeros(100, 10)
            table[:50].add_(1)
            total = table.sum() + table.t().sum()
            del table
    assert held.largest == 1000 and held.shape == (100, 10) and total == 1000
    assert 4000 <= held.peak < 4100


def test_exponents_of_a_linear_and_of_a_quadratic_model():
    table = complexity(["bpr_mf", "ease"], FEW, 400, 5)
    assert set(table["grows"]) == set(GROWING) and len(table) == 4
    rows = {(row["model"], row["grows"]): row for row in table.to_dicts()}
    assert 0.5 < rows["bpr_mf", "items"]["bytes_exponent"] < 1.1
    assert 1.9 < rows["ease", "items"]["bytes_exponent"] < 2.1
    assert rows["ease", "items"]["largest_exponent"] == pytest.approx(2)
    assert rows["ease", "users"]["bytes_exponent"] < 1.1
    assert rows["ease", "items"]["stated_memory"] == "O(I^2)"
