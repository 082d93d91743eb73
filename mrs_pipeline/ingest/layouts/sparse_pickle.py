"""Sparse matrices out of pickles, without unpickling: eight names are known, and none of them is the real one.

A pickle is a program whose calls are made by name. Here each name that a SciPy matrix of NumPy arrays needs stands for
an inert record, any other is refused, and the arrays are then built from the recorded bytes. So neither SciPy's nor
NumPy's own unpickling code runs, nor anything that the file brings along; a hostile file can at most be large.
"""

import pickle
import pickletools
from dataclasses import dataclass
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from mrs_pipeline.errors import InputError

_LARGEST: Final = 1 << 31
"""Bytes of a file."""
_PUTS: Final = ("PUT", "BINPUT", "LONG_BINPUT")
_MOST_REMEMBERED: Final = 10_000
"""Objects that a pickle refers back to; a matrix has a few dozen."""
_DTYPES: Final = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")


@dataclass(frozen=True)
class SparsePairs:
    """The places of a sparse matrix that hold something other than zero.

    Attributes:
        rows: [N] row of each.
        columns: [N] column of each.
        shape: (rows, columns) of the matrix.
    """

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    shape: tuple[int, int]


def read_sparse(stream: IO[bytes], name: str) -> SparsePairs:
    """The pairs of a pickled `coo_matrix` or `csr_matrix`.

    Args:
        stream: the file.
        name: of the file, for messages.

    Raises:
        InputError: the pickle names anything else, is broken, or its parts do not fit together.
    """
    content = stream.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise InputError(f"{name} is larger than {_LARGEST >> 30} GB; {_REMEDY}")
    try:
        found = _Inert(content).load()
        return _pairs(found)
    except InputError as error:
        raise InputError(f"{name}: {error}; {_REMEDY}") from error
    except Exception as error:  # a broken pickle fails in any way; nothing of it has been run
        raise InputError(f"{name} is no pickled sparse matrix ({type(error).__name__}); {_REMEDY}") from error


_REMEDY: Final = (
    "only pickled SciPy matrices are read; write its pairs to interactions.csv as user_id,item_id,split"
)


class _Inert:
    """One reading, with records of its own, so that no file can change what the next one meets."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def _require_plain(self) -> None:
        """Look at the instructions without following them.

        A far place in the memory of a pickle is made by filling it up to there: ten bytes could ask for all there is.
        """
        for instruction, argument, _ in pickletools.genops(self._content):
            if instruction.name in _PUTS and int(argument or 0) > _MOST_REMEMBERED:
                raise InputError("the pickle asks for more memory than it has contents")

    def load(self) -> Any:
        import io

        self._require_plain()
        known = _records()

        class Reader(pickle.Unpickler):
            def find_class(self, module: str, name: str) -> Any:
                if (module, name) not in known:
                    raise InputError(f"the pickle names {module}.{name}, which is refused")
                return known[module, name]

            def persistent_load(self, pid: Any) -> Any:  # noqa: ARG002
                raise InputError("the pickle refers to something outside it, which is refused")

        return Reader(io.BytesIO(self._content)).load()


def _records() -> dict[tuple[str, str], Any]:
    class Record:
        """Remembers what it was called with and told; does nothing."""

        def __init__(self, *arguments: Any) -> None:
            self.arguments = arguments
            self.state: Any = None

        def __setstate__(self, state: Any) -> None:
            self.state = state

    class Sparse(Record):
        compressed = False

    class Compressed(Sparse):
        compressed = True

    class Array(Record):
        pass

    class DType(Record):
        pass

    def reconstruct(*_: Any) -> Array:
        return Array()

    def from_buffer(*arguments: Any) -> Array:
        return Array(*arguments)

    return {
        ("scipy.sparse.coo", "coo_matrix"): Sparse,
        ("scipy.sparse._coo", "coo_matrix"): Sparse,
        ("scipy.sparse.csr", "csr_matrix"): Compressed,
        ("scipy.sparse._csr", "csr_matrix"): Compressed,
        **{(f"numpy.{core}.multiarray", "_reconstruct"): reconstruct for core in ("core", "_core")},
        **{(f"numpy.{core}.numeric", "_frombuffer"): from_buffer for core in ("core", "_core")},
        ("numpy", "ndarray"): Array,
        ("numpy", "dtype"): DType,
    }


def _pairs(found: Any) -> SparsePairs:
    state = getattr(found, "state", None)
    if not isinstance(state, dict) or not hasattr(found, "compressed"):
        raise InputError("it holds no sparse matrix")
    shape = state.get("_shape")
    if not isinstance(shape, tuple) or len(shape) != 2 or not all(isinstance(side, int) for side in shape):
        raise InputError("its matrix has no shape")
    values = _array(state.get("data"))
    if found.compressed:
        starts, columns = (_array(state.get(name)).astype(np.int64) for name in ("indptr", "indices"))
        if len(starts) != shape[0] + 1 or len(starts) == 0 or starts[0] != 0 or (np.diff(starts) < 0).any():
            raise InputError("the rows of its matrix do not fit together")
        rows = np.repeat(np.arange(shape[0], dtype=np.int64), np.diff(starts))
    else:
        rows, columns = (each.astype(np.int64) for each in _coordinates(state))
    if not len(rows) == len(columns) == len(values):
        raise InputError("the parts of its matrix have different lengths")
    for places, side in ((rows, shape[0]), (columns, shape[1])):
        if len(places) and (places.min() < 0 or places.max() >= side):
            raise InputError("its matrix has places outside its shape")
    held = values != 0
    return SparsePairs(rows[held], columns[held], (int(shape[0]), int(shape[1])))


def _coordinates(state: dict[str, Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    if "coords" in state:
        rows, columns = state["coords"]
        return _array(rows), _array(columns)
    return _array(state.get("row")), _array(state.get("col"))


def _array(record: Any) -> npt.NDArray[Any]:
    """The numbers of one recorded array, from its bytes."""
    if getattr(record, "arguments", ()):
        content, dtype, shape, _ = record.arguments
    else:
        _, shape, dtype, _, content = record.state
    (kind, *_), order = dtype.arguments, (dtype.state or ("", "<"))[1]
    if kind not in _DTYPES or order not in ("<", ">", "|", "="):
        raise InputError(f"it holds values of type {kind}")
    numbers = np.frombuffer(bytes(content), dtype=np.dtype(kind).newbyteorder(order))
    if not isinstance(shape, tuple) or shape != (len(numbers),):
        raise InputError("an array of it is not one row of numbers")
    return numbers
