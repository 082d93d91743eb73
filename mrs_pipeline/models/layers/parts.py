"""What an item's vector is made of: its identifier and its modalities, by name."""

from collections.abc import Mapping

import torch
from torch import Tensor

IDENTIFIER = "id"
"""Name of the part that is no modality."""
CONTENT_PART = "content"
"""Name of the part in which all modalities are one."""

Parts = Mapping[str, Tensor]
"""Name of a part -> vectors of items [n, D] or of tokens [B, K, D]."""

MaskedParts = Mapping[str, tuple[Tensor, Tensor]]
"""Name of a part -> vectors [n, D], zero where absent, and who has one [n] bool."""


def columns_of_parts(parts: Parts) -> dict[str, Tensor]:
    """The parts [n, D] of items as vectors [n, M D] that add up to them side by side: zero but in their own columns.

    >>> columns_of_parts({"id": torch.tensor([[1.0]]), "text": torch.tensor([[2.0]])})
    {'id': tensor([[1., 0.]]), 'text': tensor([[0., 2.]])}
    """
    return {
        name: torch.cat(
            [rows if other == name else torch.zeros_like(each) for other, each in parts.items()], dim=1
        )
        for name, rows in parts.items()
    }
