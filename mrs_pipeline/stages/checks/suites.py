"""What the checks of tables share: the blocking suite of a table, and how it is run."""

from collections.abc import Sequence

import polars as pl

from mrs_pipeline.quality.counting import broken_rows
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.quality.judging import check_suites
from mrs_pipeline.quality.report import QualityReport
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import CheckOutcome, CheckSpec, Stage


def expectations(output: Node, what: str) -> CheckSpec:
    """The blocking suite of a table."""
    return CheckSpec("expectations", output, f"Great Expectations: {what}")


def suite_outcome(stage: Stage, spec: CheckSpec, suites: Sequence[Suite]) -> CheckOutcome:
    """Run the suites of a table as one check."""
    with stage.lake.connect() as con:
        report = check_suites(con, suites)
        asked = [(suite.frame_sql, one) for suite in suites for one in suite.expectations]
        rows = {
            f"rows that break: {one.description}": broken_rows(con, frame, one)
            for (frame, one), outcome in zip(asked, report.rows, strict=True)
            if not outcome.success
        }
    failed = [
        f"{row.description}: {row.observed}"
        + (f", e.g. {', '.join(dict.fromkeys(row.unexpected))}" if row.unexpected else "")
        for row in report.failures
    ]
    return CheckOutcome(
        spec.name,
        spec.output,
        report.success,
        spec.blocking,
        "broken: " + "; ".join(failed) if failed else f"{len(report.rows)} expectations hold",
        {
            "expectations": _as_frame(report),
            "broken expectations": len(report.failures),
            **{name: frame for name, frame in rows.items() if not frame.is_empty()},
        },
    )


def scan_of(stage: Stage, node: Node) -> str:
    """SQL that reads a node's partition."""
    return stage.lake.scan(table_of(stage, node))


def _as_frame(report: QualityReport) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "holds": "yes" if row.success else "NO",
                "expectation": row.description,
                "observed": row.observed,
            }
            for row in report.rows
        ]
    )
