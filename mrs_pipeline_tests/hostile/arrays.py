"""Hostile arrays: ready features as `.npy` and as tables, sparse matrices in pickles."""

import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

from mrs_pipeline.database import connect
from mrs_pipeline.ingest.layouts.sparse_pickle import read_sparse
from mrs_pipeline.ingest.opening import open_source, source_options
from mrs_pipeline_tests.hostile.case import CANARY, Case, Executes, hostile_pickle
from mrs_pipeline_tests.hostile.tables import GOOD, ITEMS, put

KIND = "arrays"


def read_features(root: Path, name: str) -> None:
    """The ready features of two items, as `mrs run` reads them."""
    put(root, "interactions.csv", GOOD)
    put(root, "items.csv", ITEMS)
    source = open_source(source_options({"path": str(root), "matrices": {"sound": name}}), root)
    with connect() as con:
        source.read_matrix(con, "sound")


def header(text: str, body: bytes = bytes(64), version: bytes = b"\x01\x00") -> Callable[[Path], None]:
    """An `.npy` file whose header says this."""
    size = struct.pack("<H", len(text)) if version == b"\x01\x00" else struct.pack("<I", len(text))
    return file(b"\x93NUMPY" + version + size + text.encode() + body)


def shape(says: str, kind: str = "<f4") -> Callable[[Path], None]:
    return header(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {says}, }}\n")


def file(content: bytes, name: str = "sound.npy") -> Callable[[Path], None]:
    def meets(root: Path) -> None:
        put(root, name, content)
        read_features(root, name)

    return meets


def array(values: Any) -> Callable[[Path], None]:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=True)
    return file(stream.getvalue())


def archive(**values: Any) -> Callable[[Path], None]:
    stream = io.BytesIO()
    np.savez(stream, **values)
    return file(stream.getvalue())


def table(text: str) -> Callable[[Path], None]:
    return file(text.encode(), "sound.csv")


def sparse(content: bytes) -> Callable[[Path], None]:
    def meets(root: Path) -> None:
        put(root, "train.pkl", content)
        with (root / "train.pkl").open("rb") as stream:
            read_sparse(stream, "train.pkl")

    return meets


