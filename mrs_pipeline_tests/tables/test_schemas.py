"""The tables' descriptions agree with each other."""

import re

import pytest
from pydantic import ValidationError

from mrs_pipeline.tables import TABLES
from mrs_pipeline.tables.rules import InteractionRules

KEYS = {"dataset", "model"}
TYPES = {"VARCHAR", "VARCHAR[]", "BIGINT", "INTEGER", "DOUBLE", "FLOAT", "FLOAT[]", "BOOLEAN", "TIMESTAMP"}


OTHER_KEYS = {"eval/leaderboard", "eval/experiments", "eval/experiment_arms", "serving/promotions"}
"""Tables of many models, whose partitions are told apart by other keys."""


@pytest.mark.parametrize("path", TABLES)
def test_every_column_is_typed_and_described_and_none_is_a_key(path: str) -> None:
    table = TABLES[path]
    assert table.path == path
    assert re.fullmatch(r"[a-z_]+(/[a-z_]+)?", path)
    assert table.description.endswith(".")
    assert not KEYS & set(table.columns) or path in OTHER_KEYS
    for column in table.columns.values():
        assert column.type in TYPES
        assert column.description.endswith(".")


@pytest.mark.parametrize("path", TABLES)
def test_lineage_leads_from_existing_columns_to_existing_columns(path: str) -> None:
    table = TABLES[path]
    assert set(table.lineage) <= set(table.columns)
    for sources in table.lineage.values():
        assert sources
        for source, column in sources:
            assert column in TABLES[source].columns
            assert source != path


def test_lineage_reaches_back_to_the_raw_rows() -> None:
    def roots(path: str, column: str) -> set[tuple[str, str]]:
        sources = TABLES[path].lineage.get(column)
        return (
            {(path, column)} if sources is None else {root for source in sources for root in roots(*source)}
        )

    assert roots("serving/recommendations", "item_id") == {("raw/items", "item_id")}
    assert ("raw/interactions", "timestamp") in roots("eval/metrics", "value")


@pytest.mark.parametrize(
    "wrong", [{"k_core": -1}, {"min_rating": float("nan")}, {"deduplicate": "all"}, {"kcore": 5}]
)
def test_rules_outside_their_bounds_are_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        InteractionRules(**wrong)
