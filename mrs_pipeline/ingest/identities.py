"""What the identifiers of a source look like together.

Rows that name nobody, spellings that may mean the same, rows whose item the catalogue lacks. Counting and saying only;
what an option does is `ids`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mrs_pipeline.ingest.ids import SPELLINGS, IdOptions, respelled
from mrs_pipeline.ingest.sql import first_row
from mrs_pipeline.schema import ITEM_ID, USER_ID

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_LOW_RATE: Final = 0.95
"""Share of rows with an item of the catalogue below which people are told, in a run as well."""
_NAMES: Final = {USER_ID: "users", ITEM_ID: "items"}


@dataclass(frozen=True)
class Join:
    """How interactions and catalogue fit together.

    Attributes:
        rows: interactions that name an item.
        joined: those whose item is in the catalogue.
        strangers: some items of interactions that are not in it.
        unused: some items of the catalogue that no interaction names.
        options: options of `ids` that would join more rows, in their order.
        mended: rows that would be joined with them.
    """

    rows: int
    joined: int
    strangers: tuple[str, ...]
    unused: tuple[str, ...]
    options: tuple[str, ...]
    mended: int

    @property
    def low(self) -> bool:
        """Whether so many rows have no item that people should look into it."""
        return self.joined < _LOW_RATE * self.rows or bool(self.options)

    def sentence(self) -> str:
        """The rate, and where it is not whole, examples of both sides and the options that mend it."""
        rate = self.joined / self.rows if self.rows else 1.0
        text = f"{self.joined:,} of {self.rows:,} rows ({_percent(rate)}) name an item of the catalogue"
        if self.joined == self.rows:
            return text
        text += f"; the other {self.rows - self.joined:,} go to quarantine, e.g. {_quoted(self.strangers)}"
        if self.unused:
            text += f" (items that no row names: {_quoted(self.unused)})"
        if self.options:
            text += f"; {_remedy(self.options)} would join {self.mended:,} rows"
        return text


def id_notices(con: "DuckDBPyConnection", interactions: str, catalogue: str, ids: IdOptions) -> list[str]:
    """A sentence a finding about the ids in a table of interactions and in one of items.

    Every identifier is looked at, and every count is of all rows.
    """
    notices = nameless_notices(con, interactions)
    for column in (USER_ID, ITEM_ID):
        notices += alike_notices(con, interactions, column, ids)
    join = join_of(con, interactions, catalogue, ids)
    return [*notices, join.sentence()] if join.low else notices


def nameless_notices(con: "DuckDBPyConnection", interactions: str) -> list[str]:
    """Rows without a user or an item."""
    users, items, rows = first_row(
        con,
        f"SELECT count(*) FILTER ({USER_ID} IS NULL), count(*) FILTER ({ITEM_ID} IS NULL), "
        f"count(*) FILTER ({USER_ID} IS NULL OR {ITEM_ID} IS NULL) FROM {interactions}",
    )
    if not rows:
        return []
    return [
        f"{rows:,} rows go to quarantine: {users:,} have no user and {items:,} no item (empty, blank, a text that "
        "means nothing such as nan, None or null, or the header once more); where such texts are real names, say "
        "`--ids literal` (`ids: {missing: []}` under source)"
    ]


def alike_notices(con: "DuckDBPyConnection", interactions: str, column: str, ids: IdOptions) -> list[str]:
    """Identifiers that an option of `ids` would make one: each option upon those before it."""
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE id_forms AS SELECT {column} AS id, count(*) AS rows FROM {interactions} "
        f"WHERE {column} IS NOT NULL GROUP BY 1"
    )
    notices: list[str] = []
    form, applied = "id", tuple[str, ...]()
    for option in SPELLINGS:
        if option in ids.merging:
            continue
        spelled = respelled(form, option)
        groups, merged, rows, example = first_row(
            con,
            f"WITH spelled AS (SELECT {form} AS id, {spelled} AS form, sum(rows) AS rows FROM id_forms GROUP BY ALL), "
            "twins AS (SELECT form, count(*) AS ids, sum(rows) FILTER (id <> form) AS rows, "
            "list(id ORDER BY rows DESC, id)[1:2] AS example FROM spelled "
            "WHERE form IN (SELECT form FROM spelled WHERE id <> form) GROUP BY form HAVING count(*) > 1) "
            "SELECT count(*), sum(ids), sum(rows), arg_min(example, form) FROM twins",
        )
        if groups:
            form, applied = spelled, (*applied, option)
            notices.append(
                f"{merged:,} {_NAMES[column]} look like {groups:,}: they differ only by {SPELLINGS[option]}, e.g. "
                f"{_quoted(example)}, in {rows or 0:,} rows; they count as different ones unless you say "
                f"{_remedy((*ids.merging, *applied))}"
            )
    return notices


def join_of(con: "DuckDBPyConnection", interactions: str, catalogue: str, ids: IdOptions) -> Join:
    """How many rows of a table of interactions name an item of a table with `item_id`."""
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE id_forms AS SELECT {ITEM_ID} AS id, count(*) AS rows FROM {interactions} "
        f"WHERE {ITEM_ID} IS NOT NULL GROUP BY 1"
    )
    rows, joined, strangers = first_row(
        con,
        "WITH seen AS (SELECT *, id IN (SELECT item_id FROM known) AS joined FROM id_forms) "
        "SELECT coalesce(sum(rows), 0), coalesce(sum(rows) FILTER (joined), 0), "
        "list(id ORDER BY rows DESC, id) FILTER (NOT joined)[1:3] FROM seen".replace("known", catalogue),
    )
    if joined == rows:
        return Join(int(rows), int(joined), (), (), (), int(joined))
    unused = con.execute(
        f"SELECT {ITEM_ID} FROM {catalogue} WHERE {ITEM_ID} NOT IN (SELECT id FROM id_forms) "
        f"ORDER BY {ITEM_ID} LIMIT 3"
    ).fetchall()
    options, mended = _mending(con, catalogue, ids, int(joined))
    return Join(int(rows), int(joined), tuple(strangers), tuple(row[0] for row in unused), options, mended)


def _mending(
    con: "DuckDBPyConnection", catalogue: str, ids: IdOptions, joined: int
) -> tuple[tuple[str, ...], int]:
    """(options, each upon those before it, with which more rows find their item; how many then do)."""
    left, right = "id", ITEM_ID
    chosen: tuple[str, ...] = ()
    for option in SPELLINGS:
        if option in ids.merging:
            continue
        tried = respelled(left, option), respelled(right, option)
        (found,) = first_row(
            con,
            f"SELECT coalesce(sum(rows), 0) FROM id_forms WHERE {tried[0]} IN (SELECT {tried[1]} FROM {catalogue})",
        )
        if found > joined:
            (left, right), joined, chosen = tried, int(found), (*chosen, option)
    return ((*ids.merging, *chosen) if chosen else ()), joined


def _remedy(options: tuple[str, ...]) -> str:
    settings = ", ".join(f"{option}: true" for option in options)
    return f"`--ids {','.join(options)}` (`ids: {{{settings}}}` under source)"


def _quoted(texts: "list[str] | tuple[str, ...]") -> str:
    return ", ".join(f"'{text}'" for text in texts)


def _percent(share: float) -> str:
    """A share that is only called 100 % where it is whole."""
    return f"{share:.0%}" if share == 1 or share < 0.995 else f"{int(share * 1000) / 10:.1f}%"
