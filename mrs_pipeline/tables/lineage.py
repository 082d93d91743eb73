"""`lineage.*`: who made what, from what, with which code. Written by the lineage stage; only appended to."""

from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.columns import listed_columns

MATERIALIZATIONS = TableSchema(
    path="lineage/materializations",
    description="One output of one materialisation.",
    columns=listed_columns(
        "asset",
        "run:made",
        "made_at",
        "data_version",
        "code_version",
        "git_commit",
        "package_version",
    ),
)

EDGES = TableSchema(
    path="lineage/edges",
    description="One input of one materialisation.",
    columns=listed_columns(
        "asset",
        "run",
        "upstream",
        "upstream_version",
    ),
)

COLUMNS = TableSchema(
    path="lineage/columns",
    description="One source of one column.",
    columns=listed_columns(
        "asset",
        "column",
        "upstream:table",
        "upstream_column",
    ),
)

CHECKS_TABLE = TableSchema(
    path="lineage/checks",
    description="The latest outcome of one check.",
    columns=listed_columns(
        "asset",
        "name",
        "severity",
        "passed",
        "description:check",
        "data_version",
        "code_version:check",
        "run",
    ),
)
