"""`serving.recommendations`: the list that each user would be shown. Made by the recommendation stage."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.schema import RANKED_BY, TRAIN, VALID
from mrs_pipeline.tables.base import TableSchema, copied
from mrs_pipeline.tables.columns import listed_columns

RECOMMENDATIONS = TableSchema(
    path="serving/recommendations",
    description="One place of one user's list.",
    columns=listed_columns(
        "user",
        "rank:list",
        "item",
        "user_id",
        "item_id",
        "score",
        "ranked_by",
    ),
    lineage={**copied("core/users", "user", "user_id"), **copied("core/items", "item", "item_id")},
)


def suites(recommendations: str, users: str, items: str, splits: str, list_length: int) -> list[Suite]:
    """What must hold of the lists.

    Args:
        recommendations: what to put after FROM to read the partition.
        users: the same for `core.users`.
        items: the same for `core.items`.
        splits: the same for `core.splits`.
        list_length: K; a user with fewer items left to recommend has all of those. Every model ranks the items
            with training rows; those without are ranked only where it sees their content.
    """
    return [
        _places(recommendations, users, items, splits),
        _lists(recommendations, users, items, splits, list_length),
    ]


def _places(recommendations: str, users: str, items: str, splits: str) -> Suite:
    frame = f"""
        SELECT CASE WHEN users.user_id IS NULL THEN rows.user_id END AS stranger,
               CASE WHEN items.item_id IS NULL THEN rows.item_id END AS uncatalogued,
               CASE WHEN seen.item IS NOT NULL THEN rows.item_id END AS seen_before,
               CASE WHEN isfinite(score) THEN score END AS score, ranked_by,
               score - lag(score) OVER (PARTITION BY rows."user" ORDER BY rank) AS gain
        FROM {recommendations} AS rows
        LEFT JOIN {users} AS users USING ("user", user_id)
        LEFT JOIN {items} AS items USING (item, item_id)
        LEFT JOIN ({_seen(splits)}) AS seen ON seen."user" = rows."user" AND seen.item = rows.item
    """
    offenders = {
        "stranger": "every user is one of core.users",
        "uncatalogued": "every item is one of core.items",
        "seen_before": "nobody is recommended what they already had",
    }
    return Suite(
        frame,
        [
            *(expect.no_offender(column, description) for column, description in offenders.items()),
            expect.not_null("score", "every score is finite"),
            expect.one_of("ranked_by", [*RANKED_BY], "lists come from the model, a history or popularity"),
            expect.between("gain", None, 0, "scores do not rise along a list"),
        ],
    )


def _lists(recommendations: str, users: str, items: str, splits: str, list_length: int) -> Suite:
    frame = f"""
        SELECT least(coalesce(lists.rows, 0) - least({list_length}, n_warm - coalesce(seen.rows, 0)), 0)
               + greatest(coalesce(lists.rows, 0) - least({list_length}, n_items - coalesce(seen.rows, 0)), 0)
               AS surplus,
               lists.rows - lists.items AS repeated, lists.misnumbered
        FROM {users} AS users CROSS JOIN (SELECT count(*) AS n_items FROM {items})
        CROSS JOIN (SELECT count(DISTINCT item) AS n_warm FROM {splits} WHERE split = '{TRAIN}')
        LEFT JOIN (SELECT "user", count(*) AS rows, count(DISTINCT item) AS items,
                   (min(rank) != 1 OR max(rank) != count(*) OR count(DISTINCT rank) != count(*))::INTEGER AS misnumbered
                   FROM {recommendations} GROUP BY "user")
            AS lists ON lists."user" = users."user"
        LEFT JOIN (SELECT "user", count(*) AS rows FROM ({_seen(splits)}) GROUP BY "user")
            AS seen ON seen."user" = users."user"
    """
    exactly = {
        "surplus": f"every user has {list_length} items, or all that are left to rank",
        "repeated": "no item stands twice in a list",
        "misnumbered": "places are numbered from 1 without gaps",
    }
    return Suite(
        frame,
        [expect.one_of(column, [0], description) for column, description in exactly.items()],
    )


def _seen(splits: str) -> str:
    return f"SELECT DISTINCT \"user\", item FROM {splits} WHERE split IN ('{TRAIN}', '{VALID}')"
