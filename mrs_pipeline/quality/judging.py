"""The verdict of Great Expectations on what DuckDB has counted: a small frame, a row of numbers an expectation.

Two expectations of Great Expectations judge the whole frame (no number below its lowest, none above its highest), since
each costs about ten milliseconds, however little it looks at.

Great Expectations takes seconds to import, so it is imported only when there is something to judge.
"""

from collections.abc import Sequence
from functools import cache
from math import inf
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
    from great_expectations.expectations.core.expect_column_pair_values_a_to_be_greater_than_b import (
        ExpectColumnPairValuesAToBeGreaterThanB as NoneBelow,
    )

    low, high = zip(*(_bounds(expectations[place]) for place in places), strict=True)
    measured = [_measure(expectations[place], counts[place]) for place in places]
    frame = pd.DataFrame({"low": low, "measured": measured, "high": high}, index=places)
    asked = [
        NoneBelow(column_A="measured", column_B="low", or_equal=True),
        NoneBelow(column_A="high", column_B="measured", or_equal=True),
    ]
    batch = _frame_asset().get_batch({"dataframe": frame})
    found = batch.validate(gx.ExpectationSuite(name="suite", expectations=asked), result_format="COMPLETE")
    broken = {place for result in found.results for place in result.result["unexpected_index_list"]}
    return [place in places and place not in broken for place in range(len(counts))]


def _measure(expectation: Expectation, count: Count) -> float:
    """The number that is judged: how many rows there are, or the share of the rows that count which hold."""
    if not expectation.columns:
        return float(count.rows)
    return (count.counted - count.offending) / count.counted if count.counted else 1.0


def _bounds(expectation: Expectation) -> tuple[float, float]:
    """The closed interval in which that number must lie."""
    if expectation.columns:
        return expectation.mostly, 1.0
    exactly = expectation.arguments.get("value")
    low, high = (expectation.arguments.get(name, exactly) for name in ("min_value", "max_value"))
    return -inf if low is None else float(low), inf if high is None else float(high)


def _observed(expectation: Expectation, count: Count) -> str:
    if count.reason:
        return f"not evaluated: {count.reason}"
    return f"{count.offending} of {count.rows} rows" if expectation.columns else str(count.rows)


@cache
def _frame_asset() -> Any:
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
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("measures")
    return asset.add_batch_definition_whole_dataframe("all")
