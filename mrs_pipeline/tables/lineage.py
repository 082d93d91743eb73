"""`lineage.*`: who made what, from what, with which code. Written by the lineage stage; only appended to."""

from mrs_pipeline.tables.base import Column, TableSchema

MATERIALIZATIONS = TableSchema(
    path="lineage/materializations",
    description="One output of one materialisation.",
    columns={
        "asset": Column("VARCHAR", "Name of what was made, e.g. core/items."),
        "run": Column(
            "VARCHAR",
            "The run that made it, or that found it made by one that was killed before it could say so.",
        ),
        "made_at": Column("TIMESTAMP", "When, in UTC."),
        "data_version": Column("VARCHAR", "Digest of its content."),
        "code_version": Column("VARCHAR", "Version of the code and settings that made it."),
        "git_commit": Column(
            "VARCHAR", "Commit of the project, with + for changes on top; NULL outside git."
        ),
        "package_version": Column("VARCHAR", "Version of mrs_pipeline."),
    },
)

EDGES = TableSchema(
    path="lineage/edges",
    description="One input of one materialisation.",
    columns={
        "asset": Column("VARCHAR", "Name of what was made."),
        "run": Column("VARCHAR", "The run that made it."),
        "upstream": Column("VARCHAR", "Name of the input; a raw file's begins with its kind."),
        "upstream_version": Column("VARCHAR", "Digest of the input's content as it was read."),
    },
)

COLUMNS = TableSchema(
    path="lineage/columns",
    description="One source of one column.",
    columns={
        "asset": Column("VARCHAR", "Name of the table."),
        "column": Column("VARCHAR", "Name of its column."),
        "upstream": Column("VARCHAR", "Name of the table that the column is computed from."),
        "upstream_column": Column("VARCHAR", "Name of that table's column."),
    },
)

CHECKS = TableSchema(
    path="lineage/checks",
    description="The latest outcome of one check.",
    columns={
        "asset": Column("VARCHAR", "Name of what was checked."),
        "name": Column("VARCHAR", "Name of the check."),
        "severity": Column("VARCHAR", "error where a failure stops what is downstream, else warning."),
        "passed": Column("BOOLEAN", "Whether it held."),
        "description": Column("VARCHAR", "What must hold, or what was found instead."),
        "data_version": Column("VARCHAR", "Digest of the content that was checked."),
        "code_version": Column("VARCHAR", "Digest of the code of the checks."),
        "run": Column("VARCHAR", "The run that checked."),
    },
)
