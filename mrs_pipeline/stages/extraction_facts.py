"""What people are shown of an extraction, whatever its rows are: vectors, tokens or decoded content."""

from collections.abc import Mapping

from mrs_pipeline.encoders.report import ExtractionReport


def extraction_facts(
    report: ExtractionReport, own: Mapping[str, object], made: str = "encoded now"
) -> dict[str, object]:
    """How many items have rows, what was done for them and at which cost, and the rows that failed.

    Args:
        report: of the extraction.
        own: what only this kind of rows has.
        made: what the rows that were made are called.
    """
    facts: dict[str, object] = {
        "items": report.items,
        "present": report.present,
        "missing": report.missing,
        "failed": len(report.failed),
        made: report.encoded,
        "taken over unchanged": report.reused,
        **own,
        **report.made_with,
        "seconds": round(report.seconds, 2),
        "peak memory MB": round(report.peak_memory_mb),
    }
    return facts | ({"failed rows": report.failures()} if report.failed else {})
