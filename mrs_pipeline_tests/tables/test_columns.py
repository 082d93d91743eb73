"""Columns are declared once: one name, one type, one meaning, or an explicit variant."""

from collections import Counter

import duckdb
import polars as pl
import pytest

from mrs_pipeline.reporting import inputs
from mrs_pipeline.tables import TABLES
from mrs_pipeline.tables.columns import declared, frame_types, listed_columns, polars_type
from mrs_pipeline.tables.columns_data import DATA
from mrs_pipeline.tables.columns_results import RESULTS


def test_no_column_is_declared_in_two_places() -> None:
    assert not set(DATA) & set(RESULTS)
    assert len(declared()) == len(DATA) + len(RESULTS)


def test_every_column_of_every_table_is_a_declared_one_under_its_own_name() -> None:
    names = {id(column): name.partition(":")[0] for name, column in declared().items()}
    for path, table in TABLES.items():
        for name, column in table.columns.items():
            assert names.get(id(column)) == name, f"{path}: {name} is declared in the table"


def test_a_variant_differs_from_what_it_is_a_variant_of() -> None:
    said = Counter(
        (name.partition(":")[0], column.type, column.unit, column.description)
        for name, column in declared().items()
    )
    assert max(said.values()) == 1
    for name in declared():
        plain, colon, _ = name.partition(":")
        assert not colon or plain in declared(), f"{name} is a variant of nothing"


def test_nothing_is_declared_that_no_table_and_no_frame_lists() -> None:
    used = {id(column) for table in TABLES.values() for column in table.columns.values()}
    frames = (
        inputs.METRIC_FRAME, inputs.RUN_FRAME, inputs.HISTORY_FRAME, inputs.USER_METRIC_FRAME,
        inputs.CHECK_FRAME, inputs.QUARANTINE_FRAME,
        inputs.SPLIT_ROWS, inputs.OVER_TIME, inputs.COVERAGE_FRAME, inputs.FEATURE_FRAME,
    )  # fmt: skip
    in_frames = {name for frame in frames for name in frame}
    for name, column in declared().items():
        assert id(column) in used or name.partition(":")[0] in in_frames, name


def test_types_are_those_that_duckdb_reads() -> None:
    for kind in {column.type for column in declared().values()}:
        frame = pl.DataFrame(schema={"value": polars_type(kind)})
        with duckdb.connect() as con:
            con.register("frame", frame.to_arrow())
            ((_, found, *_),) = con.execute("DESCRIBE frame").fetchall()
        assert found == kind


def test_frames_of_the_report_take_their_types_from_the_columns() -> None:
    assert frame_types("user", "value:user") == {"user": pl.Int64(), "value": pl.Float32()}
    assert inputs.METRIC_FRAME["k"] == pl.Int64()
    assert inputs.COVERAGE_FRAME["present"] == pl.Int64()


def test_an_unknown_or_doubled_column_is_refused() -> None:
    with pytest.raises(KeyError, match="usr"):
        listed_columns("usr")
    with pytest.raises(ValueError, match="listed twice"):
        listed_columns("value", "value:user")
