"""The network of EfficientNet-Lite0, its shape read off its weights; batch norm is folded into the convolutions.

Which weights, and what is done to a picture before, is `efficientnet_lite0.py`, which loads without torch.
"""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, relu6

_STRIDES: Final = {1: 2, 3: 2, 5: 2, 11: 2}
"""Block -> stride, of those that halve the sides."""
_EPSILON: Final = 1e-3
"""Of batch norm."""

State = Mapping[str, Tensor]
"""Tensors by name, as the package's file has them."""


class EfficientNetLite0(nn.Module):
    """Pictures [B, 3, H, W], normalised, to vectors [B, F]: the mean over places before the classifier.

    Without `pooled` to what the mean is of, maps [B, F, H / 32, W / 32].
    """

    def __init__(self, state: State, *, pooled: bool = True) -> None:
        super().__init__()
        self.pooled = pooled
        n_blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("_blocks."))
        self.stem = _Convolution(state, "_conv_stem", "_bn0", stride=2)
        self.blocks = nn.ModuleList(_block(state, at) for at in range(n_blocks))
        self.head = _Convolution(state, "_conv_head", "_bn1")

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, F], or the maps."""
        x = self.stem(pixels)
        for block in self.blocks:
            y = block(x)
            x = x + y if x.shape == y.shape else y
        maps: Tensor = self.head(x)
        return maps.mean((2, 3)) if self.pooled else maps


def _block(state: State, at: int) -> nn.Sequential:
    """Widen (but for the first block), convolve each channel by itself, narrow without activation."""
    place = f"_blocks.{at}."
    widens = f"{place}_expand_conv.weight" in state
    return nn.Sequential(
        *([_Convolution(state, f"{place}_expand_conv", f"{place}_bn0")] if widens else []),
        _Convolution(state, f"{place}_depthwise_conv", f"{place}_bn1", stride=_STRIDES.get(at, 1)),
        _Convolution(state, f"{place}_project_conv", f"{place}_bn2", active=False),
    )


class _Convolution(nn.Module):
    """Convolution with its batch norm folded in; padded as TensorFlow's `SAME` does."""

    def __init__(self, state: State, name: str, norm: str, *, stride: int = 1, active: bool = True) -> None:
        super().__init__()
        weight = state[f"{name}.weight"]  # [O, I / groups, K, K]
        scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + _EPSILON)
        self.weight = nn.Parameter(weight * scale[:, None, None, None], requires_grad=False)
        self.bias = nn.Parameter(
            state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale, requires_grad=False
        )
        self.groups = len(weight) if "depthwise" in name else 1
        self.stride, self.active = stride, active

    def forward(self, x: Tensor) -> Tensor:
        """[B, O, ceil(H / stride), ceil(W / stride)]."""
        size = self.weight.shape[-1]
        rows, columns = (
            max((-(-side // self.stride) - 1) * self.stride + size - side, 0) for side in x.shape[-2:]
        )
        if rows or columns:
            x = pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        y = conv2d(x, self.weight, self.bias, stride=self.stride, groups=self.groups)
        return relu6(y) if self.active else y
