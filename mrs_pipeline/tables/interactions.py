"""`core.interactions`: the interactions that count, by dense number. Built by `core`."""

from datetime import datetime

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.tables.base import TableSchema, copied
from mrs_pipeline.tables.columns import listed_columns
from mrs_pipeline.tables.raw_interactions import CLOCK_TOLERANCE, FIRST_MOMENT
from mrs_pipeline.tables.rules import InteractionRules

INTERACTIONS = TableSchema(
    path="core/interactions",
    description="One interaction that counts, sorted by user, time and item.",
    columns=listed_columns(
        "user",
        "item",
        "user_id",
        "item_id",
        "timestamp",
        "rating",
        "split:source",
        "is_history",
    ),
    lineage={
        "user": (("raw/interactions", "user_id"),),
        "item": (("raw/interactions", "item_id"), ("raw/items", "item_id")),
        "is_history": (("raw/interactions", "timestamp"),),
        **copied("raw/interactions", "user_id", "item_id", "timestamp", "rating", "split"),
    },
)


def suites(interactions: str, users: str, items: str, rules: InteractionRules, now: datetime) -> list[Suite]:
    """What must hold of the interactions, by themselves and beside users and items.

    Args:
        interactions: what to put after FROM to read the partition.
        users: the same for `core.users`.
        items: the same for `core.items`.
        rules: the rules that they were built by.
        now: moment (UTC, without zone) after which nothing can have happened yet.
    """
    return [
        _rows(interactions, users, items, rules, now),
        _history_of(interactions, "user", rules),
        _history_of(interactions, "item", rules),
        _users_with_history(interactions, users),
    ]


def _rows(interactions: str, users: str, items: str, rules: InteractionRules, now: datetime) -> Suite:
    frame = (
        f'SELECT "user", item, timestamp, rating, CASE WHEN users.user_id IS NULL THEN rows.user_id END '
        f"AS stranger, CASE WHEN items.item_id IS NULL THEN rows.item_id END AS uncatalogued "
        f'FROM {interactions} AS rows LEFT JOIN {users} AS users USING ("user", user_id) '
        f"LEFT JOIN {items} AS items USING (item, item_id)"
    )
    expectations = [
        expect.no_offender("stranger", "every user has its number from core.users"),
        expect.no_offender("uncatalogued", "every item has its number from core.items"),
        expect.between("timestamp", FIRST_MOMENT, None, "nothing happened before 1970"),
        expect.between("timestamp", None, now + CLOCK_TOLERANCE, "nothing happened in the future"),
    ]
    if rules.deduplicate != "none":
        unique = expect.unique_together(["user", "item"], "no user has an item twice")
        expectations.append(unique)
    if rules.min_rating is not None:
        liked = expect.between("rating", rules.min_rating, None, "every rating counts as liking")
        expectations.append(liked)
        expectations.append(expect.not_null("rating", "every row is rated"))
    return Suite(frame, expectations)


def _history_of(interactions: str, side: str, rules: InteractionRules) -> Suite:
    k = max(1, rules.k_core)
    return Suite(
        f'SELECT "{side}", count(*) AS rows FROM {interactions} WHERE is_history GROUP BY "{side}"',
        [expect.between("rows", k, None, f"every {side} of the history has {k} rows in it")],
    )


def _users_with_history(interactions: str, users: str) -> Suite:
    return Suite(
        f'SELECT user_id FROM {users} WHERE "user" NOT IN '
        f'(SELECT "user" FROM {interactions} WHERE is_history AND "user" IS NOT NULL)',
        [expect.no_row("every user has a history")],
    )
