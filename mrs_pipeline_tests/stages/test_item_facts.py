"""Metrics that need lists, features or an attribute, from the settings to the stored rows."""

from pathlib import Path

import numpy as np
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.options import MEASURED
from mrs_pipeline.metrics.registry import METRICS
from mrs_pipeline.stored.item_facts import item_facts
from mrs_pipeline.tables import TABLES
from mrs_pipeline.tasks.currency import is_current
from mrs_pipeline.tasks.node import Kind, Node
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import perform, stage_of, task_of

EVERYTHING = {"metrics": list(METRICS), "attribute": "category"}
TASK = "metrics/most_pop"


def rows_of(stage: Stage, **of: str) -> list[dict]:
    return stage.lake.read(stage.table("eval", "metrics", model="most_pop")).filter(**of).to_dicts()


def test_every_metric_can_be_measured_and_passes_its_checks(root: Path) -> None:
    stage = stage_of(root, evaluation=EVERYTHING)
    task = task_of(stage, TASK)
    assert {Node(Kind.FEATURES, "text_tfidf_svd"), Node(Kind.FEATURES, "image_color_gradient")} <= set(
        task.inputs
    )
    perform(stage, [TASK])
    rows = rows_of(stage, slice="all")
    assert {row["metric"] for row in rows} == set(METRICS)
    for row in rows:
        metric = METRICS[row["metric"]]
        assert (row["k"] is None) == (not metric.cutoff)
        assert (row["ci_low"] is None) == (metric.overall is not None), row["metric"]
    assert all(found.passed for found in task.check(stage, task))


def test_what_is_measured_is_part_of_what_metrics_are_made_from(root: Path) -> None:
    assert is_current(stage_of(root), task_of(stage_of(root), TASK))
    more = stage_of(root, evaluation={"metrics": [*MEASURED, "auc"]})
    assert not is_current(more, task_of(more, TASK))
    assert is_current(more, task_of(more, "trained/most_pop"))
    perform(more, [TASK])
    before = {(row["metric"], row["slice"], row["k"]): row["value"] for row in rows_of(stage_of(root))}
    assert is_current(more, task_of(more, TASK))
    assert {metric for metric, *_ in before} == {*MEASURED, "auc"}


def test_features_are_read_only_where_a_metric_needs_them(worked: Path) -> None:
    assert item_facts(stage_of(worked)).features == {}
    assert not [node for node in task_of(stage_of(worked), TASK).inputs if node.kind is Kind.FEATURES]
    facts = item_facts(stage_of(worked, evaluation={"metrics": [*MEASURED, "diversity"]}))
    assert set(facts.features) == {"text", "image"}
    assert facts.attribute is None


def test_the_attribute_is_the_column_of_the_items(worked: Path) -> None:
    stage = stage_of(worked, evaluation={**EVERYTHING, "attribute_separator": " "})
    attribute = item_facts(stage).attribute
    assert attribute is not None
    items = stage.lake.read(stage.table("core", "items"))
    words = [sorted(set((text or "").split())) for text in items["category"].to_list()]
    known = sorted({word for each in words for word in each})
    assert attribute.n_values == len(known)
    for item, expected in enumerate(words):
        found = attribute.values.values[attribute.values.starts[item] : attribute.values.starts[item + 1]]
        assert [known[value] for value in found] == expected


def test_an_attribute_that_is_no_column_is_named(worked: Path) -> None:
    stage = stage_of(worked, evaluation={**EVERYTHING, "attribute": "genre"})
    with pytest.raises(InputError, match="no column 'genre' of the items; it has item, item_id, .*category"):
        item_facts(stage)


@pytest.mark.parametrize("path", ["models/runs", "models/history", "eval/metrics", "eval/user_metrics"])
def test_stored_tables_have_the_declared_columns(worked: Path, path: str) -> None:
    stage = stage_of(worked)
    schema, _, name = path.partition("/")
    stored = stage.lake.manifest(stage.table(schema, name, model="most_pop")).columns
    declared = {column: each.type for column, each in TABLES[path].columns.items()}
    assert {column: kind for column, kind in stored.items() if column in declared} == declared
    assert set(stored) - set(declared) <= {"dataset", "window", "model"}


def test_a_metric_that_is_undefined_for_some_users_counts_the_others(root: Path) -> None:
    stage = stage_of(root, evaluation={"metrics": [*MEASURED, "diversity"], "ks": [1, 5, 20]})
    perform(stage, [TASK])
    assert rows_of(stage, metric="diversity", k=1) == []  # one item has no pair
    (row,) = rows_of(stage, metric="diversity", k=5, slice="all")
    users = stage.lake.read(stage.table("eval", "user_metrics", model="most_pop"))
    values = users.filter(metric="diversity", k=5, slice="all")["value"].to_numpy()
    assert row["users"] == len(values)
    assert row["value"] == pytest.approx(np.mean(values, dtype=float))
