"""Raw item features made comparable: without what all items share, and at one length."""

import math

from torch import Tensor
from torch.nn.functional import normalize


def centred(values: Tensor, present: Tensor) -> Tensor:
    """Features [I, F] less the mean of those present [I] bool; missing rows, which count as average, are zero."""
    there = present.unsqueeze(1)
    mean = (values * there).sum(0) / there.sum().clamp(min=1)
    return (values - mean) * there


def comparable(values: Tensor, present: Tensor) -> Tensor:
    """`centred` with rows of length 1 / sqrt(F): neither a common direction nor an encoder's scale is left.

    At this length a linear projection starts as small as an embedding does, and a step of Adam, which moves each of
    its weights equally far, moves what is projected about as far as it moves an embedding. With longer rows content
    runs ahead of identifiers and fits noise before these have learned anything.
    """
    unit: Tensor = normalize(centred(values, present), dim=1)
    return unit / math.sqrt(values.shape[1])
