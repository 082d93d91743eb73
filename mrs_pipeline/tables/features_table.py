"""`features.<feature set>`: one vector an item, for SQL. Made by the feature stage from the matrix."""

from typing import Final

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.tables.base import TableSchema, copied
from mrs_pipeline.tables.columns import listed_columns

LEAST_COVERAGE: Final = 0.01
"""Below one item in a hundred a modality cannot say anything about the catalogue."""

POINTING_SHARE: Final = 0.9
"""A text of unknown words only has the zero vector, which is near to nothing; more of them say the encoder failed."""
_TINY = 1e-12

FEATURES_TABLE = TableSchema(
    path="features",
    description="One item's vector of one feature set; all items, also those without.",
    columns=listed_columns(
        "item",
        "item_id",
        "present",
        "vector",
    ),
    lineage={
        **copied("core/items", "item", "item_id"),
        "present": tuple(
            ("core/items", name) for name in ("title", "description", "image", "audio", "video")
        ),
        "vector": tuple(("core/items", name) for name in ("title", "description", "image", "audio", "video")),
    },
)


def suites(features: str, items: str) -> list[Suite]:
    """What must hold of a feature set.

    Args:
        features: what to put after FROM to read the partition.
        items: the same for `core.items`.
    """
    return [_as_a_whole(features, items), _norms(features)]


def _as_a_whole(features: str, items: str) -> Suite:
    """One row of counts: a frame of all vectors would not fit into memory."""
    counts = f"""
        SELECT (SELECT count(*) FROM {items}) - count(*) AS lacking,
               (SELECT count(*) FROM (SELECT item, item_id FROM {features}
                                      EXCEPT SELECT item, item_id FROM {items})) AS strangers,
               count(*) FILTER (present != (vector IS NOT NULL)) AS disagreeing,
               count(DISTINCT len(vector)) AS widths,
               CASE WHEN count(*) FILTER (present) < 2
                      OR min(hash(vector)) FILTER (present) < max(hash(vector)) FILTER (present)
                    THEN 'several' ELSE 'one' END AS vectors,
               count(vector) / greatest(1, count(*)) AS coverage
        FROM {features}
    """
    return Suite(
        counts,
        [
            expect.one_of("lacking", [0], "there is a row for every item"),
            expect.one_of("strangers", [0], "every row is an item of core.items"),
            expect.one_of("disagreeing", [0], "an item has a vector exactly where it is present"),
            expect.one_of("widths", [1], "all vectors have one width"),
            expect.one_of(
                "vectors", ["several"], "the vectors tell items apart (else leave the feature set out)"
            ),
            expect.between("coverage", LEAST_COVERAGE, None, "enough items have a vector"),
        ],
    )


def _norms(features: str) -> Suite:
    norm = "sqrt(list_sum(list_transform(vector, lambda x: x::DOUBLE * x)))"
    return Suite(
        f"SELECT CASE WHEN isfinite({norm}) THEN {norm} END AS norm FROM {features} WHERE vector IS NOT NULL",
        [
            expect.not_null("norm", "every vector is finite"),
            expect.between("norm", _TINY, None, "nearly no vector is zero", mostly=POINTING_SHARE),
        ],
    )
