"""`core.knowledge`: what is known of the items, as triples between numbered entities. Items come first.

The graph is made of attributes of `core.items` or of a file of triples; entities that are no items are numbered on
from the last item. What models do with it is theirs; its settings are `ingest.knowledge_options`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.columns import listed_columns

if TYPE_CHECKING:
    import duckdb

KNOWLEDGE = TableSchema(
    path="core/knowledge",
    description="One triple of the knowledge graph: a head, a relation and a tail, each with its name.",
    columns=listed_columns(
        "head",
        "head_name",
        "relation",
        "relation_name",
        "tail",
        "tail_name",
    ),
    lineage={
        "head": (("core/items", "item"),),
        "head_name": (("core/items", "item_id"),),
        "tail": (("core/items", "item"),),
        "tail_name": (("core/items", "item_id"),),
    },
)

BUILT: Final = "core_knowledge"
"""The temporary table that both builders leave on their connection, in its final order."""

_NAMED = "knowledge_named"


def build_from_attributes(
    con: "duckdb.DuckDBPyConnection",
    items: str,
    relations: Mapping[str, str],
    *,
    decade: str | None,
    separator: str,
    ignore: Sequence[str],
    min_items: int,
) -> str:
    """A triple for each value of some columns; values of different columns are different entities.

    Args:
        con: any connection.
        items: what to put after FROM to read `core.items`.
        relations: relation -> column.
        decade: the relation whose column holds a year, if any.
        separator: what stands between the values of a column.
        ignore: values that count as absent.
        min_items: fewest items that a value must have.

    Raises:
        InputError: a column is not there, or no value is left.
    """
    known = [str(row[0]) for row in con.execute(f"DESCRIBE SELECT * FROM {items}").fetchall()]
    _require_columns(relations, known)
    selects = []
    for place, (relation, column) in enumerate(relations.items()):
        value = (
            _decade(column) if relation == decade else f"unnest(string_split({_name(column)}, $separator))"
        )
        selects.append(
            f"SELECT DISTINCT item, item_id, {place} AS place, {_text(relation)} AS relation, trim(value) AS value "
            f"FROM (SELECT item, item_id, {value} AS value FROM {items}) "
            "WHERE trim(value) <> '' AND NOT list_contains($ignore, trim(value))"
        )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE {_NAMED} AS
        SELECT item AS head_item, item_id AS head_name, '' AS head_kind, place, relation AS relation_name,
               CAST(NULL AS BIGINT) AS tail_item, value AS tail_name, relation AS tail_kind
        FROM ({" UNION ALL ".join(selects)})
        QUALIFY count(*) OVER (PARTITION BY relation, value) >= $min_items
        """,
        {"ignore": list(ignore), "min_items": min_items}
        | ({"separator": separator} if set(relations) != {decade} else {}),
    )
    if _count(con, _NAMED) == 0:
        raise InputError(
            f"knowledge: no value of {', '.join(relations.values())} is shared by {min_items} items or more; name "
            "other columns, set the separator, or lower min_items"
        )
    return _numbered(con, items)