def broken_matrix(kind: type = csr_matrix, **parts: Any) -> bytes:
    matrix = kind(np.eye(3, dtype=np.float32))
    for name, value in parts.items():
        matrix.__dict__[name] = value
    return pickle.dumps(matrix)


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n(S'touch {CANARY}'\ntR.".encode()


GOOD_MATRIX = pickle.dumps(csr_matrix(np.eye(3)))

CASES = tuple(
    Case(KIND, name, meets, says)
    for name, meets, says in (
        ("npy: nothing in it", file(b""), "sound.npy is not a readable .npy"),
        ("npy: text", file(b"hello"), "is not a readable .npy"),
        ("npy: a pickle", file(hostile_pickle()), "is not a readable .npy"),
        (
            "npy: objects, which are a pickle",
            array(np.array([[Executes()], [Executes()]], object)),
            "is not a readable .npy",
        ),
        ("npy: a negative shape", shape("(-2, 4)"), "sound.npy"),
        ("npy: two negative sides", shape("(-2, -4)"), "sound.npy"),
        ("npy: a trillion rows", shape("(1000000000000, 4)"), "sound.npy"),
        ("npy: sides whose product overflows", shape("(4294967296, 4294967296)"), "sound.npy"),
        ("npy: more rows than the file has", shape("(2000000, 4)"), "sound.npy"),
        ("npy: a shape in words", shape("('two', 4)"), "sound.npy"),
        ("npy: code in the header", header(f"__import__('os').system('touch {CANARY}')\n"), "sound.npy"),
        ("npy: a header nested 3,000 deep", header("[" * 3000 + "]" * 3000 + "\n"), "sound.npy"),
        ("npy: a header of 2 MB", header(" " * 2_000_000 + "\n", version=b"\x02\x00"), "sound.npy"),
        ("npy: an unknown version", header("{}\n", version=b"\x09\x00"), "is not a readable .npy"),
        ("npy: cut in the middle", file(b"\x93NUMPY\x01\x00"), "is not a readable .npy"),
        ("npy: one dimension", array(np.zeros(2)), "one row an item"),
        ("npy: three dimensions", array(np.zeros((2, 2, 2))), "one row an item"),
        ("npy: no columns", array(np.zeros((2, 0))), "one row an item"),
        ("npy: texts", array(np.array([["a"], ["b"]])), "one row an item"),
        ("npy: complex numbers", array(np.zeros((2, 2), np.complex64)), "one row an item"),
        ("npy: records", array(np.zeros(2, [("a", "f4"), ("b", "f4")])), "one row an item"),
        ("npy: an archive of arrays", archive(a=np.zeros((2, 2))), "an archive"),
        ("npy: NaN", array(np.array([[1, 2], [3, np.nan]])), "row 1 (counted from 0), column 1: nan"),
        ("npy: infinity", array(np.array([[np.inf, 2], [3, 4]])), "row 0 (counted from 0), column 0: inf"),
        ("npy: a row too many", array(np.ones((3, 2))), "sound.npy has 3 rows"),
        ("table: a word among the numbers", table("item_id,f1,f2\na,1,2\nb,x,4\n"), "line 3, column f1: 'x'"),
        ("table: an empty cell", table("item_id,f1,f2\na,1,\nb,3,4\n"), "line 2, column f2"),
        ("table: an infinite number", table("item_id,f1\na,1\nb,inf\n"), "line 3, column f1: 'inf'"),
        ("table: no numbers", table("item_id\na\nb\n"), "has no columns besides item_id"),
        ("table: no items", table("f1,f2\n1,2\n3,4\n"), "sound.csv"),
        ("pickle: a command", sparse(hostile_pickle()), "system, which is refused"),
        ("pickle: a command, first protocol", sparse(hostile_pickle(0)), "system, which is refused"),
        ("pickle: eval", sparse(_global("builtins", "eval")), "builtins.eval, which is refused"),
        ("pickle: NumPy's own loader", sparse(_global("numpy", "load")), "numpy.load, which is refused"),
        ("pickle: a module that is not there", sparse(_global("evil", "run")), "evil.run, which is refused"),
        (
            "pickle: something outside it",
            sparse(b"\x80\x02X\x01\x00\x00\x00aQ."),
            "refers to something outside it",
        ),
        ("pickle: a plain list", sparse(pickle.dumps([1, 2])), "holds no sparse matrix"),
        ("pickle: text", sparse(b"user item\n"), "only pickled SciPy matrices are read"),
        ("pickle: cut", sparse(GOOD_MATRIX[:-40]), "is no pickled sparse matrix"),
        (
            "pickle: ten bytes that ask for 32 GB",
            sparse(b"\x80\x02Nr\xff\xff\xff\xff."),
            "more memory than it has contents",
        ),
        (
            "pickle: a text of 8 EB",
            sparse(b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f"),
            "is no pickled sparse matrix",
        ),
        (
            "pickle: places outside the shape",
            sparse(broken_matrix(indices=np.array([0, 1, 9]))),
            "outside its shape",
        ),
        ("pickle: negative places", sparse(broken_matrix(indices=np.array([0, -1, 2]))), "outside its shape"),
        (
            "pickle: rows that run backwards",
            sparse(broken_matrix(indptr=np.array([0, 3, 1, 3]))),
            "do not fit together",
        ),
        (
            "pickle: parts of different lengths",
            sparse(broken_matrix(data=np.ones(9, "f4"))),
            "different lengths",
        ),
        (
            "pickle: a matrix of objects",
            sparse(broken_matrix(data=np.array([Executes()] * 3, object))),
            "train.pkl",
        ),
        (
            "pickle: a shape of words",
            sparse(broken_matrix(coo_matrix, _shape=("a", "b"))),
            "its matrix has no shape",
        ),
    )
)
