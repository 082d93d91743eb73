"""Networks in eight-bit integers on the CPU: exported by PyTorch, quantised and run by ONNX Runtime.

For processors without bfloat16. Weights are quantised per output channel (one scale a tensor: cosine .95 to float32
instead of .99), activations as they come. Needs `pip install 'mrs-pipeline[int8]'`.
"""

import logging
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mrs_pipeline.errors import InputError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_OPSET = 17


class Int8Module(nn.Module):
    """Takes a transformer's place: the same inputs, and an output with its `last_hidden_state` alone.

    It is exported at the first call, which shows the names and kinds of the inputs.
    """

    dtype = torch.float32

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        require_onnx()
        self._original: nn.Module | None = original
        self._session: InferenceSession | None = None
        self.embeddings = _special_tokens(original)

    def forward(self, **inputs: Tensor) -> Any:
        """`last_hidden_state` of the batch, float32."""
        if self._original is not None:
            self._session = _session(self._original, inputs)
            self._original = None  # its weights are not needed beside the quantised ones
        assert self._session is not None
        arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
        (hidden,) = self._session.run(None, arrays)
        return SimpleNamespace(last_hidden_state=torch.from_numpy(hidden))


def require_onnx() -> None:
    """InputError where what quantises is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"precision: int8 needs {error.name}, which is not installed: pip install 'mrs-pipeline[int8]'"
        ) from None


class _LastHiddenState(nn.Module):
    def __init__(self, module: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.module, self.names = module, names

    def forward(self, *inputs: Tensor) -> Tensor:
        hidden: Tensor = self.module(**dict(zip(self.names, inputs, strict=True))).last_hidden_state
        return hidden


def _session(module: nn.Module, inputs: dict[str, Tensor]) -> "InferenceSession":
    """The module quantised, as a session with as many threads as torch has."""
    from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions
    from onnxruntime.quantization import QuantType, quantize_dynamic

    names = list(inputs)
    axes = {name: _free_axes(inputs[name]) for name in names} | {"hidden": {0: "batch", 1: "length"}}
    options = SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_ALL
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of every shape that it writes down
        exported, quantised = Path(folder) / "exported.onnx", Path(folder) / "int8.onnx"
        torch.onnx.export(
            _LastHiddenState(module, names),
            tuple(inputs.values()),
            str(exported),
            input_names=names,
            output_names=["hidden"],
            dynamic_axes=axes,
            opset_version=_OPSET,
            dynamo=False,
        )
        with _quiet():
            quantize_dynamic(exported, quantised, per_channel=True, weight_type=QuantType.QInt8)
        return InferenceSession(quantised.read_bytes(), options, providers=["CPUExecutionProvider"])


class _quiet:  # noqa: N801 - used like a function
    """The quantiser advises a step before it, which changes nothing for transformers, at the level of warnings."""

    def __enter__(self) -> None:
        self._level = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        logging.getLogger().setLevel(self._level)


def _free_axes(tensor: Tensor) -> dict[int, str]:
    """Which sides may differ from batch to batch: of pictures only how many there are."""
    return {0: "batch"} if tensor.is_floating_point() else {0: "batch", 1: "length"}


def _special_tokens(module: nn.Module) -> Any:
    """What pooling asks of a network's embeddings: which tokens precede the patches."""
    embeddings = getattr(module, "embeddings", None)
    names = ("cls_token", "distillation_token", "register_tokens")
    return SimpleNamespace(**{name: getattr(embeddings, name, None) for name in names})
