"""Whether texts can tell items apart, by the words that TF-IDF would weigh. For `mrs init`.

A word says something if at least two items share it and at least one lacks it: titles such as "Movie 1", "Movie 2"
share one word, which all have, and would all become the same vector.
"""

from typing import TYPE_CHECKING, Final

from mrs_pipeline.schema import DESCRIPTION, ITEM_ID, TITLE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MOST_ITEMS: Final = 50_000
_WORD: Final = r"[\p{L}\p{N}_]{2,}"
"""A word as scikit-learn's TF-IDF sees it: two characters or more."""


def why_texts_say_nothing(con: "DuckDBPyConnection", catalogue: str) -> str | None:
    """The reason, in words, why text is no feature of these items; None where it can be.

    Args:
        con: the connection.
        catalogue: a table of `raw.items`.
    """
    text = f"concat_ws(' ', {TITLE}, {DESCRIPTION})"
    words = f"list_distinct(regexp_extract_all(lower({text}), '{_WORD}'))"
    shared, telling, texts, example = con.execute(
        f"WITH texts AS (SELECT {words} AS words, {TITLE} AS title FROM {catalogue} "
        f"WHERE trim({text}) <> '' ORDER BY {ITEM_ID} LIMIT {_MOST_ITEMS}), "
        "counts AS (SELECT count(*) AS n FROM (SELECT unnest(words) AS word FROM texts) GROUP BY word) "
        "SELECT (SELECT count(*) FROM counts WHERE n >= 2), "
        "(SELECT count(*) FROM counts WHERE n >= 2 AND n < (SELECT count(*) FROM texts)), "
        "(SELECT count(*) FROM texts), (SELECT min(title) FROM texts)"
    ).fetchall()[0]
    if texts < 2:
        return "text: none, there is no second item to tell one from" if texts else None
    if telling or not shared:  # where no word is shared, each text has its own
        return None
    shown = f" (such as '{example[:40]}')" if example else ""
    return f"text: none, all texts{shown} share the same words, so they cannot tell items apart"
