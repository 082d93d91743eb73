"""The graph of users as an asset: planned where it is wanted, made from training rows alone, current or not."""

from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.plan import plan
from mrs_pipeline.stored.graphs import read_graph
from mrs_pipeline.stored.training_data import training_data
from mrs_pipeline.tasks.currency import upstream
from mrs_pipeline.tasks.node import USER_GRAPH
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import perform, stage_of, stale, task_of

NODE = str(USER_GRAPH)
ASKED: dict[str, Any] = {"models": {"most_pop": None, "dualgnn": {"embedding_size": 8, "user_k": 5}}}


@pytest.fixture
def asked(root: Path) -> Stage:
    return stage_of(root, **ASKED)


def _shared(stage: Stage, *splits: str) -> Counter[tuple[int, int]]:
    """(user, user) -> items that both have in these splits."""
    rows = stage.lake.read(stage.table("core", "splits")).filter(pl.col("split").is_in(splits))
    pairs: Counter[tuple[int, int]] = Counter()
    for (_,), part in rows.group_by("item"):
        pairs.update(combinations(sorted(part["user"].unique()), 2))
    return pairs


def test_it_is_planned_only_where_a_model_needs_it(worked: Path) -> None:
    assert NODE not in {task.name for task in plan(stage_of(worked).config)}
    asked = stage_of(worked, **ASKED)
    assert [task.name for task in plan(asked.config)].count(NODE) == 1
    for kind in ("trained", "metrics"):
        assert USER_GRAPH in task_of(asked, f"{kind}/dualgnn").inputs
        assert USER_GRAPH not in task_of(asked, f"{kind}/most_pop").inputs
    for kind in ("final", "recommendations"):  # of all rows, so it is another graph
        assert USER_GRAPH not in task_of(asked, f"{kind}/dualgnn").inputs
    as_chosen = stage_of(worked, **ASKED, serving={"refit": False})
    assert USER_GRAPH in task_of(as_chosen, "recommendations/dualgnn").inputs


def test_it_stands_with_the_other_graphs(worked: Path) -> None:
    task = task_of(stage_of(worked, **ASKED), NODE)
    assert (task.group, task.kinds, task.tags) == ("features", ("graph",), ("graph/users",))
    assert "The 200 users" in task.description


def test_it_counts_what_users_share_in_training(asked: Stage) -> None:
    facts = perform(asked, [NODE])[NODE].facts
    graph, shared = read_graph(asked, USER_GRAPH.name), _shared(asked, "train")
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    found = {
        (int(a), int(b)): int(count) for a, b, count in zip(rows, graph.indices, graph.weights, strict=True)
    }
    assert found == {**shared, **{(b, a): count for (a, b), count in shared.items()}}
    assert _shared(asked, "train", "valid", "test") != shared  # so that the rows held out would have shown
    assert facts["edges"] == len(found) == 2 * len(shared)
    assert facts["most items shared"] == max(shared.values())
    assert facts["mean items shared"] == pytest.approx(np.mean(list(found.values())), abs=1e-3)
    assert facts["mean degree"] == pytest.approx(len(found) / facts["users"], abs=0.01)
    assert facts["users"] == asked.lake.manifest(asked.table("core", "users")).rows
    assert facts["users with neighbours"] == len({a for a, _ in found})
    assert facts["users with all the neighbours asked for"] == 0


def test_a_model_is_trained_and_measured_with_it(asked: Stage) -> None:
    with pytest.raises(InputError, match=r"needs graphs/users, which is not materialised yet"):
        upstream(asked, task_of(asked, "trained/dualgnn"))
    kinds = ("trained", "final", "recommendations", "metrics")
    done = perform(asked, [NODE, *(f"{kind}/dualgnn" for kind in kinds)])
    assert done["recommendations/dualgnn"].facts["users"] > 0
    assert training_data(asked, MODELS["dualgnn"].spec).user_graph is not None
    assert training_data(asked, MODELS["freedom"].spec).user_graph is None
    assert not stale(asked) & {NODE, *(f"{kind}/dualgnn" for kind in kinds)}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"user_graph_k": 7}, {NODE}),
        ({"item_graph_k": 5}, set()),
        ({"split": {"valid": 0.2}}, {"core/splits"}),
    ],
)
def test_a_changed_setting_touches_what_it_decides(
    asked: Stage, changed: dict[str, Any], expected: set[str]
) -> None:
    perform(asked, [NODE])
    now = stage_of(asked.home.root, **ASKED, **changed)
    assert stale(now) & {NODE, "core/splits"} == expected


def test_it_is_stored_whatever_stands_in_for_missing_features(worked: Path) -> None:
    """Filled features have no stored item graphs; this one does not depend on features."""
    assert USER_GRAPH in task_of(stage_of(worked, **ASKED, missing="zero"), "trained/dualgnn").inputs
