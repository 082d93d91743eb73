"""From hidden states to tokens that are kept: regions on a grid, words without what stands around them. On tensors.

Tokens wider than `token_width` are multiplied by a fixed matrix of normal numbers (Johnson & Lindenstrauss, 1984). A
principal component analysis would lose less, but depends on the whole catalogue: a new picture would change every
row.
"""

from functools import lru_cache
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np

from mrs_pipeline.encoders.options import TokenOptions, feature_set_name
from mrs_pipeline.errors import InputError
from mrs_pipeline.types import FloatArray, IntArray, TokenShape

if TYPE_CHECKING:
    from torch import Tensor

_SEED = 18


@lru_cache(maxsize=4)
def fixed_projection(inputs: int, outputs: int) -> FloatArray:
    """[inputs, outputs] normal numbers of variance 1 / outputs, always the same ones."""
    drawn = np.random.default_rng(_SEED).standard_normal((inputs, outputs))
    return np.asarray(drawn / np.sqrt(outputs), dtype=np.float32)


def patch_maps(hidden: "Tensor", n_special: int, sides: tuple[int, int]) -> "Tensor":
    """[B, C, h, w] of patches [B, T, C], whose first `n_special` tokens are none; maps stay maps.

    Args:
        hidden: [B, T, C], or [B, C, h, w].
        n_special: class, distillation and register tokens.
        sides: height and width of the picture in pixels, in whose ratio the patches are rows and columns.
    """
    if hidden.dim() == 4:
        return hidden
    patches = hidden[:, n_special:]
    n = patches.shape[1]
    rows = isqrt(n) if sides[0] == sides[1] else round((n * sides[0] / sides[1]) ** 0.5)
    if rows < 1 or n % rows:
        raise InputError(f"{n} patches are no grid of rows and columns; write pooling: mean for this model")
    return patches.mT.reshape(len(patches), patches.shape[2], rows, n // rows)


def kept_regions(maps: "Tensor", shape: TokenShape, options: TokenOptions) -> "Tensor":
    """[B, T, D] float32 regions, row by row, of maps [B, C, h, w]: averaged to the grid, then brought to the width.

    Raises:
        InputError: the network's map is coarser than the grid, or narrower than `token_width`.
    """
    from torch.nn.functional import adaptive_avg_pool2d

    assert shape.grid is not None
    side = min(maps.shape[-2:])
    if side < max(shape.grid):
        raise InputError(
            f"features: {feature_set_name(options)} wants a grid of {shape.grid[0]} x {shape.grid[1]}, and the map of "
            f"the network has {maps.shape[-2]} x {maps.shape[-1]} places; write grid: {side} or less"
        )
    return _of_width(adaptive_avg_pool2d(maps.float(), shape.grid).flatten(2).mT, shape.width, options)


def places_of_words(tokens: IntArray, mask: IntArray, around: list[int], most: int) -> IntArray:
    """[B, most] places of the words among the tokens of each text, in their order; -1 after the last one.

    Args:
        tokens: [B, T] token numbers.
        mask: [B, T] zero at padding.
        around: numbers that are no words: start, end and padding.
        most: words kept.

    >>> rows = np.array([[1, 7, 8, 2], [1, 9, 2, 0]])
    >>> places_of_words(rows, (rows > 0).astype(np.int64), [0, 1, 2], 3)
    array([[ 1,  2, -1],
           [ 1, -1, -1]])
    """
    words = (mask > 0) & ~np.isin(tokens, around)
    order = np.argsort(~words, axis=1, kind="stable")[:, :most]
    places = np.where(np.take_along_axis(words, order, axis=1), order, -1)
    return np.pad(places, ((0, 0), (0, most - places.shape[1])), constant_values=-1)


def kept_words(hidden: "Tensor", places: "Tensor", shape: TokenShape, options: TokenOptions) -> "Tensor":
    """[B, T, D] float32 states of words from hidden [B, S, C] at `places` [B, T]; zero where there is none."""
    chosen = hidden.gather(1, places.clamp(min=0).unsqueeze(2).expand(-1, -1, hidden.shape[2]))
    return _of_width(chosen.float(), shape.width, options) * (places >= 0).unsqueeze(2)


def _of_width(tokens: "Tensor", width: int, options: TokenOptions) -> "Tensor":
    import torch

    found = tokens.shape[-1]
    if found < width:
        raise InputError(
            f"features: {feature_set_name(options)}: a token of the network has {found} numbers, fewer than "
            f"token_width {width}; write token_width: {found} or less"
        )
    if found == width:
        return tokens
    return tokens @ torch.from_numpy(fixed_projection(found, width)).to(tokens.device)
