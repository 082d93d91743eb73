"""`vectors.<model>`: the users' and items' vectors whose inner products are a model's scores. Made by the stage."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.columns import listed_columns

USER_SIDE, ITEM_SIDE = "user", "item"

VECTORS_TABLE = TableSchema(
    path="vectors",
    description="One user's or item's vector of one model. Who or what the model knows nothing of has no row.",
    columns=listed_columns("side", "number", "id", "vector:model"),
    lineage={
        "number": (("core/users", "user"), ("core/items", "item")),
        "id": (("core/users", "user_id"), ("core/items", "item_id")),
    },
)


def suites(vectors: str, users: str, items: str) -> list[Suite]:
    """What must hold of a model's vectors.

    Args:
        vectors: what to put after FROM to read the partition.
        users: the same for `core.users`.
        items: the same for `core.items`.
    """
    known = (
        f"SELECT '{USER_SIDE}' AS side, \"user\" AS number, user_id AS id FROM {users} "
        f"UNION ALL SELECT '{ITEM_SIDE}', item, item_id FROM {items}"
    )
    counts = f"""
        SELECT (SELECT count(*) FROM (SELECT side, number, id FROM {vectors} EXCEPT ({known}))) AS strangers,
               count(*) - count(DISTINCT (side, number)) AS repeated,
               count(DISTINCT len(vector)) AS widths,
               count(*) FILTER (NOT isfinite(list_sum(list_transform(vector, lambda x: x::DOUBLE * x)))) AS broken,
               least(count(*) FILTER (side = '{USER_SIDE}'), count(*) FILTER (side = '{ITEM_SIDE}')) AS fewest
        FROM {vectors}
    """
    return [
        Suite(
            counts,
            [
                expect.one_of("strangers", [0], "every row is one of core.users or core.items"),
                expect.one_of("repeated", [0], "nobody has two vectors"),
                expect.one_of("widths", [1], "all vectors have one width"),
                expect.one_of("broken", [0], "every vector is finite"),
                expect.between("fewest", 1, None, "there are vectors of users and of items"),
            ],
        )
    ]
