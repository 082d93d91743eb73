"""Pickled sparse matrices are read without running them, and whatever else a pickle says is refused."""

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.layouts.sparse_pickle import read_sparse

MATRIX = scipy.sparse.random(40, 30, density=0.1, random_state=1, dtype=np.float64)


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("kind", ["coo", "csr"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int8", "bool"])
def test_places_of_a_matrix(protocol: int, kind: str, dtype: str) -> None:
    matrix = (MATRIX != 0).astype(dtype).asformat(kind)
    found = read_sparse(io.BytesIO(pickle.dumps(matrix, protocol=protocol)), "x.pkl")
    places = scipy.sparse.coo_matrix(
        (np.ones(len(found.rows)), (found.rows, found.columns)), shape=found.shape
    )
    assert (places.toarray() != 0).tolist() == (matrix.toarray() != 0).tolist()


def test_stored_zeros_are_no_places() -> None:
    matrix = scipy.sparse.csr_matrix((np.array([1.0, 0.0]), np.array([0, 1]), np.array([0, 2])), shape=(1, 2))
    assert read_sparse(io.BytesIO(pickle.dumps(matrix, protocol=3)), "x.pkl").columns.tolist() == [0]


class _Calls:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def _state(**changed: Any) -> bytes:
    """A matrix whose parts were tampered with."""
    matrix = MATRIX.tocsr()
    for name, value in changed.items():
        matrix.__dict__[name] = value
    return pickle.dumps(matrix, protocol=3)


def hostile(mark: Path) -> dict[str, bytes]:
    command = f"touch {mark}"
    return {
        "os.system": pickle.dumps(_Calls(os.system, command)),
        "posix.system by hand": b"cposix\nsystem\n(S'" + command.encode() + b"'\ntR.",
        "eval": pickle.dumps(_Calls(eval, f"open({str(mark)!r}, 'w')")),
        "builtins.getattr": pickle.dumps(_Calls(getattr, "x", "upper")),
        "builtins.open": pickle.dumps(_Calls(open, str(mark), "w")),
        "numpy.load": pickle.dumps(_Calls(np.load, str(mark))),
        "numpy.save": pickle.dumps(_Calls(np.save, str(mark), np.ones(2))),
        "numpy.ndarray.tofile": b"cnumpy\nndarray.tofile\n(S'" + str(mark).encode() + b"'\ntR.",
        "scipy.io.loadmat": b"cscipy.io\nloadmat\n(S'x'\ntR.",
        "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0endarray.dump\x93.",
        "an extension code": b"\x80\x02\x82\x01.",
        "a persistent id": b"Pabc\n.",
        "matrix, then a call": pickle.dumps((MATRIX, _Calls(os.system, command))),
        "call within the state": _state(data=_Calls(os.system, command)),
        "object array": pickle.dumps(scipy.sparse.csr_matrix.__new__(scipy.sparse.csr_matrix)),
        "places outside the shape": _state(indices=np.full(MATRIX.nnz, 99, np.int32)),
        "negative places": _state(indices=np.full(MATRIX.nnz, -1, np.int32)),
        "rows that go back": _state(indptr=np.array([0, 9, 3] + [MATRIX.nnz] * 38, np.int32)),
        "huge shape": _state(_shape=(2**60, 2**60)),
        "objects for numbers": _state(data=np.array([{}] * MATRIX.nnz, dtype=object)),
        "a plain array": pickle.dumps(np.ones(3)),
        "a dictionary": pickle.dumps({"a": 1}),
        "no pickle": b"hello",
        "nothing": b"",
        "cut off": pickle.dumps(MATRIX, protocol=3)[:-40],
        "deeply nested": b"(" * 100_000 + b"l" * 100_000 + b".",
        "class attribute by BUILD": b"cnumpy\nndarray\n}S'state'\nI1\nsb.",
    }


@pytest.mark.parametrize("name", hostile(Path("mark")))
def test_hostile_pickles_are_refused_and_run_nothing(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(
        InputError, match=r"^x\.pkl.*only pickled SciPy matrices are read; write its pairs to"
    ):
        read_sparse(io.BytesIO(hostile(mark)[name]), "x.pkl")
    assert list(tmp_path.iterdir()) == []


def test_refusals_name_what_the_pickle_wanted() -> None:
    with pytest.raises(InputError, match=r"^x\.pkl: the pickle names posix\.system, which is refused; "):
        read_sparse(io.BytesIO(pickle.dumps(_Calls(os.system, "true"))), "x.pkl")


def test_one_file_changes_nothing_for_the_next() -> None:
    tampering = b"cscipy.sparse.csr\ncsr_matrix\n}S'compressed'\nI00\nsb."
    with pytest.raises(InputError):
        read_sparse(io.BytesIO(tampering), "x.pkl")
    content = pickle.dumps(MATRIX.tocsr(), protocol=3)
    assert len(read_sparse(io.BytesIO(content), "x.pkl").rows) == MATRIX.nnz
