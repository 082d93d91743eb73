"""Runs Great Expectations on a pandas frame and turns the outcome into plain records.

Which expectations a table has stands in the table's file (`tables`); whether a failure blocks is decided by
the orchestrator. Great Expectations takes seconds to import, so it is imported only where it is used.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation import Expectation

SAMPLE = 5
"""Offending values that a report shows."""


@dataclass(frozen=True)
class ExpectationOutcome:
    """One expectation and how it fared.

    Attributes:
        expectation: its type in Great Expectations, e.g. `expect_column_values_to_not_be_null`.
        column: the column or columns it looks at; empty for the table as a whole.
        description: the sentence that it stands for.
        observed: what was found: a value, or how many of how many rows offend.
        success: whether it holds.
        unexpected: up to `SAMPLE` offending values, as text.
    """

    expectation: str
    column: str
    description: str
    observed: str
    success: bool
    unexpected: tuple[str, ...] = ()


@dataclass(frozen=True)
class QualityReport:
    """The outcomes of a suite, in its order."""

    rows: tuple[ExpectationOutcome, ...]

    @property
    def success(self) -> bool:
        """Whether every expectation holds."""
        return all(row.success for row in self.rows)

    @property
    def failures(self) -> tuple[ExpectationOutcome, ...]:
        """The outcomes that do not hold."""
        return tuple(row for row in self.rows if not row.success)


def check_frame(frame: "pd.DataFrame", expectations: "Sequence[Expectation]") -> QualityReport:
    """Run expectations on a frame in an ephemeral context.

    An expectation that cannot be evaluated (a column is missing, a type cannot be compared) fails, with the
    reason as what was observed.

    Args:
        frame: any pandas frame; DuckDB's and pandas' nullable numbers are understood.
        expectations: each with a description of its own, a sentence that can be shown to people.
    """
    places = {str(expectation.description): place for place, expectation in enumerate(expectations)}
    if len(places) < len(expectations):
        raise ValueError("every expectation of a suite needs its own description")
    results = _validate(_plain(frame), expectations)
    outcomes = sorted((_outcome(result) for result in results), key=lambda row: places[row.description])
    return QualityReport(tuple(outcomes))


def merged(reports: Iterable[QualityReport]) -> QualityReport:
    """Several reports as one."""
    return QualityReport(tuple(row for report in reports for row in report.rows))


def _validate(
    frame: "pd.DataFrame", expectations: "Sequence[Expectation]"
) -> "list[ExpectationValidationResult]":
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(name="suite", expectations=list(expectations))
    return list(batch.validate(suite).results)


def _plain(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The frame with NumPy's types in place of pandas' nullable ones, on which GX's comparisons stumble."""
    nullable = {
        name: kind for name, kind in frame.dtypes.items() if str(kind)[:1] in "IUFb" and _has_mask(kind)
    }
    return frame.astype(
        {name: "object" if str(kind) == "boolean" else "float64" for name, kind in nullable.items()}
    )


def _has_mask(kind: Any) -> bool:
    return hasattr(kind, "na_value") and hasattr(kind, "numpy_dtype")


def _outcome(result: "ExpectationValidationResult") -> ExpectationOutcome:
    config = result.expectation_config
    assert config is not None
    found: dict[str, Any] = result.result or {}
    columns = config.kwargs.get("column_list") or [config.kwargs.get("column", "")]
    return ExpectationOutcome(
        expectation=str(config.type),
        column=", ".join(str(column) for column in columns),
        description=str(config.description),
        observed=_observed(found, result.exception_info),
        success=bool(result.success),
        unexpected=tuple(str(value) for value in found.get("partial_unexpected_list", [])[:SAMPLE]),
    )


def _observed(found: dict[str, Any], exceptions: dict[str, Any] | None) -> str:
    if "unexpected_count" in found:
        return f"{found['unexpected_count']} of {found['element_count']} rows"
    if "observed_value" in found:
        return str(found["observed_value"])
    details = [info for info in (exceptions or {}).values() if isinstance(info, dict)] or [exceptions or {}]
    return f"not evaluated: {str(details[0].get('exception_message', 'no result')).splitlines()[0]}"
