import hashlib
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_pipeline.storage import digests
from mrs_pipeline.storage.digests import array_digest, file_digest, rows_digest, text_digest


def test_file_digest_is_sha256_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 1000)
    assert file_digest(path) == hashlib.sha256(b"abc" * 1000).hexdigest()


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_text_digest_tells_sequences_apart(left: list[str], right: list[str]) -> None:
    assert (text_digest(*left) == text_digest(*right)) == (left == right)


def test_array_digest_sees_values_shape_and_type() -> None:
    array = np.arange(12, dtype=np.float32)
    others = [array.reshape(3, 4), array.astype(np.float64), array[::-1], array[:11]]
    assert len({array_digest(each) for each in [array, *others]}) == 5
    assert array_digest(array.reshape(3, 4)) == array_digest(np.asfortranarray(array.reshape(3, 4)))
    assert array_digest(np.float32(3.0) + np.zeros(())) == array_digest(np.array(3.0))


def test_array_digest_does_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(1).random((100, 7))
    whole = array_digest(array)
    monkeypatch.setattr(digests, "_CHUNK_BYTES", 64)
    assert array_digest(array) == whole


def test_arrays_of_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="no stable digest"):
        array_digest(np.array([object()]))


CON = duckdb.connect()
ROWS = st.lists(
    st.tuples(st.integers(-5, 5) | st.none(), st.text(max_size=3) | st.none(), st.floats() | st.none()),
    min_size=1,
    max_size=8,
)


def _digest(rows: list[tuple[object, ...]]) -> str:
    CON.execute("CREATE OR REPLACE TEMP TABLE t (a BIGINT, b VARCHAR, c DOUBLE)")
    CON.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    return rows_digest(CON, "t")


def test_rows_digest_is_the_sum_of_both_halves_of_each_rows_md5() -> None:
    """By hand, so that stored digests stay what they are however the sums are computed."""
    rows = [(1, "x", 0.5), (None, "", None), (1, "x", 0.5)]
    texts = ["1:1" + "1:x" + "3:0.5", "-" + "0:" + "-", "1:1" + "1:x" + "3:0.5"]
    halves = [hashlib.md5(text.encode(), usedforsecurity=False).digest() for text in texts]
    sums = [sum(int.from_bytes(md5[at : at + 8], "little") for md5 in halves) for at in (8, 0)]
    columns = ("a", "BIGINT", "b", "VARCHAR", "c", "DOUBLE")
    assert _digest(rows) == text_digest(*columns, "3", *(str(number) for number in sums))


@settings(max_examples=30, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_rows_digest_ignores_the_order_of_rows(rows, random) -> None:
    shuffled = random.sample(rows, len(rows))
    assert _digest(rows) == _digest(shuffled)


@settings(max_examples=30, deadline=None)
@given(ROWS, ROWS)
def test_rows_digest_tells_contents_apart(left, right) -> None:
    same = sorted(map(repr, left)) == sorted(map(repr, right))
    assert (_digest(left) == _digest(right)) == same


def test_rows_digest_sees_where_a_field_ends_and_null() -> None:
    rows = [[(1, "ab", None)], [(1, "a", None)], [(1, None, None)], [(1, "", None)], [(None, "1", None)]]
    assert len({_digest(each) for each in rows}) == len(rows)


def test_rows_digest_sees_names_and_types_and_is_fixed() -> None:
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE t AS SELECT 1::BIGINT AS a, 'x' AS b, 0.1::DOUBLE AS c, [1.5]::FLOAT[] AS d"
        )
        con.execute("CREATE TABLE renamed AS SELECT a AS z, b, c, d FROM t")
        con.execute("CREATE TABLE retyped AS SELECT a::INTEGER AS a, b, c, d FROM t")
        found = [rows_digest(con, name) for name in ("t", "renamed", "retyped")]
        con.execute("DELETE FROM t")
        assert len({*found, rows_digest(con, "t")}) == 4
    assert found[0] == "32387c14f6ed6b4c1249ff69a7aa62a7df211529c58768206fe3312b0b21235d"
