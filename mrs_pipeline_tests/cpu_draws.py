"""The random numbers of the CPU for a model on another device, so that what it computes can be compared."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map


class LabelledGenerator(torch.Generator):
    """A generator of the CPU that says it is where it was asked for."""

    def __new__(cls, device: Any = "cpu") -> "LabelledGenerator":
        made = super().__new__(cls)
        made.place = torch.device(device)  # type: ignore[attr-defined]
        return made  # type: ignore[no-any-return]

    @property
    def device(self) -> torch.device:
        return self.place  # type: ignore[attr-defined,no-any-return]


class _Draws(TorchDispatchMode):
    """Operations that draw run on the CPU, and what they give goes to where it was asked for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not isinstance(kwargs.get("generator"), torch.Generator):
            return func(*args, **kwargs)
        target = args[0] if args and isinstance(args[0], Tensor) else None
        device = kwargs.get("device") if target is None else target.device
        inner = {**kwargs, "device": torch.device("cpu")} if "device" in kwargs else kwargs
        here = tree_map(lambda each: each.cpu() if isinstance(each, Tensor) else each, args)
        drawn = func(*here, **inner)
        if target is not None and func._schema.name.endswith("_"):
            return target.copy_(drawn)
        return drawn.to(device)


@contextmanager
def drawn_on_the_cpu(device: torch.device | str) -> Iterator[None]:
    """While it is on, generators asked for on `device` draw as those of the CPU do; on the CPU nothing changes."""
    if torch.device(device).type in ("cpu", "meta"):
        yield
        return
    with mock.patch.object(torch, "Generator", LabelledGenerator), _Draws():
        yield
