"""A second device for machines that have none: tensors that say they are elsewhere, and what waits for the host.

`pretend_device` holds real values on the CPU in tensors whose device is `meta`, runs every operation on them, and

- refuses an operation that mixes tensors of the two devices, as CUDA does;
- notes each operation for which the host would wait on CUDA: a value that is read, a result whose size depends on
  values, a copy between the devices.

It stands for CUDA wherever the code asks what kind of device it has (`kernels.dispatch.device_type`). What only a GPU
can show, its arithmetic and its speed, is in tests marked `gpu`.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from traceback import extract_stack
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

from mrs_pipeline.functional.kernels import dispatch
from mrs_pipeline_tests.cpu_draws import LabelledGenerator

ELSEWHERE = torch.device("meta")
aten = torch.ops.aten

READS = frozenset({"_local_scalar_dense", "equal", "is_nonzero", "allclose"})
"""Operations that hand a value to the host."""
SIZED_BY_VALUES = frozenset(
    {"nonzero", "masked_select", "_unique", "_unique2", "unique_dim", "unique_consecutive", "bincount"}
)
"""Operations whose result has a size that only the device knows (`bincount` reads the largest value in any case)."""
CHECKED = frozenset({"multinomial", "linalg_inv_ex", "linalg_cholesky_ex", "histc", "_linalg_eigh"})
"""Operations that read back whether their input was fit for them."""


class DevicesMixedError(AssertionError):
    """An operation got tensors of both devices."""


class _Tensor(Tensor):
    """Says that it is on `ELSEWHERE`; `inner` has the values."""

    inner: Tensor
    is_meta = False  # type: ignore[assignment]  # torch leaves tensors without values as they are

    @staticmethod
    def __new__(cls, inner: Tensor) -> "_Tensor":
        place: dict[str, Any] = {"dispatch_layout": True}
        if inner.layout is torch.strided:
            place = {"strides": inner.stride(), "storage_offset": inner.storage_offset()}
        made = Tensor._make_wrapper_subclass(cls, inner.size(), dtype=inner.dtype, device=ELSEWHERE, **place)
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def __repr__(self, **_: object) -> str:
        return f"elsewhere({self.inner})"

    def tolist(self) -> list[Any]:
        _note("tolist")
        return self.inner.tolist()

    def numpy(self, **_: object) -> Any:
        raise TypeError("can't convert a tensor that is elsewhere to numpy; copy it to the host first")


@dataclass
class PretendDevice:
    """What was seen while `pretend_device` was on.

    Attributes:
        waits: operation and place in the package of each wait for the host, in order.
    """

    waits: list[str] = field(default_factory=list)

    def forget(self) -> None:
        """Counts from here on."""
        self.waits.clear()


_seen: list[PretendDevice] = []


def _note(name: str) -> None:
    if not _seen:
        return
    frames = [frame for frame in extract_stack() if "/mrs_pipeline/" in frame.filename]
    # torch's own backward runs without a frame of ours
    place = (
        f"{frames[-1].filename.rpartition('/mrs_pipeline/')[2]}:{frames[-1].lineno}" if frames else "backward"
    )
    _seen[-1].waits.append(f"{name} at {place}")


def _waits(name: str, func: Any, args: Any, kwargs: Any) -> bool:
    """Whether the host would wait for this operation on tensors that are elsewhere."""
    if name in READS | SIZED_BY_VALUES | CHECKED:
        return True
    if name == "repeat_interleave":
        return kwargs.get("output_size") is None
    if name in {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}:
        return any(each is not None and each.dtype in (torch.bool, torch.uint8) for each in args[1])
    return False


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    if func is torch.ops.prim.layout.default:
        return args[0].inner.layout
    name = func._schema.name.partition("::")[2]
    flat = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)]
    there = [each for each in flat if isinstance(each, _Tensor)]
    here = [each for each in flat if not isinstance(each, _Tensor) and each.dim() > 0]
    asked = kwargs.get("device")
    to_there = asked is not None and torch.device(asked) == ELSEWHERE
    copies = name in {"_to_copy", "copy_"}
    if there and here and not copies:
        shapes = [tuple(each.shape) for each in here]
        raise DevicesMixedError(f"{name} got tensors of both devices; on the CPU: {shapes}")
    away = bool(there) if asked is None else to_there
    if copies and flat and (bool(there and here) if name == "copy_" else away != bool(there)):
        if not kwargs.get("non_blocking"):
            _note("copy to the device" if not there or (here and here[0] is args[-1]) else "copy to the host")
    elif (there and _waits(name, func, args, kwargs)) or (to_there and name == "lift_fresh"):
        _note(name)
    inner_args, inner_kwargs = tree_map(_inner, (args, kwargs))
    if to_there:
        inner_kwargs["device"] = torch.device("cpu")
    result = func(*inner_args, **inner_kwargs)
    if not away:
        return result
    if name == "_conj":  # a mark on the tensor, which its wrapper would not have
        return _Tensor(result.resolve_conj())
    wrapped = tree_map(lambda each: _Tensor(each) if isinstance(each, Tensor) else each, result)
    return return_and_correct_aliasing(func, args, kwargs, wrapped) if there else wrapped


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, _Tensor) else value


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


@contextmanager
def pretend_device() -> Iterator[PretendDevice]:
    """While it is on, tensors asked for on `ELSEWHERE` have values and stand for tensors on CUDA."""
    seen = PretendDevice()
    kind = dispatch.device_type

    def device_type(tensor: Tensor) -> str:
        return "cuda" if isinstance(tensor, _Tensor) else kind(tensor)

    def tensor(data: Any, **settings: Any) -> Tensor:
        asked = settings.pop("device", None)
        made = real(data, **settings)
        return made if asked is None else made.to(asked)

    real = torch.tensor
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(torch, "tensor", tensor))
        stack.enter_context(mock.patch.object(dispatch, "device_type", device_type))
        stack.enter_context(mock.patch.object(torch, "Generator", LabelledGenerator))
        stack.enter_context(_Mode())
        _seen.append(seen)
        stack.callback(_seen.pop)
        yield seen


def values(tensor: Tensor) -> Tensor:
    """The values on the CPU, without being noted."""
    return tensor.inner if isinstance(tensor, _Tensor) else tensor
