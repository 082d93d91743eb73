"""From attributes or triples to a numbered graph, and each expectation with the fault that it is there for."""

from collections.abc import Callable

import duckdb
import polars as pl
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.quality.judging import check_suites
from mrs_pipeline.tables.knowledge import build_from_attributes, build_from_triples, suites

ITEMS = pl.DataFrame(
    {
        "item": [0, 1, 2, 3],
        "item_id": ["a", "b", "c", "d"],
        "is_cold": [False, False, False, True],
        "genre": ["Drama| War", "Drama|Drama", "War", None],
        "maker": ["Drama", "", "Drama", "  "],
        "year": ["1995", "1999.0", "soon", "2003"],
    }
)
Row = tuple[int, str, int, str, int, str]


@pytest.fixture
def con():
    with duckdb.connect() as connection:
        connection.register("items", ITEMS.to_arrow())
        yield connection


def by_attributes(con: duckdb.DuckDBPyConnection, relations: dict[str, str], **changed) -> list[Row]:
    settings = {"decade": None, "separator": "|", "ignore": (), "min_items": 1, **changed}
    return con.sql(f"SELECT * FROM {build_from_attributes(con, 'items', relations, **settings)}").fetchall()


def by_triples(con: duckdb.DuckDBPyConnection, rows: list[tuple[str, str, str]]) -> list[Row]:
    con.register("given", pl.DataFrame(rows, schema=["head", "relation", "tail"], orient="row").to_arrow())
    given = "SELECT *, true AS head_linked, true AS tail_linked FROM given"
    return con.sql(f"SELECT * FROM {build_from_triples(con, 'items', given)}").fetchall()


def test_values_become_entities_of_their_attribute(con):
    assert by_attributes(con, {"kind": "genre", "maker": "maker"}) == [
        (0, "a", 0, "kind", 4, "Drama"),
        (0, "a", 0, "kind", 5, "War"),
        (1, "b", 0, "kind", 4, "Drama"),
        (2, "c", 0, "kind", 5, "War"),
        (0, "a", 1, "maker", 6, "Drama"),
        (2, "c", 1, "maker", 6, "Drama"),
    ]


def test_a_year_becomes_its_decade_and_what_is_no_year_is_left_out(con):
    found = by_attributes(con, {"decade": "year"}, decade="decade")
    assert [(row[1], row[5]) for row in found] == [("a", "1990s"), ("b", "1990s"), ("d", "2000s")]


def test_values_of_few_items_and_ignored_values_are_left_out(con):
    assert {row[5] for row in by_attributes(con, {"decade": "year"}, decade="decade", min_items=2)} == {
        "1990s"
    }
    assert {row[5] for row in by_attributes(con, {"genre": "genre"}, ignore=("Drama",))} == {"War"}


def test_a_relation_without_a_value_takes_no_number(con):
    found = by_attributes(con, {"year": "year", "maker": "maker"}, min_items=2)
    assert {(row[2], row[3]) for row in found} == {(0, "maker")}


def test_another_separator(con):
    assert {row[5] for row in by_attributes(con, {"genre": "genre"}, separator="ma")} == {
        "Dra",
        "| War",
        "|Dra",
        "War",
    }


@pytest.mark.parametrize(
    ("relations", "settings", "sentence"),
    [
        ({"grape": "grapes"}, {}, r"no column 'grapes' \(they have: item_id, genre, maker, year\)"),
        ({"genre": "genre"}, {"min_items": 9}, "no value of genre is shared by 9 items or more"),
    ],
)
def test_attributes_that_make_no_graph_are_refused(con, relations, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        by_attributes(con, relations, **settings)


def test_ids_of_items_are_told_in_triples_and_the_rest_are_entities(con):
    rows = [("b", "by", "x"), ("x", "from", "y"), ("a", "by", "x"), ("a", "like", "b"), ("b", "by", "x")]
    assert by_triples(con, [*rows, ("a", "like", "a")]) == [
        (0, "a", 0, "by", 4, "x"),
        (1, "b", 0, "by", 4, "x"),
        (4, "x", 1, "from", 5, "y"),
        (0, "a", 2, "like", 1, "b"),
    ]


def test_triples_of_another_catalogue_are_refused(con):
    with pytest.raises(InputError, match="none of the triples names an item_id of the dataset"):
        by_triples(con, [("1", "by", "x")])


def column(name: str, value: object) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """The first triple gets another value."""
    return lambda frame: frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(value)).otherwise(name).alias(name)
    )


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (lambda frame: frame, None),
        (lambda frame: frame.head(0), "the graph is not empty"),
        (lambda frame: pl.concat([frame, frame.head(1)]), "no triple stands there twice"),
        (column("tail", 0), "no entity is joined to itself"),
        (column("relation", 7), "no relation number is skipped"),
        (column("relation", None), "every triple has a head, a relation and a tail"),
        (column("head", 3), "every item that a triple names is that item of core.items"),
        (column("head_name", "gone"), "every item that a triple names is that item of core.items"),
        (column("head", 99), "numbered on from the last item without a gap"),
        (column("tail_name", "else"), "every entity has one name"),
    ],
)
def test_each_expectation_has_a_fault_that_it_finds(con, fault, sentence):
    by_attributes(con, {"kind": "genre", "maker": "maker"})
    con.register("graph", fault(con.sql("SELECT * FROM core_knowledge").pl()).to_arrow())
    report = check_suites(con, suites("graph", "items"))
    broken = [row.description for row in report.failures]
    if sentence is None:
        assert not broken
    else:
        assert any(sentence in each for each in broken), broken
