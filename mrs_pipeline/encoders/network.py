"""A network that turns batches into vectors: on which device, in which precision, without gradients.

Where its weights come from is `pretrained.py` (the `transformers` library) or the encoder's own file; what `int8` does
is `int8.py`. Decision 11 (docs/decisions) says what `precision: auto` means for rows that are stored.
"""

import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mrs_pipeline.encoders.base import Encoder
from mrs_pipeline.encoders.options import NetworkOptions, feature_set_name
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import FloatArray

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

LOG = logging.getLogger("mrs_pipeline")
_BFLOAT16: Final = ("avx512_bf16", "amx_bf16")
"""What a processor must have one of for bfloat16 to be faster than float32."""
_KEPT: Final = ("float32", "bfloat16")
"""What `auto` may take over from stored rows: every device computes in either."""


def best_precision(device: str) -> str:
    """What `precision: auto` means where no rows are stored yet: bfloat16 where the hardware has it, else float32."""
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    has = torch.cpu.get_capabilities() if device == "cpu" else {}
    return "bfloat16" if any(has.get(name) for name in _BFLOAT16) else "float32"


class Network:
    """A network in evaluation mode on its device. Weights are read when first needed."""

    def __init__(self, options: NetworkOptions, settings: EngineSettings) -> None:
        self.options = options
        self.settings = settings
        self._kept = ""

    @property
    @abstractmethod
    def origin(self) -> str:
        """What identifies the weights."""

    @abstractmethod
    def load(self, precision: str) -> "Module":
        """The network with its weights, on the CPU, in `float32`, `bfloat16` or `float16`."""

    def keep(self, precision: str) -> None:
        """Go on in the precision of stored rows where the options leave it open; "" for none stored."""
        self._kept = precision if precision in _KEPT else ""

    @property
    def precision(self) -> str:
        """Of the forward pass: as the options say, else that of the stored rows, else what suits the device."""
        if self.options.precision != "auto":
            return self.options.precision
        return self._kept or best_precision(self.device)

    @cached_property
    def device(self) -> str:
        """`cpu`, `mps` or `cuda...`; InputError where the wanted one is not there."""
        import torch

        wanted = self.settings.device
        if wanted == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        if wanted.startswith("cuda") and not torch.cuda.is_available():
            raise InputError(f"device: {wanted} is wanted, but PyTorch finds no CUDA GPU; use auto or cpu")
        return wanted

    @cached_property
    def module(self) -> "Module":
        """The network with its weights, on its device."""
        import torch

        self._look_at_precision()
        if self.precision == "int8":
            from mrs_pipeline.encoders.int8 import Int8Module

            return Int8Module(self.load("float32").eval().requires_grad_(False))
        module = self.load(self.precision).eval().requires_grad_(False).to(self.device)
        return torch.compile(module) if self.settings.compile else module  # type: ignore[return-value]

    def _look_at_precision(self) -> None:
        """InputError where the device cannot do it; a warning where another one would be faster."""
        name = feature_set_name(self.options)
        if self.precision == "float16" and self.device == "cpu":
            raise InputError("precision: float16 needs a GPU; on a CPU use bfloat16 or float32")
        if self.precision == "int8" and self.device != "cpu":
            raise InputError(
                f"features: {name} asks for precision: int8, which runs on the CPU, and its device is {self.device}; "
                f"use auto, or device: cpu"
            )
        if self.options.precision == "auto" and self.precision != (best := best_precision(self.device)):
            LOG.warning(
                "%s: its stored rows are in %s and this machine would choose %s: new rows are made in %s too, so that "
                "the two do not mix; write `precision: %s` to have all of them made again",
                name,
                self.precision,
                best,
                self.precision,
                best,
            )

    def run(self, inputs: Mapping[str, npt.NDArray[Any]], forward: "Callable[..., Tensor]") -> FloatArray:
        """[B, F] float32: `forward(module, **tensors)` without gradients, normalised if the options say so."""
        import torch
        from torch.nn.functional import normalize

        with torch.inference_mode():
            tensors = {name: self.tensor(array) for name, array in inputs.items()}
            vectors = forward(self.module, **tensors).float()
            if self.options.normalize:
                vectors = normalize(vectors, dim=-1)
            return np.asarray(vectors.cpu().numpy(), dtype=np.float32)

    def tensor(self, array: npt.NDArray[Any]) -> "Tensor":
        """On the device; floating values in the network's precision."""
        import torch

        tensor = torch.from_numpy(array)
        if self.device.startswith("cuda"):
            tensor = tensor.pin_memory().to(self.device, non_blocking=True)
        else:
            tensor = tensor.to(self.device)
        if not tensor.is_floating_point() or self.precision == "int8":
            return tensor
        return tensor.to(getattr(torch, self.precision))


class NetworkEncoder(Encoder):
    """An encoder whose vectors come out of a network; `network` is set when it is made."""

    network: Network

    def keep(self, made_with: Mapping[str, str]) -> None:
        """Go on in the precision of stored rows where the options leave it open."""
        self.network.keep(made_with.get("precision", ""))

    @property
    def made_with(self) -> Mapping[str, str]:
        """The weights, and the precision that was chosen."""
        return {"weights": self.network.origin, "precision": self.network.precision}
