"""The verdict of Great Expectations on what DuckDB has counted: one row of numbers, a column an expectation.

Great Expectations takes seconds to import, so it is imported only when there is something to judge.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from mrs_pipeline.quality.counting import Count, counts_of, examples
from mrs_pipeline.quality.expect import Expectation, Suite
from mrs_pipeline.quality.report import ExpectationOutcome, QualityReport

if TYPE_CHECKING:
    import duckdb


def check_suites(con: "duckdb.DuckDBPyConnection", suites: Sequence[Suite]) -> QualityReport:
    """Evaluate suites inside DuckDB; the outcomes come in the suites' order.

    An expectation that cannot be evaluated fails, with the reason as what was observed.

    Args:
        con: connection that can read the suites' frames. Memory is its bound, whatever the number of rows.
        suites: frames and what is expected of them.
    """
    asked = [(suite, one) for suite in suites for one in suite.expectations]
    counted = [count for suite in suites for count in counts_of(con, suite)]
    verdicts = _verdicts([one for _, one in asked], counted)
    return QualityReport(
        tuple(
            ExpectationOutcome(
                expectation=one.type,
                column=", ".join(one.columns),
                description=one.description,
                observed=_observed(one, count),
                success=success,
                unexpected=() if success or count.reason else examples(con, suite.frame_sql, one),
            )
            for (suite, one), count, success in zip(asked, counted, verdicts, strict=True)
        )
    )


def _verdicts(expectations: Sequence[Expectation], counts: Sequence[Count]) -> list[bool]:
    """Whether each expectation holds; one that could not be evaluated does not."""
    places = [place for place, count in enumerate(counts) if not count.reason]
    if not places:
        return [False] * len(counts)
    import great_expectations as gx
    import pandas as pd
    from great_expectations.expectations.core.expect_column_values_to_be_between import (
        ExpectColumnValuesToBeBetween,
    )

    row = pd.DataFrame({str(place): [_measure(expectations[place], counts[place])] for place in places})
    asked = []
    for place in places:
        low, high = _bounds(expectations[place])
        asked.append(ExpectColumnValuesToBeBetween(column=str(place), min_value=low, max_value=high))
    batch = _row_asset().get_batch({"dataframe": row})
    found = batch.validate(
        gx.ExpectationSuite(name="suite", expectations=asked), result_format="BOOLEAN_ONLY"
    )
    held = {
        str(result.expectation_config.kwargs["column"])
        for result in found.results
        if result.success and result.expectation_config is not None
    }
    return [str(place) in held for place in range(len(counts))]


def _measure(expectation: Expectation, count: Count) -> float:
    """The number that is judged: how many rows there are, or the share of the rows that count which hold."""
    if not expectation.columns:
        return float(count.rows)
    return (count.counted - count.offending) / count.counted if count.counted else 1.0


def _bounds(expectation: Expectation) -> tuple[float | None, float | None]:
    """The closed interval in which that number must lie."""
    if expectation.columns:
        return expectation.mostly, 1.0
    exactly = expectation.arguments.get("value")
    return expectation.arguments.get("min_value", exactly), expectation.arguments.get("max_value", exactly)


def _observed(expectation: Expectation, count: Count) -> str:
    if count.reason:
        return f"not evaluated: {count.reason}"
    return f"{count.offending} of {count.rows} rows" if expectation.columns else str(count.rows)


@cache
def _row_asset() -> Any:
    """The batch definition that a frame is handed to, of a context without files, bars and telemetry."""
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
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("row")
    return asset.add_batch_definition_whole_dataframe("all")