def build_from_triples(con: "duckdb.DuckDBPyConnection", items: str, triples: str) -> str:
    """The triples of a file, once each; a head or tail that is an `item_id` is that item.

    Args:
        con: the connection that `triples` was made for.
        items: what to put after FROM to read `core.items`.
        triples: SELECT of head, relation and tail as text, with `head_linked` and `tail_linked`: whether it may be an
            item.

    Raises:
        InputError: no triple names an item.
    """
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE {_NAMED} AS
        SELECT heads.item AS head_item, head AS head_name, if(head_linked, '', 'entity') AS head_kind, 0 AS place,
               relation AS relation_name,
               tails.item AS tail_item, tail AS tail_name, if(tail_linked, '', 'entity') AS tail_kind
        FROM (SELECT DISTINCT head, relation, tail, head_linked, tail_linked FROM ({triples})
              WHERE (head, head_linked) <> (tail, tail_linked))
        LEFT JOIN {items} AS heads ON head_linked AND heads.item_id = head
        LEFT JOIN {items} AS tails ON tail_linked AND tails.item_id = tail
        """
    )
    if _count(con, f"{_NAMED} WHERE head_item IS NOT NULL OR tail_item IS NOT NULL") == 0:
        raise InputError(
            "knowledge.triples: none of the triples names an item_id of the dataset; write the ids of items as in the "
            "items file, or name the file that joins items and entities under knowledge.links"
        )
    return _numbered(con, items)


def _numbered(con: "duckdb.DuckDBPyConnection", items: str) -> str:
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE {BUILT} AS
        WITH ends AS (
            SELECT place, head_kind AS kind, head_name AS name FROM {_NAMED} WHERE head_item IS NULL
            UNION ALL
            SELECT place, tail_kind, tail_name FROM {_NAMED} WHERE tail_item IS NULL
        ), entities AS (
            SELECT kind, name, (SELECT count(*) FROM {items}) - 1
                   + row_number() OVER (ORDER BY min(place), kind, name) AS entity
            FROM ends GROUP BY kind, name
        )
        SELECT coalesce(head_item, heads.entity) AS head, head_name,
               dense_rank() OVER (ORDER BY place, relation_name) - 1 AS relation, relation_name,
               coalesce(tail_item, tails.entity) AS tail, tail_name
        FROM {_NAMED}
        LEFT JOIN entities AS heads ON head_item IS NULL AND heads.kind = head_kind AND heads.name = head_name
        LEFT JOIN entities AS tails ON tail_item IS NULL AND tails.kind = tail_kind AND tails.name = tail_name
        ORDER BY relation, head, tail
        """
    )
    con.execute(f"DROP TABLE {_NAMED}")
    return BUILT


def suites(knowledge: str, items: str) -> list[Suite]:
    """What must hold of the graph.

    Args:
        knowledge: what to put after FROM to read the partition.
        items: the same for `core.items`.
    """
    counts = f"""
        SELECT count(*) AS triples, count(*) - count(DISTINCT (head, relation, tail)) AS repeated,
               count(*) FILTER (head = tail) AS loops,
               coalesce(max(relation) + 1, 0) - count(DISTINCT relation) AS skipped,
               count(*) - count(head + relation + tail) AS incomplete
        FROM {knowledge}
    """
    ends = f"SELECT head AS entity, head_name AS name FROM {knowledge} UNION SELECT tail, tail_name FROM {knowledge}"
    entities = f"""
        WITH ends AS ({ends}), catalogue AS (SELECT item, item_id FROM {items}),
             others AS (SELECT * FROM ends WHERE entity >= (SELECT count(*) FROM catalogue) OR entity < 0)
        SELECT (SELECT count(*) FROM ends ANTI JOIN catalogue ON item = entity AND item_id = name
                WHERE entity < (SELECT count(*) FROM catalogue)) AS dangling,
               (SELECT coalesce(max(entity) + 1 - (SELECT count(*) FROM catalogue), 0) - count(DISTINCT entity)
                FROM others) AS gaps,
               (SELECT count(*) - count(DISTINCT entity) FROM ends) AS names
    """
    return [
        Suite(
            counts,
            [
                expect.between("triples", 1, None, "the graph is not empty"),
                expect.one_of("repeated", [0], "no triple stands there twice"),
                expect.one_of("loops", [0], "no entity is joined to itself"),
                expect.one_of("skipped", [0], "no relation number is skipped"),
                expect.one_of("incomplete", [0], "every triple has a head, a relation and a tail"),
            ],
        ),
        Suite(
            entities,
            [
                expect.one_of("dangling", [0], "every item that a triple names is that item of core.items"),
                expect.one_of("gaps", [0], "entities are numbered on from the last item without a gap"),
                expect.one_of("names", [0], "every entity has one name"),
            ],
        ),
    ]


def _require_columns(relations: Mapping[str, str], known: Sequence[str]) -> None:
    offered = [name for name in known if name not in ("item", "is_cold", "is_candidate")]
    for column in relations.values():
        if column not in offered:
            raise InputError(
                f"knowledge: the items have no column '{column}' (they have: {', '.join(offered)}); name one of "
                "these under knowledge.attributes"
            )


def _decade(column: str) -> str:
    return f"TRY_CAST(floor(TRY_CAST({_name(column)} AS DOUBLE) / 10) * 10 AS BIGINT) || 's'"


def _count(con: "duckdb.DuckDBPyConnection", relation: str) -> int:
    return int(con.execute(f"SELECT count(*) FROM {relation}").fetchall()[0][0])


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
