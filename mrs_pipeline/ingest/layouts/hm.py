"""H&M Personalized Fashion Recommendations: purchases, articles with leading zeros in their ids, nested images."""

from functools import partial

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.layouts.base import Choices, Layout, LayoutTable, Reading
from mrs_pipeline.ingest.layouts.contents import Contents, Entry, rows
from mrs_pipeline.ingest.layouts.workbench import Workbench, header_of
from mrs_pipeline.ingest.sql import quoted_name, quoted_text

_TRANSACTIONS, _ARTICLES = "transactions_train.csv", "articles.csv"
_WIDTH = 10
"""Digits of an article's id."""
_OWN = ("article_id", "prod_name", "detail_desc")


def recognise(contents: Contents) -> str | None:
    """By a name and the beginning of its header."""
    found = contents.get(_TRANSACTIONS)
    if found is None or header_of(found, ",")[:3] != ["t_dat", "customer_id", "article_id"]:
        return None
    return "transactions_train.csv (t_dat,customer_id,article_id,...)"


def read(contents: Contents, choices: Choices) -> Reading:  # noqa: ARG001
    """Every purchase; the price is a scaled number and no rating."""
    transactions, articles = contents.names[_TRANSACTIONS], contents.get(_ARTICLES)
    position = header_of(transactions, ",").index("article_id")
    for entry, column in ((transactions, position), *([(articles, 0)] if articles else [])):
        _require_zeros(entry, column)
    folder = contents.folder("images")
    return Reading(
        interactions=(LayoutTable((transactions,), partial(_purchases, transactions)),),
        items=LayoutTable((articles,), partial(_items, articles, folder)) if articles else None,
        notes=("only days are known, no order within a day",),
    )


def _require_zeros(entry: Entry, column: int) -> None:
    for number, row in enumerate(rows(entry, ",")[1:], start=2):
        if (
            len(row) > column
            and row[column].strip('"').isdigit()
            and len(row[column].strip('"')) == _WIDTH - 1
        ):
            raise InputError(
                f"{entry.shown}, line {number}: article_id {row[column]} has lost its leading zero; take the original "
                "file, or read and write it with article_id as text"
            )


def _purchases(entry: Entry, bench: Workbench) -> str:
    return f"SELECT customer_id AS user_id, article_id AS item_id, t_dat AS timestamp FROM {bench.csv(entry)}"


def _items(entry: Entry, folder: str | None, bench: Workbench) -> str:
    columns = header_of(entry, ",")
    others = [quoted_name(name) for name in columns if name not in _OWN]
    chosen = [
        "article_id AS item_id",
        *(["prod_name AS title"] if "prod_name" in columns else []),
        *(["detail_desc AS description"] if "detail_desc" in columns else []),
        *others,
    ]
    if folder:
        chosen.append(
            f"{quoted_text(folder)} || '/' || left(article_id, 3) || '/' || article_id || '.jpg' AS image"
        )
    return f"SELECT {', '.join(chosen)} FROM {bench.csv(entry)}"


LAYOUTS = (
    Layout(
        name="hm",
        title="H&M Personalized Fashion Recommendations",
        licence="the rules of the Kaggle competition",
        where="the competition's data page on Kaggle",
        recognise=recognise,
        read=read,
    ),
)
